//! Reads the page of `/metrics` back into OTLP's metrics, as a collector does that scrapes it.
//!
//! Why from the text: it is the one place where every number of the server stands, so the two ways
//! out cannot say different things.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum,
};

use crate::encode::text;

/// Since when is counted, and now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) start_ns: u64,
    pub(crate) now_ns: u64,
}

/// The metrics of a page; lines that say nothing are left out.
pub(crate) fn read(page: &str, times: Times) -> Vec<Metric> {
    let mut metrics: Vec<Metric> = Vec::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let Some((name, kind)) = rest.split_once(' ') else { continue };
            family(&mut metrics, name).data = data(kind);
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            let Some((name, help)) = rest.split_once(' ') else { continue };
            family(&mut metrics, name).description = help.to_owned();
        } else if let (Some(sample), Some(metric)) = (Sample::read(line), metrics.last_mut()) {
            add(metric, sample, times);
        }
    }
    metrics.retain(has_points);
    metrics
}

/// The last family, or a new one: `TYPE` and `HELP` stand together, in either order.
fn family<'a>(metrics: &'a mut Vec<Metric>, name: &str) -> &'a mut Metric {
    let is_known = metrics.last().is_some_and(|metric| metric.name == name);
    if !is_known {
        metrics.push(Metric { name: name.to_owned(), unit: unit(name), ..Metric::default() });
    }
    let last = metrics.len() - 1;
    &mut metrics[last]
}

fn unit(name: &str) -> String {
    let unit = match name {
        _ if name.ends_with("_seconds") => "s",
        _ if name.ends_with("_bytes") => "By",
        _ => "",
    };
    unit.to_owned()
}

fn data(kind: &str) -> Option<Data> {
    let cumulative = AggregationTemporality::Cumulative.into();
    match kind {
        "counter" => Some(Data::Sum(Sum {
            aggregation_temporality: cumulative,
            is_monotonic: true,
            ..Sum::default()
        })),
        "histogram" => Some(Data::Histogram(Histogram {
            aggregation_temporality: cumulative,
            ..Histogram::default()
        })),
        "gauge" => Some(Data::Gauge(Gauge::default())),
        _ => None,
    }
}

fn has_points(metric: &Metric) -> bool {
    match &metric.data {
        Some(Data::Sum(sum)) => !sum.data_points.is_empty(),
        Some(Data::Gauge(gauge)) => !gauge.data_points.is_empty(),
        Some(Data::Histogram(histogram)) => !histogram.data_points.is_empty(),
        _ => false,
    }
}

/// `name{label="value",…} number`.
#[derive(Debug, PartialEq)]
struct Sample<'a> {
    name: &'a str,
    labels: Vec<(&'a str, String)>,
    value: &'a str,
}

impl<'a> Sample<'a> {
    fn read(line: &'a str) -> Option<Self> {
        if line.starts_with('#') {
            return None;
        }
        let end = line.find(['{', ' '])?;
        let (name, mut rest) = line.split_at(end);
        let mut labels = Vec::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            while let Some((key, behind)) = rest.split_once("=\"") {
                let (value, behind) = quoted(behind)?;
                labels.push((key, value));
                rest = behind.strip_prefix(',').unwrap_or(behind);
                if rest.starts_with('}') {
                    break;
                }
            }
            rest = rest.strip_prefix('}')?;
        }
        let value = rest.trim().split(' ').next().filter(|value| !value.is_empty())?;
        Some(Self { name, labels, value })
    }
}

/// A label's value up to its closing mark, and what is behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    loop {
        let (at, char) = chars.next()?;
        match char {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
}

fn add(metric: &mut Metric, sample: Sample<'_>, times: Times) {
    match &mut metric.data {
        Some(Data::Sum(sum)) => {
            // A counter began with the process; a gauge did not begin.
            sum.data_points.extend(number(&sample, times.start_ns, times.now_ns));
        }
        Some(Data::Gauge(gauge)) => gauge.data_points.extend(number(&sample, 0, times.now_ns)),
        Some(Data::Histogram(histogram)) => {
            let part = sample.name.strip_prefix(metric.name.as_str()).unwrap_or_default();
            add_part(histogram, part, sample.labels, sample.value, times);
        }
        _ => {}
    }
}

fn number(sample: &Sample<'_>, start_ns: u64, now_ns: u64) -> Option<NumberDataPoint> {
    let whole = sample.value.parse().map(Value::AsInt);
    let value = whole.or_else(|_| sample.value.parse().map(Value::AsDouble)).ok()?;
    Some(NumberDataPoint {
        attributes: attributes(&sample.labels),
        start_time_unix_nano: start_ns,
        time_unix_nano: now_ns,
        value: Some(value),
        ..NumberDataPoint::default()
    })
}

fn attributes(labels: &[(&str, String)]) -> Vec<KeyValue> {
    labels.iter().map(|(key, value)| text(key, value.clone())).collect()
}

/// One line of a histogram. Lines of one histogram stand together, its buckets first and rising.
fn add_part(
    histogram: &mut Histogram,
    part: &str,
    mut labels: Vec<(&str, String)>,
    value: &str,
    times: Times,
) {
    let bound = labels.iter().position(|(key, _)| *key == "le").map(|at| labels.remove(at).1);
    let attributes = attributes(&labels);
    if histogram.data_points.last().is_none_or(|point| point.attributes != attributes) {
        histogram.data_points.push(HistogramDataPoint {
            attributes,
            start_time_unix_nano: times.start_ns,
            time_unix_nano: times.now_ns,
            ..HistogramDataPoint::default()
        });
    }
    let Some(point) = histogram.data_points.last_mut() else { return };
    match (part, bound) {
        ("_bucket", Some(bound)) => {
            let at_most: u64 = value.parse().unwrap_or_default();
            let below: u64 = point.bucket_counts.iter().sum();
            point.bucket_counts.push(at_most.saturating_sub(below));
            if let Some(bound) = bound.parse().ok().filter(|bound: &f64| bound.is_finite()) {
                point.explicit_bounds.push(bound);
            }
        }
        ("_count", None) => point.count = value.parse().unwrap_or_default(),
        ("_sum", None) => point.sum = value.parse().ok(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
# TYPE asked counter
# HELP asked Requests.
asked_total{endpoint=\"a\",field=\"x\\\"y,\\\\z\"} 3
asked_total{endpoint=\"b\",field=\"n\"} 4
# HELP waiting Now.
# TYPE waiting gauge
waiting 1.5
# TYPE empty counter
# HELP empty Nothing yet.
# TYPE took_seconds histogram
# HELP took_seconds Time.
took_seconds_bucket{endpoint=\"a\",le=\"0.1\"} 2
took_seconds_bucket{endpoint=\"a\",le=\"1.0\"} 2
took_seconds_bucket{endpoint=\"a\",le=\"+Inf\"} 5
took_seconds_count{endpoint=\"a\"} 5
took_seconds_sum{endpoint=\"a\"} 7.25
took_seconds_bucket{endpoint=\"b\",le=\"0.1\"} 1
took_seconds_bucket{endpoint=\"b\",le=\"+Inf\"} 1
took_seconds_count{endpoint=\"b\"} 1
took_seconds_sum{endpoint=\"b\"} 0.01
# EOF
";

    fn metrics() -> Vec<Metric> {
        read(PAGE, Times { start_ns: 1, now_ns: 9 })
    }

    #[test]
    fn families_with_their_kinds_and_units() {
        let found = metrics();
        let found: Vec<_> = found
            .iter()
            .map(|m| (m.name.as_str(), m.unit.as_str(), m.description.as_str()))
            .collect();
        let wanted =
            [("asked", "", "Requests."), ("waiting", "", "Now."), ("took_seconds", "s", "Time.")];
        assert_eq!(found, wanted);
    }

    #[test]
    fn numbers_and_labels() {
        let found = metrics();
        let Some(Data::Sum(sum)) = &found[0].data else { panic!() };
        assert!(sum.is_monotonic);
        assert_eq!(sum.data_points.len(), 2);
        let point = &sum.data_points[0];
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (1, 9));
        assert_eq!(point.value, Some(Value::AsInt(3)));
        let wanted = [text("endpoint", "a".into()), text("field", "x\"y,\\z".into())];
        assert_eq!(point.attributes, wanted);
        let Some(Data::Gauge(gauge)) = &found[1].data else { panic!() };
        assert_eq!(gauge.data_points[0].value, Some(Value::AsDouble(1.5)));
    }

    #[test]
    fn buckets_are_no_longer_cumulative() {
        let found = metrics();
        let Some(Data::Histogram(histogram)) = &found[2].data else { panic!() };
        let [a, b] = histogram.data_points.as_slice() else { panic!() };
        assert_eq!((a.count, a.sum), (5, Some(7.25)));
        assert_eq!(a.explicit_bounds, [0.1, 1.0]);
        assert_eq!(a.bucket_counts, [2, 0, 3]);
        assert_eq!((b.count, b.bucket_counts.as_slice()), (1, [1, 0].as_slice()));
    }

    #[test]
    fn broken_lines_are_left_out() {
        for bad in ["", "name", "name{a=\"b} 1", "name{a=\"b\" 1", "# EOF", "name{} "] {
            assert_eq!(Sample::read(bad), None, "{bad}");
        }
        assert_eq!(Sample::read("n{} 2").unwrap().value, "2");
    }
}
