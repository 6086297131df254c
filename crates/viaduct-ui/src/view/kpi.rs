//! A KPI by day, drawn and as a table.

use viaduct_base::Timestamp;

use crate::chart::line::{self, Lines, Point};
use crate::fmt;
use crate::path;
use crate::svg::Markup;

/// A KPI with its points.
#[derive(Debug, Clone, PartialEq)]
pub struct Kpi {
    /// The project's name, for links.
    pub project: String,
    /// Its name.
    pub name: String,
    /// Whether it is the one that decides.
    pub primary: bool,
    /// `mean` or `proportion`.
    pub kind: String,
    /// `increase` or `decrease`.
    pub direction: String,
    /// `decisions` or `csv`.
    pub source: String,
    /// What a case is worth when nothing is done, in words: an amount, or `observed`.
    pub value_if_not_acted: String,
    /// How long an outcome takes to be final, in words such as `21 days`.
    pub maturity: String,
    /// When its baseline was frozen.
    pub baseline_frozen_at: Option<Timestamp>,
    /// How many weeks the baseline covers.
    pub baseline_weeks: Option<f64>,
    /// While a trial runs: when its one look is. Until then the lines must not tell arms apart.
    pub arms_sealed_until: Option<Timestamp>,
    /// The lines: history, and one for each arm.
    pub lines: Lines,
}

/// One row of the table under the chart.
#[derive(Debug, Clone, PartialEq)]
pub struct KpiCell {
    /// The day.
    pub day: String,
    /// The series.
    pub series: String,
    /// The value.
    pub value: String,
    /// The interval.
    pub interval: String,
    /// How many units.
    pub n: String,
}

impl Kpi {
    /// The chart.
    pub fn chart(&self) -> Markup {
        line::chart(&self.lines)
    }

    /// How many points there are.
    pub fn point_count(&self) -> usize {
        self.lines.series.iter().map(|s| s.points.len()).sum()
    }

    /// The latest rows of the table, newest first; the CSV has them all.
    pub fn rows(&self) -> Vec<KpiCell> {
        let series = self.lines.series.iter();
        let mut rows: Vec<(&str, &Point)> =
            series.flat_map(|s| s.points.iter().map(|p| (s.name.as_str(), p))).collect();
        rows.sort_by_key(|(name, point)| (std::cmp::Reverse(point.day), *name));
        // Why 60: two months of days or a month of two arms; more belongs into the CSV.
        rows.into_iter().take(60).map(|(name, point)| self.cell(name, point)).collect()
    }

    fn cell(&self, series: &str, point: &Point) -> KpiCell {
        let unit = &self.lines.unit;
        let interval = match (point.lower, point.upper) {
            (Some(l), Some(u)) => format!("{} to {}", fmt::value(l, unit), fmt::value(u, unit)),
            _ => fmt::NONE.to_owned(),
        };
        KpiCell {
            day: fmt::day(point.day),
            series: series.to_owned(),
            value: fmt::value(point.value, unit),
            interval,
            n: point.n.map(fmt::count).unwrap_or_else(|| fmt::NONE.to_owned()),
        }
    }

    /// The CSV's address.
    pub fn csv(&self) -> String {
        path::kpi_csv(&self.project, &self.name)
    }
}
