//! One evaluation of a gate in full, to read, to sign and to print.

use askama::Template;
use viaduct_base::Timestamp;

use super::criterion::Status;
use super::shell::page_parts;
use super::{Crumb, Gate, Page, Section, Shell, Signature};
use crate::path;

/// A criterion whose status differs from the evaluation before.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusChange {
    /// The criterion's id.
    pub criterion: String,
    /// How it stood.
    pub before: Status,
    /// How it stands.
    pub after: Status,
}

/// The page of one evaluation.
#[derive(Debug, Clone, Template)]
#[template(path = "evaluation.html", blocks = ["main"])]
pub struct EvaluationPage {
    /// The frame.
    pub shell: Shell,
    /// Its id.
    pub id: String,
    /// Its hash: what signatures name.
    pub hash: String,
    /// The hash of the entry before it in the chain.
    pub previous_hash: Option<String>,
    /// The policy's hash.
    pub policy_hash: String,
    /// When.
    pub at: Timestamp,
    /// The project's name.
    pub project: String,
    /// The project's title.
    pub project_title: String,
    /// The tier then.
    pub tier: String,
    /// The gate with every row.
    pub gate: Gate,
    /// What differs from the evaluation before.
    pub changes: Vec<StatusChange>,
    /// Signatures under it.
    pub signatures: Vec<Signature>,
}

impl Page for EvaluationPage {
    page_parts!();

    fn title(&self) -> String {
        format!("{} evaluation of {}", self.gate.name, self.project_title)
    }

    fn section(&self) -> Section {
        Section::Portfolio
    }

    fn crumbs(&self) -> Vec<Crumb> {
        vec![
            Crumb::link(&self.project, path::project(&self.project)),
            Crumb::here(format!("{} evaluation", self.gate.name)),
        ]
    }
}
