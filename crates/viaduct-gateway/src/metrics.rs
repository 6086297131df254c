//! Counters of the data plane, written in the OpenMetrics text format.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use viaduct_base::Kind;
use viaduct_domain::assign::Variant;

use crate::histogram::{Histogram, SHOWN_US};

/// Why a bound: field names come from callers' contracts, and a metric with endless labels hurts.
const FIELDS_MAX: usize = 200;

fn write(histogram: &Histogram, out: &mut String, name: &str, labels: &str) {
    let comma = if labels.is_empty() { "" } else { "," };
    let counts = histogram.counts();
    for bound in SHOWN_US {
        let le = bound as f64 / 1e6;
        let labels = format!("{labels}{comma}le=\"{le}\"");
        put(out, &format!("{name}_bucket"), &labels, counts.at_most(bound));
    }
    let total = counts.total();
    put(out, &format!("{name}_bucket"), &format!("{labels}{comma}le=\"+Inf\""), total);
    put(out, &format!("{name}_count"), labels, total);
    put(out, &format!("{name}_sum"), labels, histogram.sum_seconds());
}

const VARIANTS: [Variant; 4] =
    [Variant::Champion, Variant::Challenger, Variant::Shadow, Variant::Holdout];

/// What one endpoint counts; lives on when a new snapshot replaces the endpoint.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) duration: Histogram,
    pub(crate) model_duration: Histogram,
    answered: AtomicU64,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    decisions: [AtomicU64; 4],
    refused_rows: AtomicU64,
    model_failures: AtomicU64,
    unsticky: AtomicU64,
    violations: Mutex<BTreeMap<String, u64>>,
    outside: Mutex<BTreeMap<String, u64>>,
}

impl Counters {
    pub(crate) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn answered_requests(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    pub(crate) fn decided_rows(&self) -> u64 {
        self.decisions.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn refused(&self, kind: Option<Kind>) {
        let word = kind.map_or("fault", Kind::slug);
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner).entry(word).or_default() += 1;
    }

    pub(crate) fn decided(&self, variant: Variant) {
        if let Some(place) = VARIANTS.iter().position(|v| *v == variant) {
            self.decisions[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn model_failed(&self) {
        self.model_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unsticky(&self) {
        self.unsticky.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn violated<'a>(&self, rows: u64, fields: impl Iterator<Item = &'a str>) {
        self.refused_rows.fetch_add(rows, Ordering::Relaxed);
        count_fields(&self.violations, fields);
    }

    pub(crate) fn outside<'a>(&self, fields: impl Iterator<Item = &'a str>) {
        count_fields(&self.outside, fields);
    }
}

fn count_fields<'a>(map: &Mutex<BTreeMap<String, u64>>, fields: impl Iterator<Item = &'a str>) {
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

pub(crate) fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# TYPE {name} {kind}\n# HELP {name} {help}");
}

pub(crate) fn gauge(out: &mut String, name: &str, help: &str, value: u64) {
    head(out, name, "gauge", help);
    put(out, name, "", value);
}

pub(crate) fn histogram(out: &mut String, name: &str, help: &str, histogram: &Histogram) {
    head(out, name, "histogram", help);
    write(histogram, out, name, "");
}

/// All families of all endpoints; a family's samples stand together, as the format demands.
pub(crate) fn endpoints(out: &mut String, all: &[(&str, &Counters)]) {
    let family =
        |out: &mut String, name: &str, help: &str, each: &dyn Fn(&mut String, &str, &Counters)| {
            head(out, name, "counter", help);
            for (endpoint, counters) in all {
                each(out, &format!("endpoint=\"{endpoint}\""), counters);
            }
        };
    let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    family(
        out,
        "viaduct_predict_requests",
        "Prediction requests by what became of them.",
        &|out, label, c| {
            let name = "viaduct_predict_requests_total";
            put(out, name, &format!("{label},outcome=\"answered\""), get(&c.answered));
            for (kind, count) in c.refused.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                put(out, name, &format!("{label},outcome=\"{kind}\""), count);
            }
        },
    );
    family(out, "viaduct_predict_decisions", "Decisions by variant.", &|out, label, c| {
        for (variant, count) in VARIANTS.iter().zip(&c.decisions) {
            let labels = format!("{label},variant=\"{variant}\"");
            put(out, "viaduct_predict_decisions_total", &labels, get(count));
        }
    });
    family(
        out,
        "viaduct_predict_refused_rows",
        "Rows that did not meet the contract.",
        &|out, label, c| {
            put(out, "viaduct_predict_refused_rows_total", label, get(&c.refused_rows));
        },
    );
    family(out, "viaduct_predict_unsticky", "Decisions without an entity.", &|out, label, c| {
        put(out, "viaduct_predict_unsticky_total", label, get(&c.unsticky));
    });
    family(
        out,
        "viaduct_predict_model_failures",
        "Runs of a model that failed.",
        &|out, label, c| {
            put(out, "viaduct_predict_model_failures_total", label, get(&c.model_failures));
        },
    );
    family(out, "viaduct_predict_violations", "Contract violations by field.", &|out, label, c| {
        fields(out, "viaduct_predict_violations_total", label, &c.violations);
    });
    family(
        out,
        "viaduct_predict_outside",
        "Values outside the declared range or list, by field.",
        &|out, label, c| {
            fields(out, "viaduct_predict_outside_total", label, &c.outside);
        },
    );
    for (name, help, pick) in [
        (
            "viaduct_predict_duration_seconds",
            "From the parsed request to the answer.",
            (|c: &Counters| &c.duration) as fn(&Counters) -> &Histogram,
        ),
        ("viaduct_predict_model_duration_seconds", "Inside the model.", |c| &c.model_duration),
    ] {
        head(out, name, "histogram", help);
        for (endpoint, counters) in all {
            write(pick(counters), out, name, &format!("endpoint=\"{endpoint}\""));
        }
    }
}

fn fields(out: &mut String, name: &str, label: &str, map: &Mutex<BTreeMap<String, u64>>) {
    for (field, count) in map.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let field = field.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        put(out, name, &format!("{label},field=\"{field}\""), count);
    }
}
