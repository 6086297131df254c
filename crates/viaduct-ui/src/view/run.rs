//! One run with everything that is known about it.

use askama::Template;
use viaduct_base::Timestamp;

use super::experiments::way;
use super::shell::page_parts;
use super::{Change, Crumb, Field, Page, RunStatus, Section, Shell};
use crate::chart::steps::{self, Steps};
use crate::path;
use crate::svg::Markup;

/// The latest value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct RunMetric {
    /// The key.
    pub key: String,
    /// The value.
    pub value: f64,
    /// At which step.
    pub step: i64,
    /// When.
    pub at: Timestamp,
    /// Its history, sampled; `None` for a metric of one point.
    pub history: Option<Steps>,
}

impl RunMetric {
    fn text(&self) -> String {
        crate::fmt::measure(self.value)
    }

    fn chart(&self) -> Option<Markup> {
        self.history.as_ref().map(steps::chart)
    }
}

/// A dataset that the run read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDataset {
    /// Its name.
    pub name: String,
    /// Its digest.
    pub digest: String,
    /// What it was read for.
    pub context: Option<String>,
    /// Where it comes from, as text.
    pub source: Option<String>,
}

/// A file or folder among the artifacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactLine {
    /// Its last name.
    pub name: String,
    /// Its address.
    pub href: String,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// The size of a file, in words.
    pub size: String,
}

/// A model that the run made or read, or a version that it was registered as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunModel {
    /// Its name.
    pub name: String,
    /// What it is to the run: `made`, `read`, `version 3`.
    pub role: String,
    /// Its id, for a logged model.
    pub id: Option<String>,
    /// The page of a registered model.
    pub href: Option<String>,
}

/// The page of a run.
#[derive(Debug, Clone, Template)]
#[template(path = "run.html", blocks = ["main"])]
pub struct RunPage {
    /// The frame.
    pub shell: Shell,
    /// The run's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The experiment's id.
    pub experiment_id: String,
    /// The experiment's name.
    pub experiment: String,
    /// How it ended.
    pub status: RunStatus,
    /// Who started it.
    pub user: String,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, in words.
    pub took: Option<String>,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// The day until which it can be restored for certain.
    pub kept_until: Option<Timestamp>,
    /// What its note says.
    pub note: Option<String>,
    /// The run that it belongs to.
    pub parent: Option<String>,
    /// What the code was: file, commit, repository.
    pub source: Vec<Field>,
    /// Its params.
    pub params: Vec<Field>,
    /// Its metrics.
    pub metrics: Vec<RunMetric>,
    /// Metrics whose history is too many to draw here.
    pub undrawn: usize,
    /// Its tags, without those that stand elsewhere on the page.
    pub tags: Vec<Field>,
    /// Datasets that it read.
    pub datasets: Vec<RunDataset>,
    /// Models that it made or read, and versions of it.
    pub models: Vec<RunModel>,
    /// The folder of artifacts that is shown; empty for their root.
    pub folder: String,
    /// Its children.
    pub artifacts: Vec<ArtifactLine>,
    /// Why they are not shown.
    pub artifact_problem: Option<String>,
    /// Where artifacts are, as a URI.
    pub artifact_uri: String,
    /// Who changed what, newest first.
    pub changes: Vec<Change>,
    /// Whether the caller may restore.
    pub may_write: bool,
}

impl RunPage {
    /// The folder above the one that is shown.
    fn folder_above(&self) -> Option<String> {
        if self.folder.is_empty() {
            return None;
        }
        let above = self.folder.rsplit_once('/').map_or("", |(above, _)| above);
        Some(path::run_folder(&self.id, above))
    }

    fn drawn(&self) -> Vec<(&RunMetric, Markup)> {
        self.metrics.iter().filter_map(|metric| Some((metric, metric.chart()?))).collect()
    }
}

impl Page for RunPage {
    page_parts!();

    fn title(&self) -> String {
        format!("Run {}", self.name)
    }

    fn section(&self) -> Section {
        Section::Experiments
    }

    fn crumbs(&self) -> Vec<Crumb> {
        let mut crumbs = way(&self.experiment_id, &self.experiment);
        crumbs.push(Crumb::here(&self.name));
        crumbs
    }

    fn refresh_seconds(&self) -> u32 {
        if self.status.0 == "RUNNING" && self.deleted_at.is_none() { 15 } else { 0 }
    }
}
