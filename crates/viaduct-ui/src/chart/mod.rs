//! Charts: pure functions from numbers to SVG.
//!
//! Every chart is drawn from the same values as the table under it, carries a `<title>` for each
//! point, takes its colours from the style sheet by class, and says "no data yet" when there is
//! nothing to draw. Invariant: no coordinate is ever NaN or infinite.
//!
//! Horizontal positions are percentages, so a chart fills its column without stretching its text.

pub mod bars;
pub mod forest;
pub mod gauge;
pub mod ladder;
pub mod line;
mod scale;
pub mod spark;
pub mod steps;

use crate::svg::Markup;

/// The state of a chart that has nothing to show.
pub(crate) fn no_data(what: &str) -> Markup {
    let mut m = Markup::default();
    m.raw("<p class=\"no-data\">No data yet: ").text(what).raw("</p>");
    m
}

/// A legend: one swatch and one name a series, told apart by dash and shape as well as colour.
pub(crate) fn legend<'a>(kind: &str, names: impl Iterator<Item = &'a str>) -> Markup {
    let mut m = Markup::default();
    m.raw("<ul class=\"legend\">");
    for (i, name) in names.enumerate() {
        let class = series_class(name, i);
        m.raw("<li><svg class=\"swatch\" width=\"18\" height=\"10\" aria-hidden=\"true\">");
        if kind == "bar" {
            m.raw(format!(
                "<rect class=\"bar {class}\" x=\"4\" width=\"10\" height=\"10\" rx=\"2\"/>"
            ));
        } else {
            m.raw(format!("<line class=\"stroke {class}\" x1=\"0\" x2=\"18\" y1=\"5\" y2=\"5\"/>"));
        }
        m.raw("</svg>").text(name).raw("</li>");
    }
    m.raw("</ul>");
    m
}

/// The class of the `i`-th series. A variant looks the same on every chart; other names take
/// their turn among four.
pub(crate) fn series_class(name: &str, i: usize) -> &'static str {
    match name {
        "champion" => "s1",
        "holdout" => "s2",
        "history" | "shadow" => "s3",
        "challenger" => "s4",
        _ => ["s1", "s2", "s3", "s4"][i % 4],
    }
}

#[cfg(test)]
pub(crate) mod check {
    use crate::svg::Markup;

    /// Parses as XML, has no NaN, and has at least `titles` titles.
    pub(crate) fn svg(markup: &Markup, titles: usize) {
        let text = format!("<x>{markup}</x>");
        let tree = roxmltree::Document::parse(&text).expect("the chart is well-formed XML");
        assert!(!text.contains("NaN") && !text.contains("inf\""), "{text}");
        let found = tree.descendants().filter(|n| n.has_tag_name("title")).count();
        assert!(found >= titles, "{found} titles, wanted {titles}: {text}");
        assert!(!text.contains(" style="), "strict CSP: no style attributes");
    }
}
