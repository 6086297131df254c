//! An endpoint's traffic: counts by day and variant, refused fields, calls of consumers, latency.

use std::collections::BTreeMap;

use viaduct_app::endpoint::Day as Counted;
use viaduct_base::{ConsumerId, Day, EndpointId, Timestamp};
use viaduct_decisions::{DecisionLog, Record};

use crate::chart::bars::{Bars, Bucket};
use crate::fmt;
use crate::view::RefusedField;

/// Days on the chart, today included.
pub(in crate::routes) const DAYS: i32 = 28;
/// Rows that one page reads: at some microseconds each it stays fast. A busier endpoint shows
/// fewer days by variant.
const ROWS_MAX: u64 = 50_000;
/// Calls of consumers are counted over this many days.
const CALLS_DAYS: i32 = 7;

/// What the log says about the last days.
#[derive(Debug, Default)]
pub(in crate::routes) struct Traffic {
    /// Decisions by day and variant.
    pub(in crate::routes) bars: Bars,
    /// Requests in the days shown.
    pub(in crate::routes) requests: u64,
    /// Share of them that met the contract.
    pub(in crate::routes) accepted: Option<f64>,
    /// Refused ones by field, most frequent first.
    pub(in crate::routes) refused: Vec<RefusedField>,
    /// Calls in the last days and the latest one, by consumer.
    pub(in crate::routes) calls: BTreeMap<ConsumerId, (i64, Timestamp)>,
}

/// Decisions of each of the last days, oldest first; days without any are zero.
pub(in crate::routes) fn per_day(days: &[Counted], today: Day) -> Vec<f64> {
    let counts: BTreeMap<i32, u64> = days.iter().map(|d| (d.day.number(), d.decisions)).collect();
    let first = today.number() - DAYS + 1;
    (first..=today.number()).map(|day| counts.get(&day).copied().unwrap_or(0) as f64).collect()
}

/// The first day to read: as many days as the bound allows, and today in any case.
fn first_day(days: &[Counted], today: Day) -> i32 {
    let mut rows = 0;
    let mut first = today.number() + 1;
    for day in (today.number() - DAYS + 1..=today.number()).rev() {
        let counted = days.iter().find(|d| d.day.number() == day);
        rows += counted.map_or(0, |d| d.decisions + d.refused);
        if rows > ROWS_MAX && day < today.number() {
            break;
        }
        first = day;
    }
    first
}

/// Reads the last days. Blocks: on the disk.
pub(in crate::routes) fn read(
    log: &DecisionLog,
    endpoint: EndpointId,
    days: &[Counted],
    now: Timestamp,
) -> Traffic {
    let today = now.day();
    let first = first_day(days, today);
    let to = today.plus(1).start();
    let mut by_day: BTreeMap<i32, BTreeMap<String, u64>> =
        (first..=today.number()).map(|day| (day, BTreeMap::new())).collect();
    let mut traffic = Traffic::default();
    let mut refused: BTreeMap<String, RefusedField> = BTreeMap::new();
    let (mut met, mut declined) = (0u64, 0u64);
    // Damaged rows are `viaduct doctor`'s business; the page shows the readable ones.
    for record in log.scan(Some(endpoint), Day::from_number(first).start(), to).flatten() {
        match record {
            Record::Decision(row) => {
                met += 1;
                let day = by_day.entry(row.at.day().number()).or_default();
                *day.entry(row.variant).or_default() += 1;
                if let Some(consumer) = row.consumer {
                    let calls = traffic.calls.entry(consumer).or_insert((0, row.at));
                    calls.1 = calls.1.max(row.at);
                    if row.at.day().number() > today.number() - CALLS_DAYS {
                        calls.0 += 1;
                    }
                }
            }
            Record::Beside(_) => {}
            Record::Refused(row) => {
                declined += 1;
                for error in row.errors {
                    let field = field_of(&error.pointer);
                    let entry = refused.entry(field.clone()).or_insert_with(|| RefusedField {
                        field,
                        reason: String::new(),
                        count: 0,
                        last_at: row.at,
                    });
                    entry.count += 1;
                    if row.at >= entry.last_at {
                        entry.last_at = row.at;
                        entry.reason = error.detail;
                    }
                }
            }
        }
    }
    traffic.requests = met + declined;
    traffic.accepted = (traffic.requests > 0).then(|| met as f64 / traffic.requests as f64);
    traffic.refused = refused.into_values().collect();
    traffic.refused.sort_by_key(|field| std::cmp::Reverse(field.count));
    traffic.bars = bars(&by_day);
    traffic
}

/// `/rows/0/age` → `age`.
fn field_of(pointer: &str) -> String {
    let last = pointer.rsplit('/').next().unwrap_or_default();
    if last.is_empty() {
        "the whole row".to_owned()
    } else {
        last.replace("~1", "/").replace("~0", "~")
    }
}

fn bars(by_day: &BTreeMap<i32, BTreeMap<String, u64>>) -> Bars {
    let mut series: Vec<String> = by_day.values().flat_map(|day| day.keys().cloned()).collect();
    series.sort();
    series.dedup();
    if series.is_empty() {
        series.push("decisions".to_owned());
    }
    let buckets = by_day
        .iter()
        .map(|(day, counts)| Bucket {
            label: fmt::day_short(Day::from_number(*day)),
            counts: series
                .iter()
                .map(|name| counts.get(name).copied().unwrap_or(0) as f64)
                .collect(),
        })
        .collect();
    Bars { label: "Decisions by day and variant".to_owned(), series, buckets }
}

/// A quantile of an endpoint's latency in microseconds, from the histogram in the metrics; linear
/// within a bucket. `None` before the first request since the server started.
pub(in crate::routes) fn latency(metrics: &str, endpoint: &str, quantile: f64) -> Option<f64> {
    let labels = format!("endpoint=\"{endpoint}\",");
    histogram(metrics, "viaduct_predict_duration_seconds", &labels, quantile)
}

/// A quantile of any histogram in the metrics, in microseconds; `labels` end with a comma.
pub(in crate::routes) fn histogram(
    metrics: &str,
    name: &str,
    labels: &str,
    quantile: f64,
) -> Option<f64> {
    let start = format!("{name}_bucket{{{labels}le=\"");
    let buckets: Vec<(f64, f64)> = metrics
        .lines()
        .filter_map(|line| {
            let (bound, count) = line.strip_prefix(&start)?.split_once("\"} ")?;
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
            Some((bound * 1e6, count.parse().ok()?))
        })
        .collect();
    let total = buckets.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
    let wanted = quantile * total;
    let (mut low, mut before) = (0.0, 0.0);
    for (bound, count) in buckets {
        if count >= wanted && count > before {
            if !bound.is_finite() {
                return Some(low);
            }
            return Some(low + (bound - low) * (wanted - before) / (count - before));
        }
        (low, before) = (bound, count);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_come_from_the_buckets() {
        let line = |le: &str, n: u64| {
            format!("viaduct_predict_duration_seconds_bucket{{endpoint=\"a\",le=\"{le}\"}} {n}\n")
        };
        let text =
            [line("0.0001", 0), line("0.0002", 90), line("0.001", 99), line("+Inf", 100)].concat();
        let p50 = latency(&text, "a", 0.5).unwrap();
        assert!((p50 - 155.6).abs() < 0.1, "{p50}");
        let p99 = latency(&text, "a", 0.99).unwrap();
        assert!((p99 - 1_000.0).abs() < 1e-6, "{p99}");
        assert_eq!(latency(&text, "b", 0.5), None);
        assert_eq!(latency(&line("+Inf", 0), "a", 0.5), None);
    }

    #[test]
    fn a_busy_endpoint_shows_fewer_days() {
        let today = Day::from_number(20_000);
        let day = |back: i32, decisions| Counted { day: today.plus(-back), decisions, refused: 0 };
        assert_eq!(first_day(&[], today), 20_000 - DAYS + 1);
        assert_eq!(first_day(&[day(0, 90_000), day(1, 1)], today), 20_000);
        assert_eq!(first_day(&[day(0, 10), day(1, 49_000), day(2, 2_000)], today), 19_999);
    }

    #[test]
    fn fields_of_pointers() {
        assert_eq!(field_of("/rows/0/age"), "age");
        assert_eq!(field_of("/rows/0/a~1b"), "a/b");
        assert_eq!(field_of(""), "the whole row");
    }
}
