//! Counters of the data plane, written in the OpenMetrics text format.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use viaduct_base::Kind;
use viaduct_domain::assign::Variant;

use crate::counts;
use crate::gateway::Gateway;
use crate::histogram::{Histogram, SHOWN_US};
use crate::limits::Inside;

/// Why a bound: field names come from callers' contracts, and a metric with endless labels hurts.
const FIELDS_MAX: usize = 200;
/// Why more than cores: a turn may wait for the disk.
const TURNS_PER_CORE: usize = 4;

pub(crate) const VARIANTS: [Variant; 4] =
    [Variant::Champion, Variant::Challenger, Variant::Shadow, Variant::Holdout];

/// What one endpoint counts; lives on when a new snapshot replaces the endpoint.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) duration: Histogram,
    pub(crate) model_duration: Histogram,
    /// From the place in the queue to the thread.
    pub(crate) wait: Histogram,
    /// Requests that wait or run.
    pub(crate) inside: Inside,
    /// Threads that this endpoint may hold at once.
    pub(crate) turns: Arc<Semaphore>,
    /// Rows for onlooking challengers that were dropped.
    pub(crate) copies_dropped: AtomicU64,
    /// A running mean of a request's time, in nanoseconds.
    typical_ns: AtomicU64,
    answered: AtomicU64,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    variants: [ByVariant; VARIANTS.len()],
    breaches: AtomicU64,
    refused_rows: AtomicU64,
    model_failures: AtomicU64,
    unsticky: AtomicU64,
    violations: Mutex<BTreeMap<String, u64>>,
    outside: Mutex<BTreeMap<String, u64>>,
    defaulted: Mutex<BTreeMap<String, u64>>,
}

/// What one variant did over all versions.
#[derive(Debug, Default)]
pub(crate) struct ByVariant {
    pub(crate) requests: AtomicU64,
    pub(crate) rows: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) not_finite: AtomicU64,
    pub(crate) fallbacks: AtomicU64,
    pub(crate) latency: Histogram,
}

impl Default for Counters {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            duration: Histogram::default(),
            model_duration: Histogram::default(),
            wait: Histogram::default(),
            inside: Inside::default(),
            turns: Arc::new(Semaphore::new(cores * TURNS_PER_CORE)),
            copies_dropped: AtomicU64::default(),
            typical_ns: AtomicU64::default(),
            answered: AtomicU64::default(),
            refused: Mutex::default(),
            variants: Default::default(),
            breaches: AtomicU64::default(),
            refused_rows: AtomicU64::default(),
            model_failures: AtomicU64::default(),
            unsticky: AtomicU64::default(),
            violations: Mutex::default(),
            outside: Mutex::default(),
            defaulted: Mutex::default(),
        }
    }
}

impl Counters {
    pub(crate) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn answered_requests(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    pub(crate) fn decided_rows(&self) -> u64 {
        self.variants.iter().map(|variant| variant.rows.load(Ordering::Relaxed)).sum()
    }

    /// A request has ended, however; `own` is its time without that of others on its core.
    pub(crate) fn lasted(&self, took: Duration, own: Duration) {
        self.duration.observe(took);
        let (took, before) = (own.as_nanos() as u64, self.typical_ns.load(Ordering::Relaxed));
        // Why a quarter: one slow request turns the others away from the shared threads, and a
        // few quick ones bring them back. A lost update of another thread does not matter.
        let mean = if before == 0 { took.max(1) } else { before - before / 4 + took / 4 };
        self.typical_ns.store(mean, Ordering::Relaxed);
    }

    /// What a request takes by now; `None` before the first.
    pub(crate) fn typical(&self) -> Option<Duration> {
        Some(self.typical_ns.load(Ordering::Relaxed)).filter(|ns| *ns > 0).map(Duration::from_nanos)
    }

    pub(crate) fn refused(&self, kind: Option<Kind>) {
        let word = kind.map_or("fault", Kind::slug);
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner).entry(word).or_default() += 1;
    }

    pub(crate) fn variant(&self, variant: Variant) -> &ByVariant {
        let place = VARIANTS.iter().position(|known| *known == variant);
        &self.variants[place.unwrap_or_default()]
    }

    pub(crate) fn decided(&self, variant: Variant, rows: u64) {
        let by = self.variant(variant);
        counts::add(&by.rows, rows);
        counts::add(&by.requests, u64::from(rows > 0));
    }

    pub(crate) fn fell_back(&self, variant: Variant) {
        counts::add(&self.variant(variant).fallbacks, 1);
    }

    pub(crate) fn breached(&self) {
        counts::add(&self.breaches, 1);
    }

    pub(crate) fn model_failed(&self) {
        counts::add(&self.model_failures, 1);
    }

    pub(crate) fn unsticky(&self, rows: u64) {
        counts::add(&self.unsticky, rows);
    }

    pub(crate) fn violated<'a>(&self, rows: u64, fields: impl Iterator<Item = &'a str>) {
        counts::add(&self.refused_rows, rows);
        count_fields(&self.violations, fields);
    }

    pub(crate) fn outside<'a>(&self, fields: impl Iterator<Item = &'a str>) {
        count_fields(&self.outside, fields);
    }

    pub(crate) fn defaulted<'a>(&self, fields: impl Iterator<Item = &'a str>) {
        count_fields(&self.defaulted, fields);
    }
}

fn count_fields<'a>(map: &Mutex<BTreeMap<String, u64>>, fields: impl Iterator<Item = &'a str>) {
    let mut fields = fields.peekable();
    if fields.peek().is_none() {
        return;
    }
    let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
    for field in fields {
        if let Some(count) = map.get_mut(field) {
            *count += 1;
        } else {
            let known = if map.len() < FIELDS_MAX { field } else { "other" };
            *map.entry(known.to_owned()).or_default() += 1;
        }
    }
}

fn put(out: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    // Writing to a string cannot fail.
    let _ = match labels {
        "" => writeln!(out, "{name} {value}"),
        labels => writeln!(out, "{name}{{{labels}}} {value}"),
    };
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# TYPE {name} {kind}\n# HELP {name} {help}");
}

fn gauge(out: &mut String, name: &str, help: &str, value: u64) {
    head(out, name, "gauge", help);
    put(out, name, "", value);
}

fn counter(out: &mut String, name: &str, help: &str, value: u64) {
    head(out, name, "counter", help);
    put(out, &format!("{name}_total"), "", value);
}

fn histogram(out: &mut String, name: &str, labels: &str, histogram: &Histogram) {
    let comma = if labels.is_empty() { "" } else { "," };
    let counts = histogram.counts();
    for bound in SHOWN_US {
        let le = bound as f64 / 1e6;
        let labels = format!("{labels}{comma}le=\"{le:?}\"");
        put(out, &format!("{name}_bucket"), &labels, counts.at_most(bound));
    }
    let total = counts.total();
    put(out, &format!("{name}_bucket"), &format!("{labels}{comma}le=\"+Inf\""), total);
    put(out, &format!("{name}_count"), labels, total);
    put(out, &format!("{name}_sum"), labels, histogram.sum_seconds());
}

/// Everything that the data plane counts.
pub(crate) fn write(gateway: &Gateway, out: &mut String) {
    let table = gateway.0.core.table.load();
    let mut all: Vec<_> = table
        .iter()
        .flat_map(|table| &table.order)
        .map(|endpoint| (endpoint.spec.name.as_str(), &*endpoint.counters))
        .collect();
    all.sort_by_key(|(name, _)| *name);
    gauge(out, "viaduct_endpoints", "Endpoints in service.", all.len() as u64);
    endpoints(out, &all);
    variants(out, &all);
    let name = "viaduct_decision_log_append_seconds";
    head(out, name, "histogram", "Appending a request's decisions.");
    histogram(out, name, "", &gateway.0.append_duration);
    let cache = gateway.0.core.models.stats();
    let waiting = gateway.0.onlookers.waiting();
    let log = gateway.0.log.stats();
    for (name, help, value) in [
        ("viaduct_shadow_queue_rows", "Rows that wait for onlooking challengers.", waiting),
        ("viaduct_model_cache_models", "Models in memory.", cache.models),
        ("viaduct_model_cache_bytes", "Estimated bytes of models in memory.", cache.bytes),
        ("viaduct_model_cache_budget_bytes", "Bytes that models may take.", cache.budget),
        ("viaduct_decision_log_rows", "Rows in the decision log.", log.rows),
        ("viaduct_decision_log_bytes", "Bytes of the decision log.", log.bytes),
        (
            "viaduct_decision_log_raw_bytes",
            "Bytes of the decision log before it was packed.",
            log.raw_bytes,
        ),
        ("viaduct_decision_log_segments", "Segments of the decision log.", log.segments),
        (
            "viaduct_decision_log_index_failures",
            "Index files that could not be written.",
            log.index_failures,
        ),
    ] {
        gauge(out, name, help, value);
    }
    for (name, help, value) in [
        (
            "viaduct_decision_log_lost",
            "Decisions that were answered and not written, as `on_log_full` allows.",
            log.lost,
        ),
        ("viaduct_model_cache_loads", "Model files that were loaded.", cache.loads),
        ("viaduct_model_cache_failures", "Model files that could not be loaded.", cache.failures),
        ("viaduct_model_cache_evictions", "Models that left for others.", cache.evictions),
    ] {
        counter(out, name, help, value);
    }
}

type All<'a> = [(&'a str, &'a Counters)];
type Pick<T> = fn(&Counters) -> &T;
type PickCount = fn(&ByVariant) -> &AtomicU64;
type ByField = Mutex<BTreeMap<String, u64>>;

/// Families of endpoints; a family's samples stand together, as the format demands.
fn endpoints(out: &mut String, all: &All<'_>) {
    let name = "viaduct_predict_requests";
    head(out, name, "counter", "Prediction requests by what became of them.");
    for (endpoint, counters) in all {
        let labels = format!("endpoint=\"{endpoint}\",outcome=\"answered\"");
        put(out, &format!("{name}_total"), &labels, counters.answered_requests());
        let refused = counters.refused.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, count) in refused.iter() {
            let labels = format!("endpoint=\"{endpoint}\",outcome=\"{kind}\"");
            put(out, &format!("{name}_total"), &labels, count);
        }
    }
    let plain: [(&str, &str, Pick<AtomicU64>); 5] = [
        ("viaduct_predict_refused_rows", "Rows that did not meet the contract.", |c| {
            &c.refused_rows
        }),
        ("viaduct_predict_unsticky", "Decisions without an entity.", |c| &c.unsticky),
        ("viaduct_predict_model_failures", "Runs of a model that failed.", |c| &c.model_failures),
        ("viaduct_rollout_breaches", "Challengers that a guard removed.", |c| &c.breaches),
        ("viaduct_shadow_dropped_rows", "Rows dropped for onlooking challengers.", |c| {
            &c.copies_dropped
        }),
    ];
    for (name, help, pick) in plain {
        head(out, name, "counter", help);
        for (endpoint, counters) in all {
            let value = pick(counters).load(Ordering::Relaxed);
            put(out, &format!("{name}_total"), &format!("endpoint=\"{endpoint}\""), value);
        }
    }
    let fields: [(&str, &str, Pick<ByField>); 3] = [
        ("viaduct_predict_violations", "Contract violations by field.", |c| &c.violations),
        (
            "viaduct_predict_outside",
            "Values that broke the contract and were accepted, by field.",
            |c| &c.outside,
        ),
        ("viaduct_predict_defaulted", "Values that gave way to a default, by field.", |c| {
            &c.defaulted
        }),
    ];
    for (name, help, pick) in fields {
        head(out, name, "counter", help);
        for (endpoint, counters) in all {
            by_field(out, name, endpoint, pick(counters));
        }
    }
    let name = "viaduct_predict_queue";
    head(out, name, "gauge", "Requests that wait or run.");
    for (endpoint, counters) in all {
        let value = counters.inside.load(Ordering::Relaxed);
        put(out, name, &format!("endpoint=\"{endpoint}\""), value);
    }
    let times: [(&str, &str, Pick<Histogram>); 3] = [
        ("viaduct_predict_duration_seconds", "From the parsed request to the answer.", |c| {
            &c.duration
        }),
        ("viaduct_predict_model_duration_seconds", "Inside the model.", |c| &c.model_duration),
        ("viaduct_predict_wait_seconds", "From the place in the queue to a thread.", |c| &c.wait),
    ];
    for (name, help, pick) in times {
        head(out, name, "histogram", help);
        for (endpoint, counters) in all {
            histogram(out, name, &format!("endpoint=\"{endpoint}\""), pick(counters));
        }
    }
}

fn by_field(out: &mut String, name: &str, endpoint: &str, map: &Mutex<BTreeMap<String, u64>>) {
    for (field, count) in map.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let field = field.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels = format!("endpoint=\"{endpoint}\",field=\"{field}\"");
        put(out, &format!("{name}_total"), &labels, count);
    }
}

/// Families of endpoints and variants; a variant that nobody met is left out.
fn variants(out: &mut String, all: &All<'_>) {
    let each = |out: &mut String, put_one: &dyn Fn(&mut String, &str, &ByVariant)| {
        for (endpoint, counters) in all {
            for variant in VARIANTS {
                let by = counters.variant(variant);
                if by.rows.load(Ordering::Relaxed) > 0 {
                    put_one(out, &format!("endpoint=\"{endpoint}\",variant=\"{variant}\""), by);
                }
            }
        }
    };
    let counted: [(&str, &str, PickCount); 5] = [
        ("viaduct_predict_decisions", "Decisions by variant.", |by| &by.rows),
        ("viaduct_variant_requests", "Requests with a row of the variant.", |by| &by.requests),
        ("viaduct_variant_errors", "Rows that the variant's model failed on.", |by| &by.errors),
        ("viaduct_variant_not_finite", "Rows whose output was not finite.", |by| &by.not_finite),
        ("viaduct_variant_fallbacks", "Rows that the fallback answered.", |by| &by.fallbacks),
    ];
    for (name, help, pick) in counted {
        head(out, name, "counter", help);
        each(out, &|out, labels, by| {
            put(out, &format!("{name}_total"), labels, pick(by).load(Ordering::Relaxed));
        });
    }
    let name = "viaduct_variant_model_duration_seconds";
    head(out, name, "histogram", "Inside the variant's model.");
    each(out, &|out, labels, by| histogram(out, name, labels, &by.latency));
}
