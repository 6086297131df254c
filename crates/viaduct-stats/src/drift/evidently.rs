//! Evidently's figures (0.7, `legacy.calculations.stattests`), for comparing with a platform that
//! used it.
//!
//! Numeric fields with more than 20 distinct reference values are binned by Sturges over both
//! samples, other fields by their values; empty bins are filled by Evidently's rule; entropies are in
//! nats. A score's direction (p-value or distance) is part of its method.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::{
    dist::normal,
    drift::{
        binning::{Binning, Categories, histogram_even, histogram_sorted, shares},
        contingency::{Statistic, goodness_of_fit},
        distance::{self, Base, EmptyBins},
        samples::{Sorted, ValueCounts},
    },
    insufficient::{Insufficient, Reason, require_finite, require_rows},
    moments::Moments,
};

/// Distinct reference values above which a numeric field is binned.
const DISTINCT_MAX: usize = 20;
/// Rows of the reference above which the preset prefers distances to tests.
const ROWS_MAX: usize = 1000;

/// Evidently's methods by their names there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Method {
    /// Population stability index.
    #[serde(rename = "psi")]
    Psi,
    /// Jensen-Shannon distance in nats.
    #[serde(rename = "jensenshannon")]
    JensenShannon,
    /// Kullback-Leibler divergence of the reference from the current sample.
    #[serde(rename = "kl_div")]
    KullbackLeibler,
    /// Hellinger distance; numeric fields by Sturges over the distinct values of both samples.
    #[serde(rename = "hellinger")]
    Hellinger,
    /// Wasserstein distance over the reference's standard deviation (n, at least 0.001).
    #[serde(rename = "wasserstein")]
    Wasserstein,
    /// Kolmogorov-Smirnov p-value.
    #[serde(rename = "ks")]
    Ks,
    /// Energy distance.
    #[serde(rename = "ed")]
    Energy,
    /// p-value of chi-squared goodness of fit to the reference's shares.
    #[serde(rename = "chisquare")]
    ChiSquare,
    /// p-value of G goodness of fit to the reference's counts; needs samples of equal size.
    #[serde(rename = "g_test")]
    G,
    /// p-value of the pooled z test on the share outside of the first category.
    #[serde(rename = "z")]
    Z,
}

impl Method {
    /// Evidently's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Psi => "psi",
            Self::JensenShannon => "jensenshannon",
            Self::KullbackLeibler => "kl_div",
            Self::Hellinger => "hellinger",
            Self::Wasserstein => "wasserstein",
            Self::Ks => "ks",
            Self::Energy => "ed",
            Self::ChiSquare => "chisquare",
            Self::G => "g_test",
            Self::Z => "z",
        }
    }

    /// Default threshold.
    pub fn threshold(self) -> f64 {
        match self {
            Self::Ks | Self::ChiSquare | Self::Z => 0.05,
            _ => 0.1,
        }
    }

    fn is_drifted(self, score: f64) -> bool {
        match self {
            Self::Ks => score <= self.threshold(),
            Self::ChiSquare | Self::G | Self::Z => score < self.threshold(),
            Self::Energy => score > self.threshold(),
            _ => score >= self.threshold(),
        }
    }
}

/// A score and Evidently's verdict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The method.
    pub method: Method,
    /// p-value or distance.
    pub score: f64,
    /// Verdict at the default threshold.
    pub is_drifted: bool,
}

fn scored(method: Method, score: f64) -> Score {
    Score { method, score, is_drifted: method.is_drifted(score) }
}

/// Methods of numeric fields.
pub const NUMERIC: [Method; 7] = [
    Method::Psi,
    Method::JensenShannon,
    Method::KullbackLeibler,
    Method::Hellinger,
    Method::Wasserstein,
    Method::Ks,
    Method::Energy,
];

/// Methods of categorical fields.
pub const CATEGORICAL: [Method; 7] = [
    Method::Psi,
    Method::JensenShannon,
    Method::KullbackLeibler,
    Method::Hellinger,
    Method::ChiSquare,
    Method::Z,
    Method::G,
];

/// A numeric field without missing values. Sorting waits until a method needs it.
#[derive(Debug, Clone)]
pub struct Numeric<'a> {
    reference: &'a [f64],
    current: &'a [f64],
    sorted: OnceLock<Sorted>,
    counts: OnceLock<ValueCounts>,
    bins: (Vec<f64>, Vec<f64>),
}

/// Whether there are more than [`DISTINCT_MAX`] distinct values; a look at the first few tells it
/// of any field that is continuous.
fn is_many(values: &[f64]) -> bool {
    let mut seen: Vec<f64> = Vec::with_capacity(DISTINCT_MAX + 1);
    for value in values {
        if !seen.contains(value) {
            seen.push(*value);
            if seen.len() > DISTINCT_MAX {
                return true;
            }
        }
    }
    false
}

impl<'a> Numeric<'a> {
    /// Counts once what the methods share.
    ///
    /// # Errors
    /// An empty sample or values that are not finite.
    pub fn new(reference: &'a [f64], current: &'a [f64]) -> Result<Self, Insufficient> {
        require_rows("reference", reference.len() as u64, 1)?;
        require_rows("current", current.len() as u64, 1)?;
        require_finite("reference", reference)?;
        require_finite("current", current)?;
        let bins = Default::default();
        let (sorted, counts) = (OnceLock::new(), OnceLock::new());
        let mut field = Self { reference, current, sorted, counts, bins };
        let sizes = (reference.len() as u64, current.len() as u64);
        field.bins = if is_many(reference) {
            let both = [reference, current].concat();
            let edges = Binning::Sturges.edges(&both)?;
            (
                shares(&histogram_even(reference, &edges), sizes.0)?,
                shares(&histogram_even(current, &edges), sizes.1)?,
            )
        } else {
            let counts = field.counts();
            (shares(&counts.reference, sizes.0)?, shares(&counts.current, sizes.1)?)
        };
        Ok(field)
    }

    fn sorted(&self) -> &Sorted {
        self.sorted.get_or_init(|| Sorted::of_finite(self.reference, self.current))
    }

    fn counts(&self) -> &ValueCounts {
        self.counts.get_or_init(|| self.sorted().value_counts())
    }

    /// Computes one method.
    ///
    /// # Errors
    /// A method that is not for numeric fields, or that does not exist for these samples.
    pub fn score(&self, method: Method) -> Result<Score, Insufficient> {
        let (p, q) = (&self.bins.0, &self.bins.1);
        let score = match method {
            Method::Psi => distance::psi(p, q, EmptyBins::Evidently)?,
            Method::JensenShannon => distance::jensen_shannon(p, q, Base::E)?,
            Method::KullbackLeibler => distance::kl(p, q, EmptyBins::Evidently)?,
            Method::Hellinger => {
                let edges = Binning::Sturges.edges(&self.counts().keys)?;
                let (reference, current) = self.sorted().samples();
                let p = shares(&histogram_sorted(reference, &edges), reference.len() as u64)?;
                let q = shares(&histogram_sorted(current, &edges), current.len() as u64)?;
                bhattacharyya(&p, &q)
            }
            Method::Wasserstein => {
                let spread = Moments::of(self.reference).variance_population()?.sqrt();
                self.sorted().wasserstein() / spread.max(0.001)
            }
            Method::Ks => self.sorted().ks().p_value(),
            Method::Energy => self.sorted().energy(),
            Method::ChiSquare | Method::Z | Method::G => {
                let counts = self.counts();
                return counted(method, &counts.reference, &counts.current);
            }
        };
        Ok(scored(method, score))
    }

    /// The preset's own choice for a numeric field.
    ///
    /// # Errors
    /// As [`Numeric::score`].
    pub fn preset(&self) -> Result<Score, Insufficient> {
        let is_small = self.reference.len() <= ROWS_MAX;
        let method = match (self.counts().keys.len(), is_small) {
            (0..=2, true) => Method::Z,
            (3..=5, true) => Method::ChiSquare,
            (_, true) => Method::Ks,
            (0..=5, false) => Method::JensenShannon,
            (_, false) => Method::Wasserstein,
        };
        self.score(method)
    }
}

/// A categorical field without missing values.
///
/// # Errors
/// As [`Numeric::score`].
pub fn categorical(counts: &Categories, method: Method) -> Result<Score, Insufficient> {
    let total = |counts: &[u64]| counts.iter().sum::<u64>();
    let p = shares(&counts.reference, total(&counts.reference))?;
    let q = shares(&counts.current, total(&counts.current))?;
    let score = match method {
        Method::Psi => distance::psi(&p, &q, EmptyBins::Evidently)?,
        Method::JensenShannon => distance::jensen_shannon(&p, &q, Base::E)?,
        Method::KullbackLeibler => distance::kl(&p, &q, EmptyBins::Evidently)?,
        Method::Hellinger => bhattacharyya(&p, &q),
        Method::ChiSquare | Method::Z | Method::G => {
            return counted(method, &counts.reference, &counts.current);
        }
        Method::Wasserstein | Method::Ks | Method::Energy => {
            let rule = "one for categorical fields";
            return Err(Reason::OutOfRange { what: "method", rule }.into());
        }
    };
    Ok(scored(method, score))
}

/// The preset's own choice for a categorical field.
///
/// # Errors
/// As [`categorical`].
pub fn categorical_preset(counts: &Categories) -> Result<Score, Insufficient> {
    let rows: u64 = counts.reference.iter().sum();
    let method = match (counts.keys.len(), rows as usize <= ROWS_MAX) {
        (0..=2, true) => Method::Z,
        (_, true) => Method::ChiSquare,
        (_, false) => Method::JensenShannon,
    };
    categorical(counts, method)
}

/// `sqrt(1 - sum sqrt(p q))`, the sum cut to [0, 1].
fn bhattacharyya(p: &[f64], q: &[f64]) -> f64 {
    let overlap: f64 = p.iter().zip(q).map(|(p, q)| (p * q).sqrt()).sum();
    (1.0 - overlap.clamp(0.0, 1.0)).sqrt()
}

fn counted(method: Method, reference: &[u64], current: &[u64]) -> Result<Score, Insufficient> {
    let floats = |counts: &[u64]| counts.iter().map(|count| *count as f64).collect::<Vec<f64>>();
    let (reference_counts, observed) = (floats(reference), floats(current));
    let (n1, n2): (f64, f64) = (reference_counts.iter().sum(), observed.iter().sum());
    require_rows("reference", n1 as u64, 1)?;
    require_rows("current", n2 as u64, 1)?;
    let score = match method {
        Method::ChiSquare => {
            let expected: Vec<f64> =
                reference_counts.iter().map(|count| count * (n2 / n1)).collect();
            goodness_of_fit(&observed, &expected, Statistic::Pearson)?.p_value
        }
        Method::G => {
            goodness_of_fit(&observed, &reference_counts, Statistic::LikelihoodRatio)?.p_value
        }
        _ if reference.len() < 2 => 1.0,
        _ => {
            let (p1, p2) = (1.0 - reference_counts[0] / n1, 1.0 - observed[0] / n2);
            let pooled = (p1 * n1 + p2 * n2) / (n1 + n2);
            let z = (p1 - p2) / (pooled * (1.0 - pooled) * (1.0 / n1 + 1.0 / n2)).sqrt();
            // Why not the direct tail: Evidently subtracts from one, and this reproduces it.
            2.0 * (1.0 - normal::cdf(z.abs()))
        }
    };
    Ok(scored(method, score))
}
