//! Tests on counts of categories.

use crate::{
    dist::chi_squared,
    insufficient::{Insufficient, Reason, require_rows, require_same_length},
};

/// A statistic with its degrees of freedom and upper chi-squared tail.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Test {
    /// Statistic.
    pub statistic: f64,
    /// Degrees of freedom.
    pub dof: u64,
    /// p-value.
    pub p_value: f64,
}

/// Yates' continuity correction, which is used for two categories only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Correction {
    /// Moves each count by up to one half towards its expectation.
    Yates,
    /// None.
    None,
}

/// Which statistic of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// Pearson's chi-squared.
    Pearson,
    /// The likelihood ratio G.
    LikelihoodRatio,
}

/// Independence of sample and category in a table of two rows (scipy's `chi2_contingency`).
///
/// # Errors
/// An empty row, or only one category.
pub fn independence(
    reference: &[u64],
    current: &[u64],
    statistic: Statistic,
    correction: Correction,
) -> Result<Test, Insufficient> {
    require_same_length("rows of the table", reference.len(), current.len())?;
    let kept: Vec<[f64; 2]> = reference
        .iter()
        .zip(current)
        .map(|(a, b)| [*a as f64, *b as f64])
        .filter(|pair| pair[0] + pair[1] > 0.0)
        .collect();
    let totals = [0, 1].map(|row| kept.iter().map(|pair| pair[row]).sum::<f64>());
    require_rows("reference", totals[0] as u64, 1)?;
    require_rows("current", totals[1] as u64, 1)?;
    if kept.len() < 2 {
        return Err(Reason::NoVariation("the category").into());
    }
    let dof = kept.len() as u64 - 1;
    let grand = totals[0] + totals[1];
    let shift = if dof == 1 && correction == Correction::Yates { 0.5 } else { 0.0 };
    let mut sum = 0.0;
    for pair in &kept {
        for row in [0, 1] {
            let expected = totals[row] * (pair[0] + pair[1]) / grand;
            let gap = expected - pair[row];
            let observed = pair[row] + gap.abs().min(shift) * gap.signum();
            sum += term(observed, expected, statistic);
        }
    }
    Ok(Test { statistic: sum, dof, p_value: chi_squared::sf(sum, dof as f64) })
}

/// Goodness of fit of observed counts to expected ones (scipy's `power_divergence`).
///
/// An expected count of zero that was observed makes the statistic infinite and p zero.
///
/// # Errors
/// Fewer than two categories, or sums that differ by more than 1e-8 relative.
pub fn goodness_of_fit(
    observed: &[f64],
    expected: &[f64],
    statistic: Statistic,
) -> Result<Test, Insufficient> {
    require_same_length("observed and expected", observed.len(), expected.len())?;
    if observed.len() < 2 {
        return Err(Reason::NoVariation("the category").into());
    }
    let (seen, planned): (f64, f64) = (observed.iter().sum(), expected.iter().sum());
    if (seen - planned).abs() > 1e-8 * seen.min(planned) {
        let rule = "equal in sum for observed and expected";
        return Err(Reason::OutOfRange { what: "counts", rule }.into());
    }
    let sum: f64 = observed.iter().zip(expected).map(|(o, e)| term(*o, *e, statistic)).sum();
    let dof = observed.len() as u64 - 1;
    let p_value = if sum.is_infinite() { 0.0 } else { chi_squared::sf(sum, dof as f64) };
    Ok(Test { statistic: sum, dof, p_value })
}

fn term(observed: f64, expected: f64, statistic: Statistic) -> f64 {
    match statistic {
        Statistic::Pearson => (observed - expected).powi(2) / expected,
        Statistic::LikelihoodRatio if observed == 0.0 => 0.0,
        Statistic::LikelihoodRatio => 2.0 * observed * (observed / expected).ln(),
    }
}
