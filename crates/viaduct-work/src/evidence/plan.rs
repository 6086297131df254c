//! A3 and A4: whether measured traffic can answer the question, and what the effect would pay.

use viaduct_stats::plan::{Question, power, sample_size};
use viaduct_stats::{Estimate, Insufficient, Moments, money, one_sided_lower};

/// Weeks within which a pilot must be able to answer.
pub const WEEKS_MAX: f64 = 12.0;
/// Months of a pilot's projection.
pub const MONTHS: usize = 24;
/// Yearly discount rate of projections.
pub const DISCOUNT: f64 = 0.10;
/// Months in a year, days in a month.
const MONTHS_PER_YEAR: f64 = 12.0;
const WEEKS_PER_YEAR: f64 = 365.25 / 7.0;

/// What a project costs and what a unit of its KPI brings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Economics {
    /// Running cost a month.
    pub run_per_month: f64,
    /// Cost until the pilot, paid at the start.
    pub build: f64,
    /// Worth of one unit of the KPI, cautiously.
    pub unit_value: f64,
}

/// The planner's answer with what it was asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answerable {
    /// Effect a unit at which the project just pays its running cost.
    pub break_even: f64,
    /// Power to see it within [`WEEKS_MAX`].
    pub power: f64,
    /// Weeks until the planned power is reached.
    pub weeks: f64,
    /// Units of both arms together that the planned power needs.
    pub units: u64,
    /// Measured units a week.
    pub units_per_week: f64,
}

/// Asks the planner with measured traffic and variances.
///
/// # Errors
/// `Insufficient` without traffic, variance, or a cost to break even on.
pub fn answerable(
    (handled, model): (&Moments, &Moments),
    units_per_week: f64,
    economics: Economics,
    (holdout, alpha, wanted_power, guardrails): (f64, f64, f64, u32),
) -> Result<Answerable, Insufficient> {
    let units_per_year = units_per_week * WEEKS_PER_YEAR;
    let yearly = economics.run_per_month * MONTHS_PER_YEAR;
    let break_even = money::break_even_effect(yearly, units_per_year, economics.unit_value)?;
    let mut question = Question::of_mean(handled.sd()?, break_even);
    question.variance_treated = model.variance()?;
    question.ratio = (1.0 - holdout) / holdout;
    question.alpha = alpha;
    question.power = wanted_power;
    question.guardrails = guardrails;
    let size = sample_size(&question)?;
    let control = (units_per_week * WEEKS_MAX * holdout).floor() as u64;
    Ok(Answerable {
        break_even,
        power: power(&question, control)?,
        weeks: size.total() as f64 / units_per_week,
        units: size.total(),
        units_per_week,
    })
}

/// The cautious net present value of the projection: the one-sided 80 % lower bound of the shadow
/// effect, the low unit value, all units a month, less running and building cost.
///
/// # Errors
/// `Insufficient` when the estimate has no bound or the figures do not add up.
pub fn npv_lower80(
    shadow: &Estimate,
    units_per_week: f64,
    economics: Economics,
) -> Result<f64, Insufficient> {
    let lower = one_sided_lower(shadow, 0.8)?;
    let units_per_month = units_per_week * WEEKS_PER_YEAR / MONTHS_PER_YEAR;
    let monthly = lower * units_per_month * economics.unit_value - economics.run_per_month;
    let mut flows = vec![-economics.build];
    flows.extend(std::iter::repeat_n(monthly, MONTHS));
    money::npv(&flows, DISCOUNT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use viaduct_stats::paired;

    const ECONOMICS: Economics =
        Economics { run_per_month: 2_000.0, build: 5_000.0, unit_value: 1.0 };

    #[test]
    fn a_small_break_even_needs_more_weeks() {
        let spread = Moments::from_mean_sd(2_000, -1.0, 18.0).unwrap();
        let arms = (0.5, 0.05, 0.8, 0);
        let slow = answerable((&spread, &spread), 400.0, ECONOMICS, arms).unwrap();
        let fast = answerable((&spread, &spread), 800.0, ECONOMICS, arms).unwrap();
        // Twice the traffic halves the break-even effect: four times the units, twice the weeks.
        assert!((fast.break_even * 2.0 - slow.break_even).abs() < 1e-9);
        assert!(fast.weeks > slow.weeks * 1.9 && fast.weeks < slow.weeks * 2.1);
        assert!((slow.power >= 0.8) == (slow.weeks <= WEEKS_MAX), "{slow:?}");
    }

    #[test]
    fn no_traffic_and_no_cost_are_no_evidence() {
        let spread = Moments::from_mean_sd(2_000, -1.0, 18.0).unwrap();
        let arms = (0.5, 0.05, 0.8, 0);
        assert!(answerable((&spread, &spread), 0.0, ECONOMICS, arms).is_err());
        let free = Economics { run_per_month: 0.0, ..ECONOMICS };
        assert!(answerable((&spread, &spread), 400.0, free, arms).is_err());
    }

    #[test]
    fn npv_by_hand() {
        let differences = Moments::from_mean_sd(4_000, 3.0, 10.0).unwrap();
        let shadow = paired(&differences, 0.95).unwrap();
        let lower = 3.0 - 0.841_621 * 10.0 / 4_000f64.sqrt();
        let monthly = lower * 1_000.0 * (365.25 / 7.0) / 12.0 - 2_000.0;
        let rate = 1.1f64.powf(1.0 / 12.0) - 1.0;
        let by_hand: f64 = -5_000.0 + (1..=24).map(|m| monthly / (1.0 + rate).powi(m)).sum::<f64>();
        let npv = npv_lower80(&shadow, 1_000.0, ECONOMICS).unwrap();
        assert!((npv - by_hand).abs() < by_hand.abs() * 1e-3, "{npv} {by_hand}");
    }
}
