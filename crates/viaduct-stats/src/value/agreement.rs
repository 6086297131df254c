//! Agreement of two judges on the same cases.

use serde::{Deserialize, Serialize};

use crate::{
    dist::{binomial, chi_squared, normal},
    insufficient::{Insufficient, Reason, require, require_level, require_rows},
};

/// McNemar's test of two judges' correctness on the same cases.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Mcnemar {
    /// Cases.
    pub n: u64,
    /// Share that the first judge had right.
    pub accuracy_first: f64,
    /// Share that the second judge had right.
    pub accuracy_second: f64,
    /// Exact two-sided p on the disagreements; 1 where there are none.
    pub p_exact: f64,
    /// Statistic with Edwards' continuity correction; absent without disagreement.
    pub chi2_corrected: Option<f64>,
    /// Its p; absent without disagreement.
    pub p_corrected: Option<f64>,
}

/// McNemar's test. `table[i][j]`: first judge right (i = 0) or wrong, second judge right (j = 0) or
/// wrong.
///
/// # Errors
/// An empty table.
pub fn mcnemar(table: [[u64; 2]; 2]) -> Result<Mcnemar, Insufficient> {
    let [[both, first], [second, neither]] = table;
    let n = [both, first, second, neither]
        .iter()
        .try_fold(0_u64, |sum, count| sum.checked_add(*count))
        .ok_or(Reason::OutOfRange { what: "cases", rule: "below 2^64" })?;
    require_rows("cases", n, 1)?;
    let (cases, apart) = (n as f64, first + second);
    let corrected = (apart > 0).then(|| {
        let gap = (first.abs_diff(second) as f64 - 1.0).powi(2) / apart as f64;
        (gap, chi_squared::sf(gap, 1.0))
    });
    let p_exact = (2.0 * binomial::cdf(first.min(second), apart, 0.5)).min(1.0);
    Ok(Mcnemar {
        n,
        accuracy_first: (both + first) as f64 / cases,
        accuracy_second: (both + second) as f64 / cases,
        p_exact,
        chi2_corrected: corrected.map(|(chi2, _)| chi2),
        p_corrected: corrected.map(|(_, p)| p),
    })
}

/// Cohen's kappa with its large-sample standard error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Kappa {
    /// Agreement beyond chance.
    pub kappa: f64,
    /// Standard error by Fleiss, Cohen and Everitt (1969), as in statsmodels.
    pub se: f64,
    /// Lower end of the normal interval.
    pub lower: f64,
    /// Upper end of the normal interval.
    pub upper: f64,
}

/// Cohen's kappa of a square table of counts, rows one judge and columns the other.
///
/// # Errors
/// A table that is not square, has no counts, or where chance agreement is already complete.
pub fn cohens_kappa(table: &[Vec<u64>], level: f64) -> Result<Kappa, Insufficient> {
    require_level(level)?;
    let classes = table.len();
    require(classes >= 2 && table.iter().all(|row| row.len() == classes), "table", "square")?;
    let n: f64 = table.iter().flatten().map(|count| *count as f64).sum();
    require_rows("cases", n as u64, 1)?;
    let share = |i: usize, j: usize| table[i][j] as f64 / n;
    let rows: Vec<f64> = (0..classes).map(|i| (0..classes).map(|j| share(i, j)).sum()).collect();
    let columns: Vec<f64> = (0..classes).map(|j| (0..classes).map(|i| share(i, j)).sum()).collect();
    let observed: f64 = (0..classes).map(|i| share(i, i)).sum();
    let chance: f64 = rows.iter().zip(&columns).map(|(row, column)| row * column).sum();
    if 1.0 - chance <= f64::EPSILON {
        return Err(Reason::NoVariation("the judges' answer").into());
    }
    let kappa = (observed - chance) / (1.0 - chance);
    let mut on = 0.0;
    let mut off = 0.0;
    for i in 0..classes {
        on += share(i, i) * (1.0 - (rows[i] + columns[i]) * (1.0 - kappa)).powi(2);
        for j in (0..classes).filter(|j| *j != i) {
            off += share(i, j) * (columns[i] + rows[j]).powi(2);
        }
    }
    let bias = (kappa - chance * (1.0 - kappa)).powi(2);
    let spread = on + (1.0 - kappa).powi(2) * off - bias;
    let se = (spread.max(0.0) / n).sqrt() / (1.0 - chance);
    let half = -normal::quantile(0.5 * (1.0 - level)) * se;
    Ok(Kappa { kappa, se, lower: kappa - half, upper: kappa + half })
}
