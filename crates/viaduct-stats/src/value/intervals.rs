//! Exact and near-exact intervals of counts.

use serde::{Deserialize, Serialize};

use crate::{
    dist::{beta, binomial, gamma, normal},
    insufficient::{Insufficient, require, require_level, require_rows},
};

/// A two-sided interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

/// Wilson's score interval of a proportion of `x` out of `n` (Wilson 1927, no continuity correction).
///
/// # Errors
/// No trials, more events than trials, or a level outside of (0, 1).
pub fn wilson(x: u64, n: u64, level: f64) -> Result<Interval, Insufficient> {
    check(x, n, level)?;
    let z = -normal::quantile(0.5 * (1.0 - level));
    let (n, p) = (n as f64, x as f64 / n as f64);
    let ratio = z * z / n;
    let centre = (p + 0.5 * ratio) / (1.0 + ratio);
    let half = z / (1.0 + ratio) * (p * (1.0 - p) / n + 0.25 * ratio / n).sqrt();
    // Why by the product of both ends: their difference cancels for rare events.
    let lower = if x == 0 { 0.0 } else { p * p / (1.0 + ratio) / (centre + half) };
    let upper = if x as f64 == n { 1.0 } else { centre + half };
    Ok(Interval { lower, upper })
}

/// Clopper and Pearson's exact interval of a proportion (1934), by beta quantiles.
///
/// # Errors
/// As [`wilson`].
pub fn clopper_pearson(x: u64, n: u64, level: f64) -> Result<Interval, Insufficient> {
    check(x, n, level)?;
    let tail = 0.5 * (1.0 - level);
    let (events, rest) = (x as f64, (n - x) as f64);
    let lower = if x == 0 { 0.0 } else { beta::quantile(events, rest + 1.0, tail, 1.0 - tail) };
    let upper = if x == n { 1.0 } else { beta::quantile(events + 1.0, rest, 1.0 - tail, tail) };
    Ok(Interval { lower, upper })
}

/// Garwood's exact interval of a Poisson rate: `events` in `exposure` units of time (1936).
///
/// # Errors
/// An exposure that is not above zero and finite, or a level outside of (0, 1).
pub fn poisson(events: u64, exposure: f64, level: f64) -> Result<Interval, Insufficient> {
    require_level(level)?;
    require(exposure > 0.0 && exposure.is_finite(), "exposure", "above 0")?;
    let tail = 0.5 * (1.0 - level);
    let lower = if events == 0 { 0.0 } else { gamma::quantile(events as f64, tail) };
    let upper = gamma::upper_quantile(events as f64 + 1.0, tail);
    Ok(Interval { lower: lower / exposure, upper: upper / exposure })
}

/// Two-sided p that two Poisson rates are equal, given the total (conditional binomial test).
///
/// # Errors
/// No events at all, or an exposure that is not above zero.
pub fn poisson_ratio(control: (u64, f64), treated: (u64, f64)) -> Result<f64, Insufficient> {
    let total = control.0.saturating_add(treated.0);
    require_rows("events", total, 1)?;
    for exposure in [control.1, treated.1] {
        require(exposure > 0.0 && exposure.is_finite(), "exposure", "above 0")?;
    }
    let share = control.1 / (control.1 + treated.1);
    require(share > 0.0 && share < 1.0, "exposure", "of comparable size")?;
    Ok(binomial::test_two_sided(control.0, total, share))
}

fn check(x: u64, n: u64, level: f64) -> Result<(), Insufficient> {
    require_level(level)?;
    require_rows("trials", n, 1)?;
    require(x <= n, "events", "no more than trials")
}
