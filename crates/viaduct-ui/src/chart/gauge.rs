//! One measurement against its threshold, small enough for a table row.

use super::scale::Scale;
use crate::svg::{Markup, coord};
use crate::view::{Bound, Measure, Status};

/// The middle of the gauge in pixels.
const MIDDLE: f64 = 13.0;

/// Draws the value (a bar) or the interval (a whisker with its estimate) beside the threshold's
/// mark and the zone that passes. Empty when there is nothing numeric to compare.
pub fn gauge(measure: &Measure, bound: &Bound, unit: &str, status: Status, title: &str) -> Markup {
    let mut limits = bound.limits();
    limits.dedup();
    let mut values = measure.values();
    values.extend(&limits);
    values.retain(|v| v.is_finite());
    let mut m = Markup::default();
    if limits.is_empty() || values.is_empty() {
        return m;
    }
    let scale = domain(&values, unit);
    let at = |value: f64| coord(3.0 + scale.at(value) * 94.0);
    m.raw("<svg class=\"gauge ").raw(status.slug());
    m.raw("\" role=\"img\" width=\"100%\" height=\"26\"><title>").text(title).raw("</title>");
    let missing = if measure.values().is_empty() { " missing" } else { "" };
    m.raw(format!(
        "<line class=\"track{missing}\" x1=\"3%\" x2=\"97%\" y1=\"{MIDDLE}\" y2=\"{MIDDLE}\"/>"
    ));
    zone(&mut m, bound, &at);
    match measure {
        Measure::Scalar(value) if value.is_finite() => {
            let zero = if scale.at(0.0) > 0.0 { at(0.0) } else { "3".to_owned() };
            m.raw(format!(
                "<line class=\"value\" x1=\"{zero}%\" x2=\"{0}%\" y1=\"{MIDDLE}\" y2=\"{MIDDLE}\"/>\
                 <circle class=\"knob\" cx=\"{0}%\" cy=\"{MIDDLE}\" r=\"4\"/>",
                at(*value)
            ));
        }
        Measure::Interval { estimate, lower, upper, .. } if estimate.is_finite() => {
            whisker(&mut m, &at(*lower), &at(*upper));
            m.raw(format!(
                "<circle class=\"knob\" cx=\"{}%\" cy=\"{MIDDLE}\" r=\"4\"/>",
                at(*estimate)
            ));
        }
        _ => {}
    }
    for limit in limits {
        m.raw(format!(
            "<line class=\"limit\" x1=\"{0}%\" x2=\"{0}%\" y1=\"3\" y2=\"23\"/>",
            at(limit)
        ));
    }
    m.raw("</svg>");
    m
}

fn domain(values: &[f64], unit: &str) -> Scale {
    let inside = values.iter().all(|v| (0.0..=1.0).contains(v));
    if unit == "share" && inside && values.iter().any(|v| *v > 0.2) {
        return Scale::between(0.0, 1.0);
    }
    let with_zero = values.iter().copied().chain([0.0]);
    let highest = values.iter().copied().fold(0.0, f64::max);
    if values.iter().all(|v| *v >= 0.0) {
        return Scale::between(0.0, if highest > 0.0 { highest * 1.12 } else { 1.0 });
    }
    Scale::covering(with_zero).unwrap_or(Scale::between(0.0, 1.0)).padded(0.08)
}

fn zone(m: &mut Markup, bound: &Bound, at: &dyn Fn(f64) -> String) {
    let (from, to) = match bound {
        Bound::AtLeast(limit) => (at(*limit), "97".to_owned()),
        Bound::AtMost(limit) => ("3".to_owned(), at(*limit)),
        Bound::Inside(low, high) => (at(*low), at(*high)),
        Bound::Holds | Bound::Other => return,
    };
    let start: f64 = from.parse().unwrap_or(0.0);
    let width = coord((to.parse().unwrap_or(0.0) - start).max(0.0));
    m.raw(format!(
        "<rect class=\"zone\" x=\"{from}%\" y=\"8\" width=\"{width}%\" height=\"10\" rx=\"2\"/>"
    ));
}

fn whisker(m: &mut Markup, lower: &str, upper: &str) {
    m.raw(format!(
        "<line class=\"value\" x1=\"{lower}%\" x2=\"{upper}%\" y1=\"{MIDDLE}\" y2=\"{MIDDLE}\"/>"
    ));
    for end in [lower, upper] {
        m.raw(format!("<line class=\"cap\" x1=\"{end}%\" x2=\"{end}%\" y1=\"9\" y2=\"17\"/>"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn every_measure_against_every_bound() {
        let measures = [
            Measure::Scalar(0.95),
            Measure::Scalar(f64::NAN),
            Measure::Interval { estimate: 0.4, lower: -0.2, upper: 1.1, level: 0.95 },
            Measure::Flag(true),
            Measure::Missing,
        ];
        for bound in [Bound::AtLeast(0.9), Bound::AtMost(21.0), Bound::Inside(0.01, 0.3)] {
            for measure in &measures {
                check::svg(&gauge(measure, &bound, "share", Status::Fail, "a < b"), 1);
            }
        }
        assert!(gauge(&measures[0], &Bound::Holds, "", Status::Pass, "").is_empty());
    }
}
