//! Registered models: the list, and one with its versions.

use askama::Template;
use viaduct_base::Timestamp;

use super::shell::page_parts;
use super::{Change, Crumb, Field, Page, Section, Shell};
use crate::path;

/// One model in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelLine {
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// The number of its latest version.
    pub latest: Option<i64>,
    /// Aliases with the versions that they point at.
    pub aliases: Vec<(String, i64)>,
    /// Endpoints that serve it.
    pub endpoints: Vec<String>,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// The page of all registered models.
#[derive(Debug, Clone, Template)]
#[template(path = "models.html", blocks = ["main"])]
pub struct ModelsPage {
    /// The frame.
    pub shell: Shell,
    /// The filter as it was typed.
    pub filter: String,
    /// Why the filter does not read.
    pub problem: Option<String>,
    /// The models by name.
    pub rows: Vec<ModelLine>,
    /// The address of the next page.
    pub next_href: Option<String>,
    /// The address of the first page, when this is another.
    pub first_href: Option<String>,
}

impl Page for ModelsPage {
    page_parts!();

    fn title(&self) -> String {
        "Models".to_owned()
    }

    fn section(&self) -> Section {
        Section::Models
    }

    fn crumbs(&self) -> Vec<Crumb> {
        vec![Crumb::here("models")]
    }
}

/// The run that made a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeBy {
    /// The run's id.
    pub run_id: String,
    /// The run's name; `None` when there is no such run any more.
    pub run: Option<String>,
    /// The run's experiment: id and name.
    pub experiment: Option<(String, String)>,
    /// Datasets that the run read: name and digest.
    pub datasets: Vec<(String, String)>,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionLine {
    /// The number.
    pub version: i64,
    /// Aliases that point at it.
    pub aliases: Vec<String>,
    /// The stage of MLflow 2; `None` where there is none.
    pub stage: Option<String>,
    /// Why it is not ready, when it is not.
    pub not_ready: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// By whom.
    pub user: String,
    /// Where it comes from, as text.
    pub source: String,
    /// The run that made it.
    pub made_by: Option<MadeBy>,
    /// Endpoints that serve it now.
    pub endpoints: Vec<String>,
    /// Decisions among those that were counted.
    pub decisions: i64,
    /// Its tags.
    pub tags: Vec<Field>,
}

/// The page of a registered model.
#[derive(Debug, Clone, Template)]
#[template(path = "model.html", blocks = ["main"])]
pub struct ModelPage {
    /// The frame.
    pub shell: Shell,
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Its versions, newest first.
    pub versions: Vec<VersionLine>,
    /// How many versions are not shown.
    pub unshown: usize,
    /// Aliases with the versions that they point at, and since when.
    pub aliases: Vec<(String, i64, Timestamp)>,
    /// Endpoints that serve it: name and what they ask for.
    pub endpoints: Vec<(String, String)>,
    /// When there are more decisions than were counted: how many were.
    pub counted: Option<i64>,
    /// Its tags.
    pub tags: Vec<Field>,
    /// Who changed what, newest first.
    pub changes: Vec<Change>,
}

impl Page for ModelPage {
    page_parts!();

    fn title(&self) -> String {
        format!("Model {}", self.name)
    }

    fn section(&self) -> Section {
        Section::Models
    }

    fn crumbs(&self) -> Vec<Crumb> {
        vec![Crumb::link("models", path::MODELS), Crumb::here(&self.name)]
    }
}
