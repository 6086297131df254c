//! Named binnings and counts.

use serde::{Deserialize, Serialize};

use crate::{
    insufficient::{Insufficient, Reason, require, require_finite, require_rows},
    metrics::quantile_sorted,
    moments::Moments,
};

/// Most bins of any binning.
const BINS_MAX: usize = 1_000_000;

/// How a numeric field is cut into bins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "rule")]
pub enum Binning {
    /// Equal shares of the reference (10 for the classic PSI), open at both ends.
    ReferenceQuantiles {
        /// Number of bins asked for; ties may leave fewer.
        bins: u32,
    },
    /// Equal widths by Sturges' rule over the values given (numpy's `sturges`).
    Sturges,
    /// Equal widths by Doane's rule over the values given (numpy's `doane`).
    Doane,
    /// Edges fixed beforehand, open at both ends.
    Fixed {
        /// Increasing edges.
        edges: Vec<f64>,
    },
}

impl Binning {
    /// Edges for these values. Quantiles and fixed edges are open at both ends, so k edges make
    /// k + 1 bins; equal widths are closed, so k edges make k - 1 bins.
    ///
    /// # Errors
    /// No values, values that are not finite, or fixed edges that do not increase.
    pub fn edges(&self, values: &[f64]) -> Result<Vec<f64>, Insufficient> {
        if let Self::Fixed { edges } = self {
            require_finite("edges", edges)?;
            require(!edges.is_empty(), "edges", "at least one")?;
            require(edges.windows(2).all(|pair| pair[0] < pair[1]), "edges", "increasing")?;
            return Ok(edges.clone());
        }
        require_rows("values", values.len() as u64, 1)?;
        require_finite("values", values)?;
        match self {
            Self::ReferenceQuantiles { bins } => quantile_edges(values, *bins),
            Self::Sturges => equal_widths(values, sturges_width(values)),
            Self::Doane => equal_widths(values, doane_width(values)),
            Self::Fixed { edges } => Ok(edges.clone()),
        }
    }
}

/// Distinct inner quantiles 1/k .. (k-1)/k of the values.
fn quantile_edges(values: &[f64], bins: u32) -> Result<Vec<f64>, Insufficient> {
    require(bins >= 2 && (bins as usize) <= BINS_MAX, "bins", "from 2 to 1000000")?;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut edges = Vec::with_capacity(bins as usize - 1);
    for i in 1..bins {
        edges.push(quantile_sorted(&sorted, f64::from(i) / f64::from(bins))?);
    }
    edges.dedup();
    Ok(edges)
}

fn range(values: &[f64]) -> (f64, f64) {
    values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(*x), high.max(*x)))
}

fn sturges_width(values: &[f64]) -> f64 {
    let (low, high) = range(values);
    (high - low) / ((values.len() as f64).log2() + 1.0)
}

fn doane_width(values: &[f64]) -> f64 {
    if values.len() <= 2 {
        return 0.0;
    }
    let n = values.len() as f64;
    let error = (6.0 * (n - 2.0) / ((n + 1.0) * (n + 3.0))).sqrt();
    let moments = Moments::of(values);
    let sigma = (moments.m2 / n).sqrt();
    if sigma <= 0.0 {
        return 0.0;
    }
    let skew = values.iter().map(|x| ((x - moments.mean) / sigma).powi(3)).sum::<f64>() / n;
    let (low, high) = range(values);
    (high - low) / (1.0 + n.log2() + (1.0 + skew.abs() / error).log2())
}

/// numpy's `histogram_bin_edges` for a width: a range of no extent is widened by one half each way.
fn equal_widths(values: &[f64], width: f64) -> Result<Vec<f64>, Insufficient> {
    let (mut low, mut high) = range(values);
    let bins = if width > 0.0 { ((high - low) / width).ceil().max(1.0) } else { 1.0 };
    if bins > BINS_MAX as f64 {
        return Err(Reason::TooLarge { what: "bins", limit: BINS_MAX as u64 }.into());
    }
    if low == high {
        (low, high) = (low - 0.5, high + 0.5);
    }
    even_edges(low, high, bins as usize)
}

/// `bins` equal bins from `low` to `high` (numpy's `linspace`).
///
/// # Errors
/// No bins, or a range that does not have room for them.
pub fn even_edges(low: f64, high: f64, bins: usize) -> Result<Vec<f64>, Insufficient> {
    require((1..=BINS_MAX).contains(&bins), "bins", "from 1 to 1000000")?;
    let step = (high - low) / bins as f64;
    require(step.is_finite() && step > 0.0, "range", "finite and of some extent")?;
    let mut edges: Vec<f64> = (0..=bins).map(|i| i as f64 * step + low).collect();
    edges[bins] = high;
    Ok(edges)
}

/// Counts per closed bin: `[e0, e1)`, ..., the last bin with its right edge; values outside are not
/// counted (numpy's `histogram`).
pub fn histogram(values: &[f64], edges: &[f64]) -> Vec<u64> {
    let bins = edges.len().saturating_sub(1);
    let mut counts = vec![0; bins];
    let (Some(first), Some(last)) = (edges.first(), edges.last()) else { return counts };
    for value in values.iter().filter(|value| *value >= first && *value <= last) {
        let above = edges.partition_point(|edge| edge <= value);
        let bin = above.saturating_sub(1).min(bins.saturating_sub(1));
        if let Some(count) = counts.get_mut(bin) {
            *count += 1;
        }
    }
    counts
}

/// [`histogram`] for edges of equal width: a guess by division, put right by looking at the edges.
/// The counts are the same for any edges; only the time is not.
pub fn histogram_even(values: &[f64], edges: &[f64]) -> Vec<u64> {
    let bins = edges.len().saturating_sub(1);
    let mut counts = vec![0; bins];
    let (Some(first), Some(last)) = (edges.first(), edges.last()) else { return counts };
    let per_unit = bins as f64 / (last - first);
    for value in values.iter().filter(|value| *value >= first && *value <= last) {
        let mut bin = (((value - first) * per_unit) as usize).min(bins.saturating_sub(1));
        while bin > 0 && edges[bin] > *value {
            bin -= 1;
        }
        while bin + 1 < bins && edges[bin + 1] <= *value {
            bin += 1;
        }
        if let Some(count) = counts.get_mut(bin) {
            *count += 1;
        }
    }
    counts
}

/// [`histogram`] of values that are sorted already, by bisection of the values instead of the edges.
pub fn histogram_sorted(sorted: &[f64], edges: &[f64]) -> Vec<u64> {
    let mut below: Vec<usize> =
        edges.iter().map(|edge| sorted.partition_point(|value| value < edge)).collect();
    if let (Some(last), Some(edge)) = (below.last_mut(), edges.last()) {
        *last = sorted.partition_point(|value| value <= edge);
    }
    below.windows(2).map(|pair| (pair[1] - pair[0]) as u64).collect()
}

/// Counts per open bin: `(-inf, e0)`, `[e0, e1)`, ..., `[ek, inf)`.
pub fn open_counts(values: &[f64], edges: &[f64]) -> Vec<u64> {
    let mut counts = vec![0; edges.len() + 1];
    for value in values {
        counts[edges.partition_point(|edge| edge <= value)] += 1;
    }
    counts
}

/// Counts as shares of `total`.
///
/// # Errors
/// A total of zero.
pub fn shares(counts: &[u64], total: u64) -> Result<Vec<f64>, Insufficient> {
    require_rows("values", total, 1)?;
    Ok(counts.iter().map(|count| *count as f64 / total as f64).collect())
}

/// Counts of two categorical samples over the sorted union of their categories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Categories {
    /// Categories, sorted.
    pub keys: Vec<String>,
    /// Counts of the reference.
    pub reference: Vec<u64>,
    /// Counts of the current sample.
    pub current: Vec<u64>,
}

/// Counts categories of both samples.
///
/// # Errors
/// An empty sample.
pub fn categories(reference: &[String], current: &[String]) -> Result<Categories, Insufficient> {
    require_rows("reference", reference.len() as u64, 1)?;
    require_rows("current", current.len() as u64, 1)?;
    let mut counts: std::collections::BTreeMap<&str, (u64, u64)> = Default::default();
    reference.iter().for_each(|key| counts.entry(key).or_default().0 += 1);
    current.iter().for_each(|key| counts.entry(key).or_default().1 += 1);
    Ok(Categories {
        keys: counts.keys().map(|key| (*key).to_owned()).collect(),
        reference: counts.values().map(|count| count.0).collect(),
        current: counts.values().map(|count| count.1).collect(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_quick_histogram_counts_as_the_plain_one(
            values in prop::collection::vec(prop_oneof![-8.0..8.0_f64, (-8..8_i8).prop_map(f64::from)], 0..200),
            low in -5.0..5.0_f64, width in 1e-3..10.0_f64, bins in 1..40_usize,
        ) {
            let edges = even_edges(low, low + width, bins).unwrap();
            prop_assert_eq!(histogram_even(&values, &edges), histogram(&values, &edges));
            let whole = even_edges(-5.0, 5.0, 10).unwrap();
            prop_assert_eq!(histogram_even(&values, &whole), histogram(&values, &whole));
            let uneven = [-6.0, -5.5, 0.0, 0.1, 7.0];
            prop_assert_eq!(histogram_even(&values, &uneven), histogram(&values, &uneven));
            prop_assert_eq!(histogram_even(&edges, &edges), histogram(&edges, &edges));
        }
    }
}
