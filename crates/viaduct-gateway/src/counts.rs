//! What each variant of an endpoint did since it came into service.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use viaduct_base::{Refusal, RolloutId, Timestamp};
use viaduct_domain::assign::Variant;

use crate::gateway::Gateway;
use crate::histogram::{Counts, Histogram};

/// Percentiles in microseconds; 0 before the first request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Half of the requests took less.
    pub p50: u64,
    /// 95 in 100 took less.
    pub p95: u64,
    /// 99 in 100 took less.
    pub p99: u64,
}

/// What one variant did with one version since it came into service here.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VariantCounts {
    /// The variant.
    pub variant: Variant,
    /// The version behind it; `None` for business as usual.
    pub model_version: Option<i64>,
    /// The rollout that a challenger belongs to.
    pub rollout: Option<RolloutId>,
    /// Since when this is counted; a restart begins again.
    pub since: Timestamp,
    /// Requests with at least one row of it.
    pub requests: u64,
    /// Its rows.
    pub rows: u64,
    /// Rows that its model failed on.
    pub errors: u64,
    /// Rows whose output had a number that is not finite.
    pub nan: u64,
    /// Rows with a value outside the contract's ranges and lists, or refused by the contract.
    pub violations: u64,
    /// Compared rows where it says something else than the champion.
    pub disagreements: u64,
    /// Rows where challenger and champion were both asked.
    pub compared: u64,
    /// Rows that the fallback answered.
    pub fallbacks: u64,
    /// Rows that the contract refused, by the variant that they would have met; not among `rows`.
    pub refused: u64,
    /// Time of a request inside the model.
    pub latency_us: Latency,
}

/// The counters behind [`VariantCounts`].
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) variant: Variant,
    pub(crate) model_version: Option<i64>,
    pub(crate) rollout: Option<RolloutId>,
    pub(crate) since: Timestamp,
    pub(crate) requests: AtomicU64,
    pub(crate) rows: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) nan: AtomicU64,
    pub(crate) violations: AtomicU64,
    pub(crate) disagreements: AtomicU64,
    pub(crate) compared: AtomicU64,
    pub(crate) fallbacks: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) latency: Histogram,
}

impl Tally {
    pub(crate) fn new(
        variant: Variant,
        model_version: Option<i64>,
        rollout: Option<RolloutId>,
        since: Timestamp,
    ) -> Self {
        Self {
            variant,
            model_version,
            rollout,
            since,
            requests: AtomicU64::default(),
            rows: AtomicU64::default(),
            errors: AtomicU64::default(),
            nan: AtomicU64::default(),
            violations: AtomicU64::default(),
            disagreements: AtomicU64::default(),
            compared: AtomicU64::default(),
            fallbacks: AtomicU64::default(),
            refused: AtomicU64::default(),
            latency: Histogram::default(),
        }
    }

    pub(crate) fn counts(&self) -> VariantCounts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        VariantCounts {
            variant: self.variant,
            model_version: self.model_version,
            rollout: self.rollout,
            since: self.since,
            requests: get(&self.requests),
            rows: get(&self.rows),
            errors: get(&self.errors),
            nan: get(&self.nan),
            violations: get(&self.violations),
            disagreements: get(&self.disagreements),
            compared: get(&self.compared),
            fallbacks: get(&self.fallbacks),
            refused: get(&self.refused),
            latency_us: self.latency.counts().percentiles(),
        }
    }
}

/// What a guard looks at, at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    pub(crate) rows: u64,
    pub(crate) refused: u64,
    pub(crate) errors: u64,
    pub(crate) nan: u64,
    pub(crate) violations: u64,
    pub(crate) disagreements: u64,
    pub(crate) compared: u64,
    pub(crate) latency: Counts,
}

impl Sample {
    /// What came since `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            rows: self.rows.saturating_sub(before.rows),
            refused: self.refused.saturating_sub(before.refused),
            errors: self.errors.saturating_sub(before.errors),
            nan: self.nan.saturating_sub(before.nan),
            violations: self.violations.saturating_sub(before.violations),
            disagreements: self.disagreements.saturating_sub(before.disagreements),
            compared: self.compared.saturating_sub(before.compared),
            latency: self.latency.since(&before.latency),
        }
    }
}

impl Tally {
    pub(crate) fn sample(&self) -> Sample {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Sample {
            rows: get(&self.rows),
            refused: get(&self.refused),
            errors: get(&self.errors),
            nan: get(&self.nan),
            violations: get(&self.violations),
            disagreements: get(&self.disagreements),
            compared: get(&self.compared),
            latency: self.latency.counts(),
        }
    }
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, count: u64) {
    if count > 0 {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

impl Gateway {
    /// What each variant of an endpoint did since it came into service here.
    ///
    /// # Errors
    /// There is no such endpoint, or no snapshot yet.
    pub fn counts(&self, endpoint: &str) -> Result<Vec<VariantCounts>, Refusal> {
        let table = self.table()?;
        let found = table.find(endpoint)?;
        Ok(found.tallies().map(|tally| tally.counts()).collect())
    }
}
