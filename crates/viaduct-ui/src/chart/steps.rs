//! Lines over the steps of a training: one metric, of one run or of several.

use super::scale::Scale;
use super::{legend, no_data, series_class};
use crate::fmt;
use crate::svg::{Markup, coord};

/// Pixels from the chart's top to the plot's top, and the plot's height.
const TOP: f64 = 10.0;
const HEIGHT: f64 = 132.0;
/// Points of a line that answer to the pointer; more would lie on each other.
const TOLD: usize = 80;

/// One measured value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// At which step.
    pub step: i64,
    /// The value; one that is not finite leaves a gap.
    pub value: f64,
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its name in the legend.
    pub name: String,
    /// Its points in the order of steps.
    pub steps: Vec<Step>,
}

/// Everything the chart shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Steps {
    /// What it shows, for people who cannot see it.
    pub label: String,
    /// The lines.
    pub lines: Vec<Line>,
}

/// Draws the chart; a legend stands above it when there is more than one line.
pub fn chart(steps: &Steps) -> Markup {
    let points = || steps.lines.iter().flat_map(|line| &line.steps).filter(|p| drawn(p));
    let across = Scale::covering(points().map(|p| p.step as f64));
    let (Some(y), Some(x)) = (Scale::covering(points().map(|p| p.value)), across) else {
        return no_data("no value is a finite number.");
    };
    let y = y.padded(0.04).rounded(3);
    let mut m = Markup::default();
    m.raw("<div class=\"chart\">");
    if steps.lines.len() > 1 {
        m.raw(legend("line", steps.lines.iter().map(|line| line.name.as_str())).as_str());
    }
    m.raw("<svg class=\"plot\" role=\"img\" width=\"100%\" height=\"172\" aria-label=\"");
    m.text(&steps.label).raw("\">");
    grid(&mut m, y);
    step_axis(&mut m, x, points().map(|p| p.step));
    m.raw(format!(
        "<svg x=\"0\" y=\"{TOP}\" width=\"100%\" height=\"{HEIGHT}\" viewBox=\"0 0 1000 1000\" \
         preserveAspectRatio=\"none\" class=\"stretch\">"
    ));
    for (i, line) in steps.lines.iter().enumerate() {
        let class = series_class("", i);
        for run in line.steps.split(|p| !drawn(p)).filter(|run| !run.is_empty()) {
            let places: Vec<String> = run.iter().map(|p| place(x, y, p)).collect();
            m.raw(format!("<polyline class=\"stroke {class}\" points=\"{}\"/>", places.join(" ")));
        }
    }
    m.raw("</svg>");
    for (i, line) in steps.lines.iter().enumerate() {
        dots(&mut m, (line, i), steps.lines.len() > 1, x, y);
    }
    m.raw("</svg></div>");
    m
}

/// Why the largest number is none: it stands for infinity.
fn drawn(point: &Step) -> bool {
    point.value.is_finite() && point.value.abs() < f64::MAX
}

fn pixel(y: Scale, value: f64) -> f64 {
    TOP + HEIGHT * (1.0 - y.at(value))
}

fn place(x: Scale, y: Scale, point: &Step) -> String {
    let across = x.at(point.step as f64) * 1000.0;
    format!("{},{}", coord(across), coord((1.0 - y.at(point.value)) * 1000.0))
}

fn grid(m: &mut Markup, y: Scale) {
    for tick in y.ticks(3) {
        let at = coord(pixel(y, tick));
        let class = if tick == 0.0 { "axis" } else { "grid" };
        m.raw(format!("<line class=\"{class}\" x1=\"0\" x2=\"100%\" y1=\"{at}\" y2=\"{at}\"/>"));
        m.raw(format!("<text class=\"tick\" x=\"-10\" y=\"{at}\" dy=\"4\" text-anchor=\"end\">"));
        m.text(&fmt::plain(tick)).raw("</text>");
    }
}

fn step_axis(m: &mut Markup, x: Scale, steps: impl Iterator<Item = i64>) {
    let (first, last) = steps.fold((i64::MAX, i64::MIN), |(a, b), s| (a.min(s), b.max(s)));
    let mut ends = vec![(first, "start")];
    if last != first {
        ends.push((last, "end"));
    } else {
        ends[0].1 = "middle";
    }
    for (step, anchor) in ends {
        m.raw(format!(
            "<text class=\"tick\" x=\"{}%\" y=\"{}\" text-anchor=\"{anchor}\">",
            coord(x.at(step as f64) * 100.0),
            coord(TOP + HEIGHT + 22.0)
        ));
        m.text(&format!("step {}", fmt::count(step))).raw("</text>");
    }
}

fn dots(m: &mut Markup, (line, i): (&Line, usize), is_named: bool, x: Scale, y: Scale) {
    let class = series_class("", i);
    let every = line.steps.len().div_ceil(TOLD).max(1);
    let radius = if line.steps.len() <= 40 { 2.5 } else { 0.0 };
    let last = line.steps.len().saturating_sub(1);
    let told = line.steps.iter().enumerate().filter(|(n, _)| n % every == 0 || *n == last);
    for (_, point) in told.filter(|(_, p)| drawn(p)) {
        let (cx, cy) = (coord(x.at(point.step as f64) * 100.0), coord(pixel(y, point.value)));
        let name = if is_named { format!("{} · ", line.name) } else { String::new() };
        m.raw("<g class=\"point\"><title>");
        m.text(&format!("{name}step {}: {}", fmt::count(point.step), fmt::measure(point.value)));
        m.raw("</title>");
        m.raw(format!("<circle class=\"dot {class}\" cx=\"{cx}%\" cy=\"{cy}\" r=\"{radius}\"/>"));
        m.raw(format!("<circle class=\"hit\" cx=\"{cx}%\" cy=\"{cy}\" r=\"7\"/></g>"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::check;

    fn line(name: &str, values: &[f64]) -> Line {
        let steps = values.iter().zip(0..).map(|(value, step)| Step { step, value: *value });
        Line { name: name.into(), steps: steps.collect() }
    }

    #[test]
    fn lines_gaps_and_nothing() {
        let two = Steps {
            label: "loss <of> runs".into(),
            lines: vec![
                line("a<b>", &[0.9, f64::NAN, 0.4, f64::MAX, 0.2]),
                line("b", &[0.8; 1000]),
            ],
        };
        let drawn = chart(&two);
        check::svg(&drawn, 3);
        assert!(drawn.as_str().matches("<title>").count() < 100, "long lines tell a part");
        assert_eq!(drawn.as_str().matches("<polyline").count(), 4, "gaps part a line");
        let none = Steps { label: String::new(), lines: vec![line("a", &[f64::NAN])] };
        assert!(chart(&none).as_str().contains("No data yet"));
        let one = Steps { label: String::new(), lines: vec![line("a", &[0.5])] };
        check::svg(&chart(&one), 1);
    }
}
