//! Stacked bars over time: traffic by variant.

use super::scale::Scale;
use super::{legend, no_data, series_class};
use crate::fmt;
use crate::svg::{Markup, coord};

const TOP: f64 = 8.0;
const HEIGHT: f64 = 150.0;

/// One bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// Its name on the axis and in titles, such as `12 Nov`.
    pub label: String,
    /// One count a series, in the order of [`Bars::series`].
    pub counts: Vec<f64>,
}

/// Everything a bar chart shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bars {
    /// What it shows, for people who cannot see it.
    pub label: String,
    /// Names of the parts of each bar, from the bottom.
    pub series: Vec<String>,
    /// The bars in order.
    pub buckets: Vec<Bucket>,
}

impl Bars {
    fn parts<'a>(&'a self, bucket: &'a Bucket) -> impl Iterator<Item = (usize, &'a str, f64)> {
        let counts = bucket.counts.iter().zip(&self.series).enumerate();
        counts.map(|(i, (count, name))| {
            (i, name.as_str(), if count.is_finite() { count.max(0.0) } else { 0.0 })
        })
    }

    fn total(&self, bucket: &Bucket) -> f64 {
        self.parts(bucket).map(|(_, _, count)| count).sum()
    }
}

/// Draws the chart with its legend.
pub fn chart(bars: &Bars) -> Markup {
    let highest = bars.buckets.iter().map(|b| bars.total(b)).fold(0.0, f64::max);
    if highest <= 0.0 {
        return no_data("the first request draws the first bar.");
    }
    let y = Scale::between(0.0, highest).rounded(3);
    let mut m = Markup::default();
    m.raw("<div class=\"chart\">");
    m.raw(legend("bar", bars.series.iter().map(String::as_str)).as_str());
    m.raw("<svg class=\"plot\" role=\"img\" width=\"100%\" height=\"190\" aria-label=\"");
    m.text(&bars.label).raw("\">");
    for tick in y.ticks(3) {
        let at = coord(TOP + HEIGHT * (1.0 - y.at(tick)));
        let class = if tick == 0.0 { "axis" } else { "grid" };
        m.raw(format!("<line class=\"{class}\" x1=\"0\" x2=\"100%\" y1=\"{at}\" y2=\"{at}\"/>"));
        m.raw(format!("<text class=\"tick\" x=\"-10\" y=\"{at}\" dy=\"4\" text-anchor=\"end\">"));
        m.text(&fmt::plain(tick)).raw("</text>");
    }
    let slot = 100.0 / bars.buckets.len() as f64;
    for (i, bucket) in bars.buckets.iter().enumerate() {
        bar(&mut m, bars, bucket, slot * i as f64, slot, y);
    }
    axis(&mut m, bars, slot);
    m.raw("</svg></div>");
    m
}

fn bar(m: &mut Markup, bars: &Bars, bucket: &Bucket, left: f64, slot: f64, y: Scale) {
    let mut below = 0.0;
    m.raw("<g class=\"point\"><title>").text(&title(bars, bucket)).raw("</title>");
    let (x, width) = (coord(left + slot * 0.14), coord(slot * 0.72));
    for (i, name, count) in bars.parts(bucket).filter(|(_, _, count)| *count > 0.0) {
        let (from, to) = (y.at(below), y.at(below + count));
        below += count;
        let (top, height) = (TOP + HEIGHT * (1.0 - to), (HEIGHT * (to - from) - 0.5).max(0.75));
        m.raw(format!(
            "<rect class=\"bar {}\" x=\"{x}%\" y=\"{}\" width=\"{width}%\" height=\"{}\" rx=\"1.5\"/>",
            series_class(name, i),
            coord(top),
            coord(height)
        ));
    }
    m.raw(format!(
        "<rect class=\"hit\" x=\"{}%\" y=\"{TOP}\" width=\"{}%\" height=\"{HEIGHT}\"/></g>",
        coord(left),
        coord(slot)
    ));
}

fn title(bars: &Bars, bucket: &Bucket) -> String {
    let parts = bars.parts(bucket).filter(|(_, _, count)| *count > 0.0);
    let parts: Vec<_> =
        parts.map(|(_, name, count)| format!("{name} {}", fmt::number(count, 0))).collect();
    let total = fmt::number(bars.total(bucket), 0);
    if parts.is_empty() {
        format!("{}: none", bucket.label)
    } else {
        format!("{}: {total} ({})", bucket.label, parts.join(", "))
    }
}

fn axis(m: &mut Markup, bars: &Bars, slot: f64) {
    let last = bars.buckets.len().saturating_sub(1);
    for i in [0, last / 2, last] {
        let Some(bucket) = bars.buckets.get(i) else { continue };
        if (i == last / 2 && last < 4) || (i == last && last == 0) {
            continue;
        }
        let (at, anchor) = match i {
            0 => (0.0, "start"),
            i if i == last => (100.0, "end"),
            i => (slot * (i as f64 + 0.5), "middle"),
        };
        m.raw(format!(
            "<text class=\"tick\" x=\"{}%\" y=\"{}\" text-anchor=\"{anchor}\">",
            coord(at),
            coord(TOP + HEIGHT + 22.0)
        ));
        m.text(&bucket.label).raw("</text>");
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn draws_bars_with_titles() {
        let bars = Bars {
            label: "traffic".into(),
            series: vec!["champion".into(), "hold<out".into()],
            buckets: (0..24)
                .map(|h| Bucket {
                    label: format!("{h}:00"),
                    counts: vec![f64::from(h), if h == 3 { f64::NAN } else { 2.0 }],
                })
                .collect(),
        };
        let drawn = chart(&bars);
        check::svg(&drawn, 24);
        assert!(drawn.as_str().contains("23:00: 25 (champion 23, hold&lt;out 2)"));
    }

    #[test]
    fn nothing_to_draw() {
        assert!(chart(&Bars::default()).as_str().contains("No data yet"));
        let zero = Bars {
            series: vec!["a".into()],
            buckets: vec![Bucket { label: "x".into(), counts: vec![0.0] }],
            ..Bars::default()
        };
        assert!(chart(&zero).as_str().contains("No data yet"));
    }
}
