//! Experiments: the list of them.

use askama::Template;
use viaduct_base::Timestamp;

use super::shell::page_parts;
use super::{Crumb, Page, Section, Shell};
use crate::path;

/// One experiment in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentLine {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What its note says.
    pub note: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

/// The page of all experiments.
#[derive(Debug, Clone, Template)]
#[template(path = "experiments.html", blocks = ["main"])]
pub struct ExperimentsPage {
    /// The frame.
    pub shell: Shell,
    /// The filter as it was typed.
    pub filter: String,
    /// Why the filter does not read.
    pub problem: Option<String>,
    /// Which are wanted: `active`, `deleted` or `all`.
    pub view: String,
    /// The experiments, newest first.
    pub rows: Vec<ExperimentLine>,
    /// The address of the next page.
    pub next_href: Option<String>,
    /// The address of the first page, when this is another.
    pub first_href: Option<String>,
    /// Whether the caller may restore.
    pub may_write: bool,
}

impl ExperimentsPage {
    fn is_all(&self) -> bool {
        self.filter.is_empty() && self.view == "active" && self.first_href.is_none()
    }
}

impl Page for ExperimentsPage {
    page_parts!();

    fn title(&self) -> String {
        "Experiments".to_owned()
    }

    fn section(&self) -> Section {
        Section::Experiments
    }

    fn crumbs(&self) -> Vec<Crumb> {
        vec![Crumb::here("experiments")]
    }
}

/// The way to an experiment.
pub(super) fn way(id: &str, name: &str) -> Vec<Crumb> {
    vec![Crumb::link("experiments", path::EXPERIMENTS), Crumb::link(name, path::experiment(id))]
}
