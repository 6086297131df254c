//! Ratio metrics, such as emails per hour, by the delta method.

use crate::{
    estimate::{Estimate, Method},
    insufficient::{Insufficient, Reason, finite, require_level, require_rows},
    moments::PairMoments,
    value::welch::{self, Difference},
};

/// The ratio of sums of one arm and the variance of one unit's contribution to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// Units.
    pub n: u64,
    /// Sum of numerators over sum of denominators.
    pub ratio: f64,
    /// `Var(numerator - ratio * denominator) / mean(denominator)^2`, unbiased variance.
    pub variance: f64,
}

/// Ratio of sums of one arm; `y` holds numerators and `x` denominators, one pair a unit of analysis.
///
/// Units with a denominator of zero stay in. The variance is that of the linearised unit, identical
/// to the delta-method expression in means, variances and covariance (`value.md` §1.5.3).
///
/// # Errors
/// Fewer than two units, or denominators that sum to zero.
pub fn ratio_of(pairs: &PairMoments) -> Result<Ratio, Insufficient> {
    require_rows("units", pairs.n(), 2)?;
    if pairs.x.mean == 0.0 {
        return Err(Reason::ZeroDenominator("the sum of denominators").into());
    }
    let ratio = finite("ratio", pairs.y.mean / pairs.x.mean)?;
    let spread = pairs.y.variance()? - 2.0 * ratio * pairs.covariance()?
        + ratio * ratio * pairs.x.variance()?;
    let variance = finite("variance", spread.max(0.0) / pairs.x.mean / pairs.x.mean)?;
    Ok(Ratio { n: pairs.n(), ratio, variance })
}

/// Difference of two ratios with Welch's degrees of freedom; n counts units.
///
/// # Errors
/// As [`ratio_of`], or no variation in both arms.
pub fn ratio_difference(control: &Ratio, treated: &Ratio) -> Result<Difference, Insufficient> {
    welch::difference(
        (control.n, control.ratio, control.variance),
        (treated.n, treated.ratio, treated.variance),
    )
}

/// Compares the ratio of sums of two arms; `y` numerators, `x` denominators.
///
/// # Errors
/// As [`ratio_difference`].
pub fn ratio_delta(
    control: &PairMoments,
    treated: &PairMoments,
    level: f64,
) -> Result<Estimate, Insufficient> {
    require_level(level)?;
    let (c, t) = (ratio_of(control)?, ratio_of(treated)?);
    Ok(ratio_difference(&c, &t)?.into_estimate(
        Method::RatioDelta,
        "ratio-delta-welch/1",
        level,
        ((c.n, c.ratio), (t.n, t.ratio)),
    ))
}
