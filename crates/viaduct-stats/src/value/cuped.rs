//! CUPED: removes from the outcome what a value from before the trial already explains.

use crate::{
    estimate::{Estimate, Method},
    insufficient::{Insufficient, Reason, finite, require_level, require_rows},
    moments::{Moments, PairMoments},
    value::welch::{self, Difference},
};

/// The adjusted comparison and what the adjustment bought.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cuped {
    /// `Cov(y, x) / Var(x)` over both arms pooled; 0 where x does not vary.
    pub theta: f64,
    /// The same from deviations within each arm.
    pub theta_within: f64,
    /// Comparison of the raw outcome.
    pub unadjusted: Difference,
    /// Comparison of `y - theta x`.
    pub adjusted: Difference,
    /// Share of the squared standard error that the adjustment removed.
    pub variance_reduction: f64,
}

/// Adjusts the outcome `y` by the covariate `x` of both arms (`value.md` §1.5.4).
///
/// # Errors
/// Fewer than two rows in an arm, or an outcome that does not vary (also once adjusted).
pub fn cuped_difference(
    control: &PairMoments,
    treated: &PairMoments,
) -> Result<Cuped, Insufficient> {
    require_rows("control", control.n(), 2)?;
    require_rows("treated", treated.n(), 2)?;
    let mut pooled = *control;
    pooled.merge(treated);
    let theta = slope(pooled.c, &pooled.x)?;
    let within =
        slope(control.c + treated.c, &Moments { m2: control.x.m2 + treated.x.m2, ..pooled.x })?;
    let arm = |pairs: &PairMoments| -> Result<(u64, f64, f64), Insufficient> {
        Ok((pairs.n(), pairs.y.mean, pairs.y.variance()?))
    };
    let unadjusted = welch::difference(arm(control)?, arm(treated)?)?;
    let adjusted_arm = |pairs: &PairMoments| {
        let m2 = pairs.y.m2 - 2.0 * theta * pairs.c + theta * theta * pairs.x.m2;
        // Why not below rounding: a covariate that explains everything leaves noise of the digits.
        let m2 = if m2 <= pairs.y.m2 * 8.0 * f64::EPSILON { 0.0 } else { m2 };
        // Why centred: the difference of arms does not depend on it, and digits are kept.
        let mean = pairs.y.mean - theta * (pairs.x.mean - pooled.x.mean);
        (pairs.n(), mean, m2 / (pairs.n() - 1) as f64)
    };
    let adjusted = welch::difference(adjusted_arm(control), adjusted_arm(treated))?;
    let variance_reduction = 1.0 - (adjusted.se / unadjusted.se).powi(2);
    Ok(Cuped { theta, theta_within: within, unadjusted, adjusted, variance_reduction })
}

/// [`cuped_difference`] as an estimate: the adjusted effect with its interval at `level`.
///
/// # Errors
/// As [`cuped_difference`].
pub fn cuped(
    control: &PairMoments,
    treated: &PairMoments,
    level: f64,
) -> Result<Estimate, Insufficient> {
    require_level(level)?;
    let found = cuped_difference(control, treated)?;
    let mut estimate = found.adjusted.into_estimate(
        Method::Cuped,
        "cuped-pooled-theta-welch/1",
        level,
        ((control.n(), control.y.mean), (treated.n(), treated.y.mean)),
    );
    estimate.parameters.insert("theta".into(), found.theta);
    estimate.parameters.insert("variance_reduction".into(), found.variance_reduction);
    Ok(estimate)
}

/// Fills in the covariate of units without history by the mean of those with history, so that they
/// neither gain nor lose; returns how many were filled.
pub fn impute_covariate(x: &mut [Option<f64>]) -> u64 {
    let known: Moments = x.iter().flatten().copied().collect();
    let mut filled = 0;
    for value in x.iter_mut().filter(|value| value.is_none()) {
        *value = Some(known.mean);
        filled += 1;
    }
    filled
}

/// Variance of the relative CUPED effect that honours the covariance of the control mean with the
/// effect. For display; gbstats 0.8.0 on PyPI leaves the covariance out.
///
/// With `d` the adjusted difference and `m` the raw control mean, the ratio `d / |m|` has variance
/// `Var(d)/m^2 - 2 d Cov(d, m)/m^3 + d^2 Var(m)/m^4`, and
/// `Cov(d, m) = -(Var(y) - theta Cov(y, x)) / n` in control.
///
/// # Errors
/// As [`cuped_difference`], or a control mean of zero.
pub fn relative_variance(
    control: &PairMoments,
    treated: &PairMoments,
) -> Result<f64, Insufficient> {
    let found = cuped_difference(control, treated)?;
    let mean = control.y.mean;
    if mean == 0.0 {
        return Err(Reason::ZeroDenominator("the mean of control").into());
    }
    let n = control.n() as f64;
    let variance = control.y.variance()?;
    let covariance = -(variance - found.theta * control.covariance()?) / n;
    let effect = found.adjusted.effect;
    let square = found.adjusted.se.powi(2) / mean.powi(2)
        - 2.0 * effect * covariance / mean.powi(3)
        + effect * effect * variance / n / mean.powi(4);
    finite("variance", square)
}

fn slope(products: f64, x: &Moments) -> Result<f64, Insufficient> {
    // Why relative: a constant such as 0.1 leaves rounding in m2, which is no variation.
    let noise = x.n as f64 * (4.0 * f64::EPSILON * x.mean).powi(2);
    if x.m2 <= noise { Ok(0.0) } else { finite("covariate", products / x.m2) }
}
