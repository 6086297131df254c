//! Decisions: the list of a project, and one of them with everything that is known about it.

use askama::Template;
use viaduct_base::Timestamp;

use super::shell::page_parts;
use super::{Crumb, Page, Provenance, Section, Shell};
use crate::svg::Markup;
use crate::{fmt, path};

/// One decision in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionRow {
    /// Its id.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// The business keys or the entity, for people.
    pub subject: String,
    /// The variant that answered.
    pub variant: String,
    /// What was done.
    pub action: String,
    /// The output, such as `0.183`.
    pub output: Option<String>,
    /// The model version, such as `term-deposit 2`.
    pub model: String,
    /// The latest outcome in words.
    pub outcome: Option<String>,
    /// How long it took, in microseconds.
    pub latency_us: i64,
}

impl DecisionRow {
    pub(crate) fn href(&self) -> String {
        path::decision(&self.id)
    }

    pub(crate) fn took(&self) -> String {
        fmt::micros(self.latency_us as f64)
    }
}

/// A name with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

impl Field {
    /// A name with its value.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// One report about what came of a decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// When it was reported.
    pub observed_at: Timestamp,
    /// When it happened.
    pub occurred_at: Option<Timestamp>,
    /// `final`, `partial` or `corrected`.
    pub status: String,
    /// The label.
    pub label: Option<String>,
    /// The value.
    pub value: Option<f64>,
    /// The value's unit.
    pub unit: String,
    /// Where it came from.
    pub source: Option<String>,
    /// Whether it is the one that counts now.
    pub current: bool,
}

impl Outcome {
    fn value_text(&self) -> Option<String> {
        self.value.map(|value| fmt::value(value, &self.unit))
    }
}

/// The decisions of a project.
#[derive(Debug, Clone, Template)]
#[template(path = "decisions.html", blocks = ["main"])]
pub struct DecisionsPage {
    /// The frame.
    pub shell: Shell,
    /// The project's name.
    pub project: String,
    /// The project's title.
    pub project_title: String,
    /// The rows, newest first.
    pub rows: Vec<DecisionRow>,
    /// How many there are in all.
    pub total: i64,
    /// The variant asked for, or empty.
    pub variant: String,
    /// The variants to choose from.
    pub variants: Vec<String>,
    /// The business key asked for, or empty.
    pub key: String,
    /// The address of older rows.
    pub older_href: Option<String>,
    /// The address of the newest rows, when these are not.
    pub newest_href: Option<String>,
}

impl Page for DecisionsPage {
    page_parts!();

    fn title(&self) -> String {
        format!("Decisions of {}", self.project_title)
    }

    fn section(&self) -> Section {
        Section::Portfolio
    }

    fn crumbs(&self) -> Vec<Crumb> {
        vec![Crumb::link(&self.project, path::project(&self.project)), Crumb::here("decisions")]
    }
}

/// One decision.
#[derive(Debug, Clone, Template)]
#[template(path = "decision.html", blocks = ["main"])]
pub struct DecisionPage {
    /// The frame.
    pub shell: Shell,
    /// Its id.
    pub id: String,
    /// The project's name; none for an endpoint without a project.
    pub project: Option<String>,
    /// The endpoint's name.
    pub endpoint: String,
    /// When.
    pub at: Timestamp,
    /// Live, simulated or replayed.
    pub provenance: Provenance,
    /// The project's stage then.
    pub stage: String,
    /// The consumer that asked.
    pub consumer: Option<String>,
    /// The hash of the entity.
    pub entity_hash: String,
    /// The business keys.
    pub keys: Vec<Field>,
    /// The variant that answered.
    pub variant: String,
    /// Why that variant, such as `bucket 4,812 of trial pilot-1`.
    pub assignment: Option<String>,
    /// Flags, such as `unsticky`.
    pub flags: Vec<String>,
    /// The model's name.
    pub model: String,
    /// The model's version.
    pub model_version: String,
    /// The contract's hash.
    pub contract_hash: String,
    /// The rule's hash.
    pub rule_hash: Option<String>,
    /// How long it took, in microseconds.
    pub latency_us: i64,
    /// The inputs in the contract's order.
    pub inputs: Vec<Field>,
    /// The model's output.
    pub output: Vec<Field>,
    /// What the incumbent would have done.
    pub incumbent: Option<String>,
    /// What the rule made of the output.
    pub model_action: Option<String>,
    /// What was done.
    pub action: String,
    /// Why it is not the model's action, when it is not.
    pub action_reason: Option<String>,
    /// Every report of what came of it, newest first.
    pub outcomes: Vec<Outcome>,
    /// When an outcome is due, in words.
    pub outcome_due: Option<String>,
}

impl Page for DecisionPage {
    page_parts!();

    fn title(&self) -> String {
        format!("Decision {}", self.id)
    }

    fn section(&self) -> Section {
        Section::Portfolio
    }

    fn crumbs(&self) -> Vec<Crumb> {
        let mut crumbs = Vec::new();
        if let Some(project) = &self.project {
            crumbs.push(Crumb::link(project, path::project(project)));
            crumbs.push(Crumb::link("decisions", path::decisions(project)));
        } else {
            crumbs.push(Crumb::link(&self.endpoint, path::endpoint(&self.endpoint)));
        }
        crumbs.push(Crumb::here(short_id(&self.id)));
        crumbs
    }
}

impl DecisionPage {
    fn provenance_tag(&self) -> Markup {
        self.provenance.tag()
    }

    fn took(&self) -> String {
        fmt::micros(self.latency_us as f64)
    }
}

/// The end of an id: what tells two of the same second apart.
pub(crate) fn short_id(id: &str) -> String {
    match (id.split_once('_'), id.len()) {
        (Some((prefix, _)), length) if length > 14 && id.is_ascii() => {
            format!("{prefix}_…{}", &id[length - 6..])
        }
        _ => id.to_owned(),
    }
}
