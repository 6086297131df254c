//! Distances of two distributions given as shares (or counts) over the same bins.
//!
//! All take slices of equal length with entries of 0 or more. Where a distance needs two samples of
//! shares that each sum to one, it normalises them.

use crate::insufficient::{Insufficient, Reason, require, require_rows, require_same_length};

/// What to do with an empty bin, whose logarithm does not exist.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum EmptyBins {
    /// Shares below this value are raised to it, in both samples.
    Floor(f64),
    /// Evidently's rule: zeros become 0.0001, or a millionth of the smallest share where that is
    /// not above 0.0001.
    Evidently,
}

/// The floor of the classic PSI.
pub const PSI_FLOOR: f64 = 1e-4;

fn check(p: &[f64], q: &[f64]) -> Result<(), Insufficient> {
    require_same_length("bins", p.len(), q.len())?;
    require_rows("bins", p.len() as u64, 1)?;
    let valid = |x: &[f64]| x.iter().all(|x| *x >= 0.0 && x.is_finite());
    require(valid(p) && valid(q), "shares", "0 or more")?;
    if p.iter().all(|x| *x == 0.0) || q.iter().all(|x| *x == 0.0) {
        return Err(Reason::TooFewRows { what: "a sample", needed: 1, got: 0 }.into());
    }
    Ok(())
}

/// Fills the empty bins of shares.
pub(crate) fn filled(shares: &[f64], rule: EmptyBins) -> Vec<f64> {
    match rule {
        EmptyBins::Floor(floor) => shares.iter().map(|share| share.max(floor)).collect(),
        EmptyBins::Evidently => {
            let smallest =
                shares.iter().copied().filter(|share| *share > 0.0).fold(f64::INFINITY, f64::min);
            let fill = if smallest <= 0.0001 { smallest / 1e6 } else { 0.0001 };
            shares.iter().map(|share| if *share == 0.0 { fill } else { *share }).collect()
        }
    }
}

/// Population stability index `sum (p - q) ln(p / q)`.
///
/// # Errors
/// Samples of different length, without mass, or with negative shares.
pub fn psi(p: &[f64], q: &[f64], empty: EmptyBins) -> Result<f64, Insufficient> {
    check(p, q)?;
    let (p, q) = (filled(p, empty), filled(q, empty));
    Ok(p.iter().zip(&q).map(|(p, q)| (p - q) * (p / q).ln()).sum())
}

/// Kullback-Leibler divergence of p from q in nats, both filled and then normalised.
///
/// # Errors
/// As [`psi`].
pub fn kl(p: &[f64], q: &[f64], empty: EmptyBins) -> Result<f64, Insufficient> {
    check(p, q)?;
    let (p, q) = (normal(&filled(p, empty)), normal(&filled(q, empty)));
    Ok(p.iter().zip(&q).map(|(p, q)| relative_entropy(*p, *q)).sum())
}

/// Base of the logarithm of an entropy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// Bits; the Jensen-Shannon distance then lies in [0, 1].
    Two,
    /// Nats.
    E,
}

/// Jensen-Shannon distance (the square root of the divergence), both samples normalised.
///
/// # Errors
/// As [`psi`].
pub fn jensen_shannon(p: &[f64], q: &[f64], base: Base) -> Result<f64, Insufficient> {
    check(p, q)?;
    let (p, q) = (normal(p), normal(q));
    let sum: f64 = p
        .iter()
        .zip(&q)
        .map(|(p, q)| {
            let middle = 0.5 * (p + q);
            relative_entropy(*p, middle) + relative_entropy(*q, middle)
        })
        .sum();
    let scale = match base {
        Base::Two => std::f64::consts::LN_2,
        Base::E => 1.0,
    };
    Ok((sum / scale / 2.0).max(0.0).sqrt())
}

/// Hellinger distance `sqrt(sum (sqrt p - sqrt q)^2 / 2)` of shares as given.
///
/// # Errors
/// As [`psi`].
pub fn hellinger(p: &[f64], q: &[f64]) -> Result<f64, Insufficient> {
    check(p, q)?;
    let sum: f64 = p.iter().zip(q).map(|(p, q)| (p.sqrt() - q.sqrt()).powi(2)).sum();
    Ok((0.5 * sum).sqrt())
}

/// Largest absolute difference of shares.
///
/// # Errors
/// As [`psi`].
pub fn l_infinity(p: &[f64], q: &[f64]) -> Result<f64, Insufficient> {
    check(p, q)?;
    Ok(p.iter().zip(q).map(|(p, q)| (p - q).abs()).fold(0.0, f64::max))
}

/// Total variation: half the sum of absolute differences of shares.
///
/// # Errors
/// As [`psi`].
pub fn total_variation(p: &[f64], q: &[f64]) -> Result<f64, Insufficient> {
    check(p, q)?;
    Ok(0.5 * p.iter().zip(q).map(|(p, q)| (p - q).abs()).sum::<f64>())
}

/// Kolmogorov-Smirnov statistic on binned shares: the largest difference of the running sums.
///
/// # Errors
/// As [`psi`].
pub fn binned_ks(p: &[f64], q: &[f64]) -> Result<f64, Insufficient> {
    check(p, q)?;
    let (mut a, mut b, mut largest) = (0.0, 0.0, 0.0_f64);
    for (p, q) in p.iter().zip(q) {
        a += p;
        b += q;
        largest = largest.max((a - b).abs());
    }
    Ok(largest)
}

fn normal(shares: &[f64]) -> Vec<f64> {
    let sum: f64 = shares.iter().sum();
    shares.iter().map(|share| share / sum).collect()
}

fn relative_entropy(p: f64, q: f64) -> f64 {
    if p > 0.0 { p * (p / q).ln() } else { 0.0 }
}
