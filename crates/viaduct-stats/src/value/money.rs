//! Investment arithmetic on monthly flows, and an effect's worth in a year.
//!
//! Flows are statistics of money (forecasts, discounted sums), hence `f64`; amounts that are booked
//! are decimals and live in [`crate::value::ledger`].

use serde::{Deserialize, Serialize};

use crate::{
    dist::normal,
    insufficient::{Insufficient, Reason, finite, require, require_finite, require_rows},
};

/// Monthly rate of an annual one: `(1 + r)^(1/12) - 1`.
///
/// # Errors
/// A rate of -100 % or less.
pub fn monthly_rate(annual_rate: f64) -> Result<f64, Insufficient> {
    require(annual_rate > -1.0 && annual_rate.is_finite(), "annual rate", "above -1")?;
    finite("monthly rate", (annual_rate.ln_1p() / 12.0).exp_m1())
}

/// Net present value of monthly flows, the first of which is today and undiscounted.
///
/// # Errors
/// No flows, or figures that are not finite.
pub fn npv(flows: &[f64], annual_rate: f64) -> Result<f64, Insufficient> {
    require_rows("flows", flows.len() as u64, 1)?;
    require_finite("flows", flows)?;
    finite("net present value", discounted_sum(flows, monthly_rate(annual_rate)?))
}

/// Internal rate of return per month: the rate above -1 at which the flows are worth zero.
///
/// Where several exist the one nearest to zero is returned. `None` without a change of sign.
///
/// # Errors
/// No flows, or figures that are not finite.
pub fn irr(flows: &[f64]) -> Result<Option<f64>, Insufficient> {
    require_rows("flows", flows.len() as u64, 1)?;
    require_finite("flows", flows)?;
    let largest = flows.iter().fold(0.0_f64, |largest, flow| largest.max(flow.abs()));
    if !(flows.iter().any(|flow| *flow > 0.0) && flows.iter().any(|flow| *flow < 0.0)) {
        return Ok(None);
    }
    // Why scaled: 1e308 and 1e-308 must neither overflow nor vanish; the rate does not change.
    let flows: Vec<f64> = flows.iter().map(|flow| flow / largest).collect();
    // Walk outwards from zero on both sides in steps of the log of the growth factor.
    const STEP: f64 = 0.02;
    const STEPS: usize = 600;
    let value = |log: f64| discounted_sum(&flows, log.exp_m1());
    let at_zero = value(0.0);
    if at_zero == 0.0 {
        return Ok(Some(0.0));
    }
    let (mut below, mut above) = (at_zero, at_zero);
    for step in 0..STEPS {
        let (near, far) = (step as f64 * STEP, (step + 1) as f64 * STEP);
        let (next_above, next_below) = (value(far), value(-far));
        let up = next_above.is_finite() && next_above * above <= 0.0;
        let down = next_below.is_finite() && next_below * below <= 0.0;
        let root_up = up.then(|| bisect(value, near, far));
        let root_down = down.then(|| bisect(value, -far, -near));
        let found = match (root_up, root_down) {
            (Some(up), Some(down)) => Some(if up <= -down { up } else { down }),
            (up, down) => up.or(down),
        };
        if let Some(log) = found {
            return Ok(Some(log.exp_m1()));
        }
        (above, below) = (next_above, next_below);
    }
    Ok(None)
}

/// Annual rate of a monthly one: `(1 + m)^12 - 1`.
pub fn annual_rate(monthly_rate: f64) -> f64 {
    (12.0 * monthly_rate.ln_1p()).exp_m1()
}

/// Months until the cumulative flow stays at or above zero: the last crossing, interpolated.
///
/// 0 where it is never below zero; `None` where it ends below.
///
/// # Errors
/// No flows, or figures that are not finite.
pub fn payback(flows: &[f64]) -> Result<Option<f64>, Insufficient> {
    require_rows("flows", flows.len() as u64, 1)?;
    require_finite("flows", flows)?;
    let mut total = 0.0;
    let mut crossing = Some(0.0);
    for (month, flow) in flows.iter().enumerate() {
        let before = total;
        total += flow;
        // Why a tolerance: sums of thirds must not miss zero by rounding.
        let zero = -1e-9 * flow.abs().max(before.abs());
        if total < zero {
            crossing = None;
        } else if crossing.is_none() {
            crossing = Some(month as f64 - 1.0 + (-before / flow).min(1.0));
        }
    }
    Ok(crossing)
}

/// [`payback`] of the flows discounted at an annual rate.
///
/// # Errors
/// As [`payback`] and [`monthly_rate`].
pub fn payback_discounted(flows: &[f64], annual_rate: f64) -> Result<Option<f64>, Insufficient> {
    require_finite("flows", flows)?;
    let log = monthly_rate(annual_rate)?.ln_1p();
    let discounted: Vec<f64> = flows
        .iter()
        .enumerate()
        .map(|(month, flow)| flow * (-(month as f64) * log).exp())
        .collect();
    payback(&discounted)
}

/// Return on investment: sum of all flows over the sum of the negative ones; `None` without those.
///
/// # Errors
/// No flows, or figures that are not finite.
pub fn roi(flows: &[f64]) -> Result<Option<f64>, Insufficient> {
    require_rows("flows", flows.len() as u64, 1)?;
    require_finite("flows", flows)?;
    let spent: f64 = flows.iter().filter(|flow| **flow < 0.0).map(|flow| -flow).sum();
    if spent == 0.0 {
        return Ok(None);
    }
    finite("return", flows.iter().sum::<f64>() / spent).map(Some)
}

/// What an effect is worth in a year, with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AnnualValue {
    /// Units per year times effect times value of a unit.
    pub gross: f64,
    /// Gross less the annual cost.
    pub net: f64,
    /// Standard deviation of both.
    pub sd: f64,
    /// Lower end of the two-sided 90 % interval of net, which is the 95 % one-sided bound.
    pub lower: f64,
    /// Upper end of the two-sided 90 % interval of net.
    pub upper: f64,
    /// Probability that net is above zero.
    pub probability_positive: f64,
    /// Effect at which net is zero.
    pub break_even_effect: f64,
}

/// Turns an effect per unit into money per year (`value.md` §1.5.16). Gates use `lower >= 0`.
///
/// # Errors
/// A standard error, volume or unit value that is not above zero.
pub fn annual_value(
    effect: f64,
    se: f64,
    units_per_year: f64,
    value_per_unit: f64,
    annual_cost: f64,
) -> Result<AnnualValue, Insufficient> {
    require_finite("inputs", &[effect, se, units_per_year, value_per_unit, annual_cost])?;
    if se == 0.0 {
        return Err(Reason::NoVariation("the effect").into());
    }
    require(se > 0.0, "standard error", "above 0")?;
    let scale = units_per_year * value_per_unit;
    let gross = finite("annual value", scale * effect)?;
    let sd = finite("annual value", scale.abs() * se)?;
    let net = finite("annual value", gross - annual_cost)?;
    let half = -normal::quantile(0.05) * sd;
    Ok(AnnualValue {
        gross,
        net,
        sd,
        lower: net - half,
        upper: net + half,
        probability_positive: normal::cdf(net / sd),
        break_even_effect: break_even_effect(annual_cost, units_per_year, value_per_unit)?,
    })
}

/// Low and high corner of a value whose unit price is only known between `low` and `high`.
///
/// The worst corner is taken instead of a simulation: `lower` of the cheapest price and `upper` of
/// the dearest (or the reverse where the effect is negative).
///
/// # Errors
/// As [`annual_value`].
pub fn annual_value_corners(
    effect: f64,
    se: f64,
    units_per_year: f64,
    value_per_unit: (f64, f64),
    annual_cost: f64,
) -> Result<(f64, f64), Insufficient> {
    let low = annual_value(effect, se, units_per_year, value_per_unit.0, annual_cost)?;
    let high = annual_value(effect, se, units_per_year, value_per_unit.1, annual_cost)?;
    Ok((low.lower.min(high.lower), low.upper.max(high.upper)))
}

/// Effect at which a model earns its cost: `cost / (units * value of a unit)`.
///
/// # Errors
/// No units, or a unit that is worth nothing.
pub fn break_even_effect(
    annual_cost: f64,
    units_per_year: f64,
    value_per_unit: f64,
) -> Result<f64, Insufficient> {
    let scale = units_per_year * value_per_unit;
    if scale == 0.0 {
        return Err(Reason::ZeroDenominator("units times value of a unit").into());
    }
    finite("break-even effect", annual_cost / scale)
}

fn discounted_sum(flows: &[f64], rate: f64) -> f64 {
    let factor = 1.0 / (1.0 + rate);
    flows.iter().rev().fold(0.0, |sum, flow| sum * factor + flow)
}

fn bisect(value: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let rising = value(low) <= value(high);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if (value(middle) < 0.0) == rising {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}
