//! Lines by day, each with a confidence band: a KPI and its arms.

use viaduct_base::Day;

use super::scale::Scale;
use super::{legend, no_data, series_class};
use crate::fmt;
use crate::svg::{Markup, coord};

/// Pixels from the chart's top to the plot's top, and the plot's height.
const TOP: f64 = 22.0;
const HEIGHT: f64 = 190.0;

/// One day of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The day it belongs to.
    pub day: Day,
    /// The value; one that is not finite leaves a gap.
    pub value: f64,
    /// Lower end of its interval.
    pub lower: Option<f64>,
    /// Upper end of its interval.
    pub upper: Option<f64>,
    /// How many units it rests on.
    pub n: Option<i64>,
}

/// One line: the KPI, or one arm of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its points in the order of days.
    pub points: Vec<Point>,
}

/// A vertical mark: something that happened on a day.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// When.
    pub day: Day,
    /// What, in two or three words.
    pub label: String,
}

/// A horizontal line to compare with.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Where it lies.
    pub value: f64,
    /// What it is, such as `break-even`.
    pub label: String,
}

/// Everything a line chart shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lines {
    /// What it shows, for people who cannot see it.
    pub label: String,
    /// The unit of all values.
    pub unit: String,
    /// The lines.
    pub series: Vec<Series>,
    /// Vertical marks.
    pub marks: Vec<Mark>,
    /// A horizontal line.
    pub reference: Option<Reference>,
}

/// Draws the chart with its legend.
pub fn chart(lines: &Lines) -> Markup {
    let points = || lines.series.iter().flat_map(|s| &s.points).filter(|p| p.value.is_finite());
    let values = points()
        .flat_map(|p| [Some(p.value), p.lower, p.upper])
        .flatten()
        .chain(lines.reference.iter().map(|r| r.value));
    let days = points().map(|p| f64::from(p.day.number()));
    let Some(first) = points().map(|p| p.day).min() else {
        return no_data("the first day with a value draws the first point.");
    };
    let (Some(y), Some(x)) = (Scale::covering(values), Scale::covering(days)) else {
        return no_data("no value is a number.");
    };
    let y = y.padded(0.04).rounded(4);
    let mut m = Markup::default();
    m.raw("<div class=\"chart\">");
    m.raw(legend("line", lines.series.iter().map(|s| s.name.as_str())).as_str());
    m.raw("<svg class=\"plot\" role=\"img\" width=\"100%\" height=\"246\" aria-label=\"");
    m.text(&lines.label).raw("\">");
    grid(&mut m, y, &lines.unit);
    let last = points().map(|p| p.day).max().unwrap_or(first);
    day_axis(&mut m, x, first, last);
    m.raw(format!(
        "<svg x=\"0\" y=\"{TOP}\" width=\"100%\" height=\"{HEIGHT}\" viewBox=\"0 0 1000 1000\" \
         preserveAspectRatio=\"none\" class=\"stretch\">"
    ));
    for (i, series) in lines.series.iter().enumerate() {
        band(&mut m, series, i, x, y);
    }
    for (i, series) in lines.series.iter().enumerate() {
        path(&mut m, series, i, x, y);
    }
    m.raw("</svg>");
    if let Some(reference) = &lines.reference {
        reference_line(&mut m, reference, y);
    }
    for mark in &lines.marks {
        day_mark(&mut m, mark, x);
    }
    for (i, series) in lines.series.iter().enumerate() {
        dots(&mut m, series, i, lines, x, y);
    }
    m.raw("</svg></div>");
    m
}

fn pixel(y: Scale, value: f64) -> f64 {
    TOP + HEIGHT * (1.0 - y.at(value))
}

fn across(x: Scale, day: Day) -> f64 {
    x.at(f64::from(day.number()))
}

fn grid(m: &mut Markup, y: Scale, unit: &str) {
    for tick in y.ticks(4) {
        let at = coord(pixel(y, tick));
        let class = if tick == 0.0 { "axis" } else { "grid" };
        m.raw(format!("<line class=\"{class}\" x1=\"0\" x2=\"100%\" y1=\"{at}\" y2=\"{at}\"/>"));
        m.raw(format!("<text class=\"tick\" x=\"-10\" y=\"{at}\" dy=\"4\" text-anchor=\"end\">"));
        m.text(&fmt::value(tick, unit)).raw("</text>");
    }
}

fn day_axis(m: &mut Markup, x: Scale, first: Day, last: Day) {
    let length = last.number() - first.number();
    // Why five at most: more labels touch each other on a 380 px screen.
    let parts = length.clamp(1, 4);
    for i in 0..=parts {
        let day = first.plus((f64::from(length) * f64::from(i) / f64::from(parts)).round() as i32);
        let share = across(x, day);
        let anchor = match share {
            s if s < 0.02 => "start",
            s if s > 0.98 => "end",
            _ => "middle",
        };
        m.raw(format!(
            "<text class=\"tick\" x=\"{}%\" y=\"{}\" text-anchor=\"{anchor}\">",
            coord(share * 100.0),
            coord(TOP + HEIGHT + 24.0)
        ));
        m.text(&fmt::day_short(day)).raw("</text>");
        if length == 0 {
            break;
        }
    }
}

/// Runs of neighbouring points that can be joined: a value that is no number breaks the line.
fn runs(series: &Series) -> impl Iterator<Item = &[Point]> {
    series.points.split(|p| !p.value.is_finite()).filter(|run| !run.is_empty())
}

fn place(x: Scale, y: Scale, day: Day, value: f64) -> String {
    format!("{},{}", coord(across(x, day) * 1000.0), coord((1.0 - y.at(value)) * 1000.0))
}

fn band(m: &mut Markup, series: &Series, i: usize, x: Scale, y: Scale) {
    for run in runs(series) {
        let ends: Vec<_> = run.iter().filter_map(|p| Some((p.day, p.lower?, p.upper?))).collect();
        if ends.len() < 2 {
            continue;
        }
        let above = ends.iter().map(|(day, _, upper)| place(x, y, *day, *upper));
        let below = ends.iter().rev().map(|(day, lower, _)| place(x, y, *day, *lower));
        let outline: Vec<String> = above.chain(below).collect();
        let class = series_class(&series.name, i);
        m.raw(format!("<polygon class=\"band {class}\" points=\"{}\"/>", outline.join(" ")));
    }
}

fn path(m: &mut Markup, series: &Series, i: usize, x: Scale, y: Scale) {
    for run in runs(series) {
        let line: Vec<String> = run.iter().map(|p| place(x, y, p.day, p.value)).collect();
        let class = series_class(&series.name, i);
        m.raw(format!("<polyline class=\"stroke {class}\" points=\"{}\"/>", line.join(" ")));
    }
}

fn reference_line(m: &mut Markup, reference: &Reference, y: Scale) {
    let at = pixel(y, reference.value);
    m.raw(format!(
        "<line class=\"reference\" x1=\"0\" x2=\"100%\" y1=\"{0}\" y2=\"{0}\"/>\
         <text class=\"tick halo\" x=\"100%\" y=\"{1}\" text-anchor=\"end\">",
        coord(at),
        coord(at - 5.0)
    ));
    m.text(&reference.label).raw("</text>");
}

fn day_mark(m: &mut Markup, mark: &Mark, x: Scale) {
    let share = across(x, mark.day);
    let at = coord(share * 100.0);
    let anchor = if share > 0.7 { "end" } else { "start" };
    m.raw(format!(
        "<line class=\"mark\" x1=\"{at}%\" x2=\"{at}%\" y1=\"12\" y2=\"{}\"/>\
         <text class=\"tick halo\" x=\"{at}%\" y=\"8\" text-anchor=\"{anchor}\">",
        coord(TOP + HEIGHT)
    ));
    m.text(&mark.label).raw("</text>");
}

fn dots(m: &mut Markup, series: &Series, i: usize, lines: &Lines, x: Scale, y: Scale) {
    let class = series_class(&series.name, i);
    // Why 45: beyond six weeks of days the dots run together and hide the line.
    let radius = if series.points.len() <= 45 { 2.5 } else { 0.0 };
    for point in series.points.iter().filter(|p| p.value.is_finite()) {
        let (cx, cy) = (coord(across(x, point.day) * 100.0), coord(pixel(y, point.value)));
        m.raw("<g class=\"point\"><title>");
        m.text(&point_title(series, point, &lines.unit)).raw("</title>");
        m.raw(format!("<circle class=\"dot {class}\" cx=\"{cx}%\" cy=\"{cy}\" r=\"{radius}\"/>"));
        m.raw(format!("<circle class=\"hit\" cx=\"{cx}%\" cy=\"{cy}\" r=\"8\"/></g>"));
    }
}

fn point_title(series: &Series, point: &Point, unit: &str) -> String {
    let mut text =
        format!("{} · {}: {}", fmt::day(point.day), series.name, fmt::value(point.value, unit));
    if let (Some(lower), Some(upper)) = (point.lower, point.upper) {
        text.push_str(&format!(" [{}, {}]", fmt::value(lower, unit), fmt::value(upper, unit)));
    }
    if let Some(n) = point.n {
        text.push_str(&format!(" · n = {}", fmt::count(n)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    fn point(day: i32, value: f64) -> Point {
        Point {
            day: Day::from_number(day),
            value,
            lower: Some(value - 1.0),
            upper: Some(value + 1.0),
            n: Some(40),
        }
    }

    #[test]
    fn draws_every_point_and_leaves_gaps() {
        let mut lines = Lines { label: "<b>&".into(), unit: "EUR".into(), ..Lines::default() };
        let points = (0..30).map(|d| point(d, if d == 9 { f64::NAN } else { f64::from(d) }));
        lines.series.push(Series { name: "a & b".into(), points: points.collect() });
        lines.marks.push(Mark { day: Day::from_number(12), label: "trial <starts>".into() });
        lines.reference = Some(Reference { value: 3.0, label: "break-even".into() });
        let drawn = chart(&lines);
        check::svg(&drawn, 29);
        assert_eq!(drawn.as_str().matches("<polyline").count(), 2, "the gap splits the line");
    }

    #[test]
    fn one_point_and_no_point() {
        let one = Series { name: "a".into(), points: vec![point(5, 2.0)] };
        let lines = |series| Lines { unit: "share".into(), series, ..Lines::default() };
        check::svg(&chart(&lines(vec![one])), 1);
        let empty = chart(&lines(vec![]));
        assert!(empty.as_str().contains("No data yet"));
        let nan = Series { name: "a".into(), points: vec![point(1, f64::NAN)] };
        assert!(chart(&lines(vec![nan])).as_str().contains("No data yet"));
    }
}
