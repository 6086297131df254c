//! Profiles: what a field looks like.

use std::collections::BTreeMap;

use crate::{
    drift::binning::{Binning, histogram},
    insufficient::{Insufficient, require_finite, require_rows},
    metrics::quantile_sorted,
    moments::Moments,
};

/// Quantiles of every numeric profile.
pub const QUANTILES: [f64; 7] = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99];
/// Entries of the list of most frequent values.
pub const TOP: usize = 10;

/// Profile of a numeric field. Moments are of the values that are present.
#[derive(Debug, Clone, PartialEq)]
pub struct Numeric {
    /// Rows, missing ones included.
    pub rows: u64,
    /// Missing rows.
    pub nulls: u64,
    /// Distinct values.
    pub distinct: u64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Mean.
    pub mean: f64,
    /// Variance with divisor n - 1; absent for one value.
    pub variance: Option<f64>,
    /// Variance with divisor n.
    pub variance_population: f64,
    /// Adjusted Fisher-Pearson skewness (pandas); absent below three values or without variation.
    pub skew: Option<f64>,
    /// Adjusted excess kurtosis (pandas); absent below four values or without variation.
    pub kurtosis: Option<f64>,
    /// Median absolute deviation from the median, not scaled.
    pub mad: f64,
    /// Values equal to zero.
    pub zeros: u64,
    /// Values below zero.
    pub negatives: u64,
    /// Present values, sorted.
    pub sorted: Vec<f64>,
}

/// Profiles a numeric field; `None` is missing.
///
/// # Errors
/// No value that is present, or values that are not finite.
pub fn numeric(values: &[Option<f64>]) -> Result<Numeric, Insufficient> {
    let mut sorted: Vec<f64> = values.iter().flatten().copied().collect();
    require_rows("values", sorted.len() as u64, 1)?;
    require_finite("values", &sorted)?;
    let moments = Moments::of(&sorted);
    sorted.sort_by(f64::total_cmp);
    let median = quantile_sorted(&sorted, 0.5)?;
    let mut gaps: Vec<f64> = sorted.iter().map(|value| (value - median).abs()).collect();
    gaps.sort_by(f64::total_cmp);
    let (skew, kurtosis) = shape(&sorted, &moments);
    Ok(Numeric {
        rows: values.len() as u64,
        nulls: (values.len() - sorted.len()) as u64,
        distinct: 1 + sorted.windows(2).filter(|pair| pair[0] != pair[1]).count() as u64,
        min: sorted[0],
        max: sorted[sorted.len() - 1],
        mean: moments.mean,
        variance: moments.variance().ok(),
        variance_population: moments.variance_population()?,
        skew,
        kurtosis,
        mad: quantile_sorted(&gaps, 0.5)?,
        zeros: sorted.iter().filter(|value| **value == 0.0).count() as u64,
        negatives: sorted.iter().filter(|value| **value < 0.0).count() as u64,
        sorted,
    })
}

impl Numeric {
    /// Quantile with linear interpolation.
    ///
    /// # Errors
    /// `q` outside of [0, 1].
    pub fn quantile(&self, q: f64) -> Result<f64, Insufficient> {
        quantile_sorted(&self.sorted, q)
    }

    /// Discrete quantile: the smallest value with at least a share `q` at or below it (DuckDB's
    /// `quantile_disc`).
    pub fn quantile_discrete(&self, q: f64) -> f64 {
        let n = self.sorted.len();
        let above = (n as f64 - q * n as f64).floor().clamp(0.0, n as f64) as usize;
        self.sorted[(n - above).max(1) - 1]
    }

    /// Edges and counts of a histogram over the field's own values.
    ///
    /// # Errors
    /// As [`Binning::edges`].
    pub fn histogram(&self, binning: &Binning) -> Result<(Vec<f64>, Vec<u64>), Insufficient> {
        let edges = binning.edges(&self.sorted)?;
        let counts = histogram(&self.sorted, &edges);
        Ok((edges, counts))
    }
}

fn shape(values: &[f64], moments: &Moments) -> (Option<f64>, Option<f64>) {
    let n = values.len() as f64;
    let spread = (moments.m2 / n).sqrt();
    if spread <= 4.0 * f64::EPSILON * moments.mean.abs() {
        return (None, None);
    }
    let (mut cubes, mut fourths) = (0.0, 0.0);
    for value in values {
        // Why scaled: powers of raw deviations overflow.
        let z = (value - moments.mean) / spread;
        cubes += z * z * z;
        fourths += z * z * z * z;
    }
    let (g1, g2) = (cubes / n, fourths / n - 3.0);
    let skew = (n >= 3.0).then(|| (n * (n - 1.0)).sqrt() / (n - 2.0) * g1);
    let kurtosis = (n >= 4.0).then(|| (n - 1.0) / ((n - 2.0) * (n - 3.0)) * ((n + 1.0) * g2 + 6.0));
    let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
    (finite(skew), finite(kurtosis))
}

/// Profile of a categorical field.
#[derive(Debug, Clone, PartialEq)]
pub struct Categorical {
    /// Rows, missing ones included.
    pub rows: u64,
    /// Missing rows.
    pub nulls: u64,
    /// Distinct values.
    pub distinct: u64,
    /// Most frequent values with their counts, ties by name.
    pub top: Vec<(String, u64)>,
    /// Entropy in nats.
    pub entropy: f64,
    /// Chance that two draws differ, `1 - sum p^2`.
    pub gini_impurity: f64,
    /// Fewest, most and mean characters.
    pub lengths: (u64, u64, f64),
}

/// Profiles a categorical field; `None` is missing.
///
/// # Errors
/// No value that is present.
pub fn categorical(values: &[Option<String>]) -> Result<Categorical, Insufficient> {
    let present: Vec<&str> = values.iter().flatten().map(String::as_str).collect();
    require_rows("values", present.len() as u64, 1)?;
    let n = present.len() as f64;
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    present.iter().for_each(|value| *counts.entry(value).or_default() += 1);
    let mut top: Vec<(String, u64)> =
        counts.iter().map(|(value, count)| ((*value).to_owned(), *count)).collect();
    top.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    top.truncate(TOP);
    let share = |count: &u64| *count as f64 / n;
    let lengths: Vec<u64> = present.iter().map(|value| value.chars().count() as u64).collect();
    Ok(Categorical {
        rows: values.len() as u64,
        nulls: (values.len() - present.len()) as u64,
        distinct: counts.len() as u64,
        top,
        entropy: -counts.values().map(|count| share(count) * share(count).ln()).sum::<f64>(),
        gini_impurity: 1.0 - counts.values().map(|count| share(count).powi(2)).sum::<f64>(),
        lengths: (
            lengths.iter().copied().min().unwrap_or(0),
            lengths.iter().copied().max().unwrap_or(0),
            lengths.iter().sum::<u64>() as f64 / n,
        ),
    })
}
