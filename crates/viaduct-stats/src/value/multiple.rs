//! Corrections for several tests: Bonferroni, Holm, Benjamini and Hochberg.
//!
//! Every function takes p-values in any order and returns adjusted ones in the same order, so a
//! hypothesis is rejected where `adjusted <= alpha`. Same figures as statsmodels' `multipletests`.

use crate::insufficient::{Insufficient, require, require_rows};

/// Bonferroni: `min(1, m p)`.
///
/// # Errors
/// No p-values, or one outside of [0, 1].
pub fn bonferroni(p: &[f64]) -> Result<Vec<f64>, Insufficient> {
    check(p)?;
    let m = p.len() as f64;
    Ok(p.iter().map(|p| (p * m).min(1.0)).collect())
}

/// Holm's step-down method: running maximum of `(m - rank) p` from the smallest up.
///
/// # Errors
/// As [`bonferroni`].
pub fn holm(p: &[f64]) -> Result<Vec<f64>, Insufficient> {
    let order = order(p)?;
    let m = p.len();
    let mut adjusted = vec![0.0; m];
    let mut floor: f64 = 0.0;
    for (rank, index) in order.into_iter().enumerate() {
        floor = floor.max(p[index] * (m - rank) as f64).min(1.0);
        adjusted[index] = floor;
    }
    Ok(adjusted)
}

/// Benjamini and Hochberg's false-discovery rate: running minimum of `p m / rank` from the largest
/// down.
///
/// # Errors
/// As [`bonferroni`].
pub fn benjamini_hochberg(p: &[f64]) -> Result<Vec<f64>, Insufficient> {
    let order = order(p)?;
    let m = p.len();
    let mut adjusted = vec![0.0; m];
    let mut ceiling: f64 = 1.0;
    for (rank, index) in order.into_iter().enumerate().rev() {
        ceiling = ceiling.min(p[index] / ((rank + 1) as f64 / m as f64));
        adjusted[index] = ceiling;
    }
    Ok(adjusted)
}

fn order(p: &[f64]) -> Result<Vec<usize>, Insufficient> {
    check(p)?;
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    Ok(order)
}

fn check(p: &[f64]) -> Result<(), Insufficient> {
    require_rows("p-values", p.len() as u64, 1)?;
    require(p.iter().all(|p| (0.0..=1.0).contains(p)), "p-values", "between 0 and 1")
}
