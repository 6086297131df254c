//! NannyML's univariate figures (0.13), for comparing with a platform that used it.
//!
//! Numeric fields: Doane's bins of the reference only, the mass outside in one extra bin, entropies
//! in bits; from 10,000 reference rows on, KS and Wasserstein work on 10,000 equal-width bins.

use crate::{
    drift::{
        binning::{Binning, Categories, even_edges, histogram_even, shares},
        contingency::{Correction, Statistic, Test, independence},
        distance::{self, Base},
        samples::Sorted,
    },
    insufficient::{Insufficient, require_finite, require_rows},
};

/// Reference rows from which KS and Wasserstein are estimated on bins.
const ROWS_EXACT: usize = 10_000;
/// Bins of the estimate.
const BINS: usize = 10_000;

/// Figures of a numeric field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Numeric {
    /// Kolmogorov-Smirnov statistic.
    pub kolmogorov_smirnov: f64,
    /// Jensen-Shannon distance in bits.
    pub jensen_shannon: f64,
    /// Wasserstein distance in the field's unit.
    pub wasserstein: f64,
    /// Hellinger distance.
    pub hellinger: f64,
}

/// Figures of a categorical field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Categorical {
    /// Chi-squared of the table, Yates-corrected for two categories; `None` for one category.
    pub chi2: Option<Test>,
    /// Jensen-Shannon distance in bits.
    pub jensen_shannon: f64,
    /// Largest difference of shares.
    pub l_infinity: f64,
    /// Hellinger distance.
    pub hellinger: f64,
}

/// Computes a numeric field without missing values.
///
/// # Errors
/// An empty sample or values that are not finite.
pub fn numeric(reference: &[f64], current: &[f64]) -> Result<Numeric, Insufficient> {
    require_rows("current", current.len() as u64, 1)?;
    require_finite("current", current)?;
    let edges = Binning::Doane.edges(reference)?;
    let p = shares(&histogram_even(reference, &edges), reference.len() as u64)?;
    let q = shares(&histogram_even(current, &edges), current.len() as u64)?;
    let (p, q) = with_leftover(p, q);
    // Why only then: large samples are never sorted.
    let exact = match reference.len() < ROWS_EXACT {
        true => Some(Sorted::new(reference, current)?),
        false => None,
    };
    Ok(Numeric {
        kolmogorov_smirnov: match &exact {
            Some(sorted) => sorted.ks().statistic,
            None => estimated_ks(reference, current)?,
        },
        jensen_shannon: distance::jensen_shannon(&p, &q, Base::Two)?,
        wasserstein: match &exact {
            Some(sorted) => sorted.wasserstein(),
            None => estimated_wasserstein(reference, current)?,
        },
        hellinger: distance::hellinger(&p, &q)?,
    })
}

/// Computes a categorical field without missing values.
///
/// # Errors
/// An empty sample.
pub fn categorical(counts: &Categories) -> Result<Categorical, Insufficient> {
    let p = shares(&counts.reference, counts.reference.iter().sum())?;
    let q = shares(&counts.current, counts.current.iter().sum())?;
    // Categories that the reference does not know count as one.
    let known: Vec<usize> = (0..p.len()).filter(|i| counts.reference[*i] > 0).collect();
    let pick = |x: &[f64]| known.iter().map(|i| x[*i]).collect::<Vec<f64>>();
    let (kp, kq) = with_leftover(pick(&p), pick(&q));
    Ok(Categorical {
        chi2: independence(
            &counts.reference,
            &counts.current,
            Statistic::Pearson,
            Correction::Yates,
        )
        .ok(),
        jensen_shannon: distance::jensen_shannon(&kp, &kq, Base::Two)?,
        l_infinity: distance::l_infinity(&p, &q)?,
        hellinger: distance::hellinger(&kp, &kq)?,
    })
}

/// Adds the mass of the current sample outside of the bins as one more bin.
fn with_leftover(mut p: Vec<f64>, mut q: Vec<f64>) -> (Vec<f64>, Vec<f64>) {
    let leftover = 1.0 - q.iter().sum::<f64>();
    // Why not exactly zero: shares that sum to one within rounding leave nothing over.
    if leftover > 1e-12 {
        p.push(0.0);
        q.push(leftover);
    }
    (p, q)
}

fn extent(values: &[f64]) -> (f64, f64) {
    values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(*x), high.max(*x)))
}

fn widened((low, high): (f64, f64)) -> (f64, f64) {
    if low == high { (low - 0.5, high + 0.5) } else { (low, high) }
}

fn running(counts: &[u64], total: usize, start: f64) -> Vec<f64> {
    let mut sum = 0.0;
    counts
        .iter()
        .map(|count| {
            sum += *count as f64 / total as f64;
            start + sum
        })
        .collect()
}

fn estimated_ks(reference: &[f64], current: &[f64]) -> Result<f64, Insufficient> {
    let (low, high) = widened(extent(reference));
    let edges = even_edges(low, high, BINS)?;
    let below = current.iter().filter(|x| **x < low).count() as f64 / current.len() as f64;
    let f = running(&histogram_even(reference, &edges), reference.len(), 0.0);
    let g = running(&histogram_even(current, &edges), current.len(), below);
    Ok(f.iter().zip(&g).map(|(f, g)| (f - g).abs()).fold(0.0, f64::max))
}

fn estimated_wasserstein(reference: &[f64], current: &[f64]) -> Result<f64, Insufficient> {
    let (low, high) = widened(extent(reference));
    let edges = even_edges(low, high, BINS)?;
    let width = edges[1] - edges[0];
    let mut smaller: Vec<f64> = current.iter().copied().filter(|x| *x < low).collect();
    let mut bigger: Vec<f64> = current.iter().copied().filter(|x| *x > high).collect();
    let n = current.len() as f64;
    // The tails outside, each with the nearest edge as one more point (NannyML's weights).
    let tail = |values: &mut Vec<f64>, edge: f64, area: fn(f64) -> f64| {
        if values.is_empty() {
            return (0.0, 0.0);
        }
        let amount = (values.len() + 1) as f64 / n;
        values.push(edge);
        values.sort_by(f64::total_cmp);
        let count = values.len() as f64;
        let sum: f64 = values
            .windows(2)
            .enumerate()
            .map(|(i, pair)| area((i + 1) as f64 / count) * (pair[1] - pair[0]))
            .sum();
        (sum * amount, amount)
    };
    let (below, amount_below) = tail(&mut smaller, low, |y| y);
    let (above, _) = tail(&mut bigger, high, |y| 1.0 - y);
    let f = running(&histogram_even(reference, &edges), reference.len(), 0.0);
    let g = running(&histogram_even(current, &edges), current.len(), amount_below);
    let within: f64 = f.iter().zip(&g).map(|(f, g)| (f - g).abs() * width).sum();
    Ok(within + below + above)
}
