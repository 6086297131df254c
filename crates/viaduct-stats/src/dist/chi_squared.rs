//! The chi-squared distribution.

use super::gamma;

/// Upper tail P(X > x) with `dof` > 0 degrees of freedom.
pub fn sf(x: f64, dof: f64) -> f64 {
    gamma::regularised(0.5 * dof, 0.5 * x).1
}

/// Lower tail P(X <= x).
pub fn cdf(x: f64, dof: f64) -> f64 {
    gamma::regularised(0.5 * dof, 0.5 * x).0
}

/// Quantile: the x with `cdf(x) = p`.
pub fn quantile(p: f64, dof: f64) -> f64 {
    2.0 * gamma::quantile(0.5 * dof, p)
}
