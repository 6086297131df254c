//! Effects with their intervals on one axis: a forest plot of a few rows.

use super::no_data;
use super::scale::Scale;
use crate::fmt;
use crate::svg::{Markup, coord};

const ROW: f64 = 46.0;

/// One effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What was compared.
    pub label: String,
    /// The estimate.
    pub estimate: f64,
    /// Lower end of the interval.
    pub lower: f64,
    /// Upper end of the interval.
    pub upper: f64,
    /// How sure the interval is, such as 0.95.
    pub level: f64,
}

/// Everything a forest plot shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Forest {
    /// What it shows, for people who cannot see it.
    pub label: String,
    /// The unit of all values.
    pub unit: String,
    /// The effects.
    pub rows: Vec<Row>,
    /// A value that the effect should pass, such as the break-even, with its name.
    pub reference: Option<(f64, String)>,
}

/// Draws the plot.
pub fn chart(forest: &Forest) -> Markup {
    let rows: Vec<&Row> = forest
        .rows
        .iter()
        .filter(|r| [r.estimate, r.lower, r.upper].iter().all(|v| v.is_finite()))
        .collect();
    let reference = forest.reference.iter().map(|(value, _)| *value);
    let values = rows.iter().flat_map(|r| [r.estimate, r.lower, r.upper]).chain(reference);
    let Some(scale) = Scale::covering(values.chain([0.0])) else {
        return no_data("no estimate has been made.");
    };
    if rows.is_empty() {
        return no_data("no estimate has been made.");
    }
    let scale = scale.padded(0.1);
    let at = |value: f64| coord(scale.at(value) * 100.0);
    let bottom = 18.0 + ROW * rows.len() as f64;
    let mut m = Markup::default();
    m.raw(format!(
        "<div class=\"chart forest\"><svg class=\"plot wide\" role=\"img\" width=\"100%\" \
         height=\"{}\" aria-label=\"",
        coord(bottom + 26.0)
    ));
    m.text(&forest.label).raw("\">");
    for tick in scale.ticks(4) {
        let class = if tick == 0.0 { "axis strong" } else { "grid" };
        let x = at(tick);
        m.raw(format!(
            "<line class=\"{class}\" x1=\"{x}%\" x2=\"{x}%\" y1=\"16\" y2=\"{bottom}\"/>"
        ));
        m.raw(format!(
            "<text class=\"tick\" x=\"{x}%\" y=\"{}\" text-anchor=\"middle\">",
            coord(bottom + 18.0)
        ));
        m.text(&fmt::value(tick, &forest.unit)).raw("</text>");
    }
    if let Some((value, label)) = &forest.reference {
        let x = at(*value);
        let anchor = if scale.at(*value) > 0.7 { "end" } else { "start" };
        m.raw(format!(
            "<line class=\"reference\" x1=\"{x}%\" x2=\"{x}%\" y1=\"16\" y2=\"{bottom}\"/>\
             <text class=\"tick halo\" x=\"{x}%\" y=\"10\" text-anchor=\"{anchor}\">"
        ));
        m.text(label).raw("</text>");
    }
    for (i, row) in rows.iter().enumerate() {
        draw_row(&mut m, row, &forest.unit, 16.0 + ROW * i as f64, &at);
    }
    m.raw("</svg></div>");
    m
}

/// One interval beside zero without words, small enough for a table row; empty unless all are
/// numbers. `side` is the class that colours it.
pub fn mini(estimate: f64, lower: f64, upper: f64, side: &str, title: &str) -> Markup {
    let mut m = Markup::default();
    let all = [estimate, lower, upper];
    let Some(scale) = Scale::covering(all.into_iter().chain([0.0])) else { return m };
    if all.iter().any(|v| !v.is_finite()) {
        return m;
    }
    let at = |value: f64| coord(4.0 + scale.at(value) * 112.0);
    m.raw("<svg class=\"whisker ").text(side);
    m.raw("\" role=\"img\" width=\"120\" height=\"14\"><title>").text(title).raw("</title>");
    let (zero, low, high, dot) = (at(0.0), at(lower), at(upper), at(estimate));
    m.raw(format!(
        "<line class=\"zero\" x1=\"{zero}\" x2=\"{zero}\" y1=\"1\" y2=\"13\"/>\
         <line class=\"reach\" x1=\"{low}\" x2=\"{high}\" y1=\"7\" y2=\"7\"/>\
         <circle class=\"knob\" cx=\"{dot}\" cy=\"7\" r=\"3.5\"/></svg>"
    ));
    m
}

fn draw_row(m: &mut Markup, row: &Row, unit: &str, top: f64, at: &dyn Fn(f64) -> String) {
    let middle = coord(top + 31.0);
    let (lower, upper, estimate) = (at(row.lower), at(row.upper), at(row.estimate));
    m.raw("<g class=\"point\"><title>");
    m.text(&format!(
        "{}: {} [{}, {}] at {}",
        row.label,
        fmt::signed(row.estimate, unit),
        fmt::signed(row.lower, unit),
        fmt::signed(row.upper, unit),
        fmt::value(row.level, "share")
    ));
    m.raw("</title>");
    m.raw(format!("<text class=\"row-label halo\" x=\"0\" y=\"{}\">", coord(top + 15.0)));
    m.text(&row.label).raw("</text>");
    m.raw(format!(
        "<line class=\"effect\" x1=\"{lower}%\" x2=\"{upper}%\" y1=\"{middle}\" y2=\"{middle}\"/>"
    ));
    for end in [&lower, &upper] {
        m.raw(format!(
            "<line class=\"effect\" x1=\"{end}%\" x2=\"{end}%\" y1=\"{}\" y2=\"{}\"/>",
            coord(top + 25.0),
            coord(top + 37.0)
        ));
    }
    m.raw(format!("<circle class=\"effect-dot\" cx=\"{estimate}%\" cy=\"{middle}\" r=\"6\"/>"));
    m.raw(format!("<circle class=\"hit\" cx=\"{estimate}%\" cy=\"{middle}\" r=\"14\"/></g>"));
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn draws_rows_and_skips_what_is_no_number() {
        let row = |estimate| Row {
            label: "champion − holdout".into(),
            estimate,
            lower: 0.05,
            upper: 0.79,
            level: 0.95,
        };
        let forest = Forest {
            label: "effect".into(),
            unit: "EUR".into(),
            rows: vec![row(0.42), row(f64::NAN)],
            reference: Some((0.15, "break-even".into())),
        };
        let drawn = chart(&forest);
        check::svg(&drawn, 1);
        assert_eq!(drawn.as_str().matches("effect-dot").count(), 1);
        assert!(drawn.as_str().contains("+€0.42 [+€0.05, +€0.79] at 95 %"));
        check::svg(&mini(0.42, 0.05, 0.79, "up", "a < b"), 1);
        assert!(mini(0.42, f64::NAN, 0.79, "up", "").is_empty());
        assert!(chart(&Forest::default()).as_str().contains("No data yet"));
    }
}
