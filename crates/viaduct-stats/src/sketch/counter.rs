//! Exact counts in bins and categories that were fixed beforehand.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    drift::{
        binning::shares,
        distance::{self, Base, EmptyBins, PSI_FLOOR},
    },
    insufficient::{Insufficient, Reason, require, require_finite},
};

/// Up to this many edges all of them are compared without a branch; beyond, by bisection.
const LINEAR_MAX: usize = 32;

/// Counts per bin of a numeric field: `(-inf, e0)`, `[e0, e1)`, ..., `[ek, inf)`, and the missing.
///
/// The outermost bins hold what lies outside of the reference's inner edges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BinCounter {
    edges: Vec<f64>,
    counts: Vec<u64>,
    missing: u64,
}

impl BinCounter {
    /// Starts at zero with these increasing edges (nine of them make ten bins).
    ///
    /// # Errors
    /// No edges, or edges that do not increase.
    pub fn new(edges: Vec<f64>) -> Result<Self, Insufficient> {
        require_finite("edges", &edges)?;
        require(!edges.is_empty(), "edges", "at least one")?;
        require(edges.windows(2).all(|pair| pair[0] < pair[1]), "edges", "increasing")?;
        Ok(Self { counts: vec![0; edges.len() + 1], edges, missing: 0 })
    }

    /// Counts one value; NaN counts as missing.
    #[inline]
    pub fn update(&mut self, value: f64) {
        if value.is_nan() {
            self.missing += 1;
            return;
        }
        let bin = if self.edges.len() <= LINEAR_MAX {
            // Why no branch: the compiler turns this into a few vector comparisons.
            self.edges.iter().map(|edge| usize::from(*edge <= value)).sum()
        } else {
            self.edges.partition_point(|edge| *edge <= value)
        };
        self.counts[bin] += 1;
    }

    /// Counts a missing value.
    pub fn update_missing(&mut self) {
        self.missing += 1;
    }

    /// Adds the counts of another replica.
    ///
    /// # Errors
    /// Other edges.
    pub fn merge(&mut self, other: &Self) -> Result<(), Insufficient> {
        require(self.edges == other.edges, "edges of merged counters", "equal")?;
        for (count, added) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*added);
        }
        self.missing = self.missing.saturating_add(other.missing);
        Ok(())
    }

    /// Inner edges.
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// Counts, one more than edges.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Missing values.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Values counted, missing ones left out.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Population stability index against a reference in the same bins (floor 1e-4).
    ///
    /// # Errors
    /// Other edges, or no values on either side.
    pub fn psi(&self, reference: &Self) -> Result<f64, Insufficient> {
        let (p, q) = self.paired_shares(reference)?;
        distance::psi(&p, &q, EmptyBins::Floor(PSI_FLOOR))
    }

    /// Jensen-Shannon distance in bits against a reference in the same bins.
    ///
    /// # Errors
    /// Other edges, or no values on either side.
    pub fn jensen_shannon(&self, reference: &Self) -> Result<f64, Insufficient> {
        let (p, q) = self.paired_shares(reference)?;
        distance::jensen_shannon(&p, &q, Base::Two)
    }

    fn paired_shares(&self, reference: &Self) -> Result<(Vec<f64>, Vec<f64>), Insufficient> {
        require(self.edges == reference.edges, "edges of compared counters", "equal")?;
        Ok((shares(&reference.counts, reference.total())?, shares(&self.counts, self.total())?))
    }
}

/// Counts per category of a field whose categories are known from the reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryCounter {
    counts: BTreeMap<String, u64>,
    unseen: u64,
    missing: u64,
}

impl CategoryCounter {
    /// Starts at zero with the reference's categories.
    ///
    /// # Errors
    /// No categories.
    pub fn new(categories: impl IntoIterator<Item = String>) -> Result<Self, Insufficient> {
        let counts: BTreeMap<String, u64> =
            categories.into_iter().map(|category| (category, 0)).collect();
        if counts.is_empty() {
            return Err(Reason::TooFewRows { what: "categories", needed: 1, got: 0 }.into());
        }
        Ok(Self { counts, unseen: 0, missing: 0 })
    }

    /// Counts one value; `None` is missing, an unknown category counts as unseen.
    pub fn update(&mut self, value: Option<&str>) {
        match value {
            None => self.missing += 1,
            Some(value) => match self.counts.get_mut(value) {
                Some(count) => *count += 1,
                None => self.unseen += 1,
            },
        }
    }

    /// Adds the counts of another replica.
    ///
    /// # Errors
    /// Other categories.
    pub fn merge(&mut self, other: &Self) -> Result<(), Insufficient> {
        let same = self.counts.keys().eq(other.counts.keys());
        require(same, "categories of merged counters", "equal")?;
        for (count, added) in self.counts.values_mut().zip(other.counts.values()) {
            *count = count.saturating_add(*added);
        }
        self.unseen = self.unseen.saturating_add(other.unseen);
        self.missing = self.missing.saturating_add(other.missing);
        Ok(())
    }

    /// Counts by category.
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// Values of categories that the reference does not know.
    pub fn unseen(&self) -> u64 {
        self.unseen
    }

    /// Missing values.
    pub fn missing(&self) -> u64 {
        self.missing
    }
}
