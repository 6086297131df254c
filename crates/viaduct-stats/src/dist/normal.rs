//! The standard normal distribution.

use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

/// Density at `z`.
pub fn pdf(z: f64) -> f64 {
    const INV_SQRT_TAU: f64 = 0.398_942_280_401_432_7;
    INV_SQRT_TAU * (-0.5 * z * z).exp()
}

/// Lower tail P(Z <= z), with full relative accuracy far below zero.
pub fn cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
}

/// Upper tail P(Z > z), with full relative accuracy far above zero.
pub fn sf(z: f64) -> f64 {
    0.5 * libm::erfc(z * FRAC_1_SQRT_2)
}

/// Both tails P(|Z| >= |z|).
pub fn two_sided(z: f64) -> f64 {
    libm::erfc(z.abs() * FRAC_1_SQRT_2)
}

/// Quantile: the z with `cdf(z) = p`.
///
/// Why the correction: one Newton step removes the last digit that the rational approximation of
/// `erfc_inv` leaves.
pub fn quantile(p: f64) -> f64 {
    if !(p > 0.0 && p < 1.0) {
        return match p {
            0.0 => f64::NEG_INFINITY,
            1.0 => f64::INFINITY,
            _ => f64::NAN,
        };
    }
    let z = -SQRT_2 * statrs::function::erf::erfc_inv(2.0 * p);
    let density = pdf(z);
    if density > 0.0 { z - (cdf(z) - p) / density } else { z }
}
