//! The runs of an experiment: a table, and some of them beside each other.

use askama::Template;
use viaduct_base::Timestamp;

use super::experiments::way;
use super::shell::page_parts;
use super::{Change, Crumb, Page, Section, Shell};
use crate::chart::steps::{self, Steps};
use crate::svg::Markup;

/// How a run ended, or that it has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStatus(pub String);

impl RunStatus {
    pub(crate) fn chip(&self) -> Markup {
        let (icon, class, word) = match self.0.as_str() {
            "FINISHED" => ("pass", "pass", "finished"),
            "FAILED" => ("fail", "fail", "failed"),
            "KILLED" => ("fail", "fail", "killed"),
            "SCHEDULED" => ("wait", "not-enough-data", "scheduled"),
            _ => ("stale", "stale", "running"),
        };
        let mut m = Markup::default();
        m.raw(format!("<span class=\"chip {class}\">"));
        m.raw(crate::icon::icon(icon).as_str()).text(word).raw("</span>");
        m
    }
}

/// A column of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunColumn {
    /// What it shows: the key of a metric, param or tag.
    pub label: String,
    /// `metric`, `param`, `tag`, or empty for what every run has.
    pub kind: String,
    /// The address of the table sorted by it, when it can be.
    pub sort_href: Option<String>,
    /// Whether the table is sorted by it: from the least up, or down.
    pub sorted: Option<bool>,
}

impl RunColumn {
    fn is_number(&self) -> bool {
        self.kind == "metric"
    }

    /// For `aria-sort`.
    fn sort_word(&self) -> &'static str {
        match self.sorted {
            Some(true) => "ascending",
            Some(false) => "descending",
            None => "none",
        }
    }

    fn arrow(&self) -> &'static str {
        match self.sorted {
            Some(true) => " ↑",
            Some(false) => " ↓",
            None => "",
        }
    }
}

/// One run in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLine {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How it ended.
    pub status: RunStatus,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, in words.
    pub took: Option<String>,
    /// Who started it.
    pub user: String,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// Values of the chosen columns; whether each is a number.
    pub cells: Vec<(Option<String>, bool)>,
}

/// A column that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// As the query says it: `metrics.auc`.
    pub value: String,
    /// Whether it is shown.
    pub chosen: bool,
}

/// The runs of an experiment.
#[derive(Debug, Clone, Template)]
#[template(path = "runs.html", blocks = ["main"])]
pub struct RunsPage {
    /// The frame.
    pub shell: Shell,
    /// The experiment's id.
    pub experiment_id: String,
    /// Its name.
    pub experiment: String,
    /// What its note says.
    pub note: Option<String>,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// The day until which it can be restored for certain.
    pub kept_until: Option<Timestamp>,
    /// The filter as it was typed.
    pub filter: String,
    /// Why the filter, the order or the page does not read.
    pub problem: Option<String>,
    /// Which are wanted: `active`, `deleted` or `all`.
    pub view: String,
    /// The order, as the query says it.
    pub order: String,
    /// Columns that every run has: name, status, start, user.
    pub fixed: Vec<RunColumn>,
    /// The chosen columns.
    pub columns: Vec<RunColumn>,
    /// The columns to choose from.
    pub offered: Vec<Offered>,
    /// The runs.
    pub rows: Vec<RunLine>,
    /// The address of the next page.
    pub next_href: Option<String>,
    /// The address of the first page, when this is another.
    pub first_href: Option<String>,
    /// Who changed what on the experiment.
    pub changes: Vec<Change>,
    /// Whether the caller may restore.
    pub may_write: bool,
}

impl Page for RunsPage {
    page_parts!();

    fn title(&self) -> String {
        format!("Runs of {}", self.experiment)
    }

    fn section(&self) -> Section {
        Section::Experiments
    }

    fn crumbs(&self) -> Vec<Crumb> {
        let list = Crumb::link("experiments", crate::path::EXPERIMENTS);
        vec![list, Crumb::here(&self.experiment)]
    }
}

/// One line of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The key.
    pub key: String,
    /// Each run's value.
    pub values: Vec<Option<String>>,
    /// Whether the runs differ.
    pub differs: bool,
}

/// Params, metrics or tags of all compared runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComparedPart {
    /// `Params`, `Metrics`, `Tags`.
    pub title: String,
    /// Whether the values are numbers.
    pub numbers: bool,
    /// The lines.
    pub rows: Vec<Compared>,
}

impl ComparedPart {
    fn slug(&self) -> String {
        self.title.to_ascii_lowercase()
    }
}

/// Runs beside each other.
#[derive(Debug, Clone, Template)]
#[template(path = "compare.html", blocks = ["main"])]
pub struct ComparePage {
    /// The frame.
    pub shell: Shell,
    /// The experiment's id.
    pub experiment_id: String,
    /// Its name.
    pub experiment: String,
    /// The runs, in the order in which they were picked.
    pub runs: Vec<RunLine>,
    /// What there is to compare.
    pub parts: Vec<ComparedPart>,
    /// Whether only differences are shown.
    pub only_different: bool,
    /// The address of the other choice.
    pub toggle_href: String,
    /// Metrics with a history, each with a line for every run.
    pub charts: Vec<(String, Steps)>,
}

impl ComparePage {
    fn drawn(chart: &Steps) -> Markup {
        steps::chart(chart)
    }
}

impl Page for ComparePage {
    page_parts!();

    fn title(&self) -> String {
        format!("{} runs of {}", self.runs.len(), self.experiment)
    }

    fn section(&self) -> Section {
        Section::Experiments
    }

    fn crumbs(&self) -> Vec<Crumb> {
        let mut crumbs = way(&self.experiment_id, &self.experiment);
        crumbs.push(Crumb::here("compare"));
        crumbs
    }
}
