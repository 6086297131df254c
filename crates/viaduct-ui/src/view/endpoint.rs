//! One endpoint: what stands behind it, who calls it, how it does.

use askama::Template;
use viaduct_base::Timestamp;

use super::serving::{KilledBy, Note, PhaseRow, RolloutPanel, Tried, TryField, VariantRow};
use super::shell::page_parts;
use super::{Crumb, DecisionRow, Field, Page, Section, Shell};
use crate::chart::bars::{self, Bars};
use crate::svg::Markup;
use crate::{fmt, path};

/// A team or system with its own key.
#[derive(Debug, Clone, PartialEq)]
pub struct Consumer {
    /// Its name.
    pub name: String,
    /// When the key was made.
    pub created_at: Timestamp,
    /// When it was used last.
    pub last_call_at: Option<Timestamp>,
    /// Calls in the last 7 days.
    pub calls_7d: i64,
    /// How much it may ask for, in words; empty for no limit.
    pub limits: String,
}

/// A key that has just been made: shown this one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Whose it is.
    pub consumer: String,
    /// The key itself.
    pub key: String,
}

/// Refused requests by the field that was wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct RefusedField {
    /// The field.
    pub field: String,
    /// What was wrong, from the latest one.
    pub reason: String,
    /// How many.
    pub count: i64,
    /// The latest.
    pub last_at: Timestamp,
}

/// The page of one endpoint.
#[derive(Debug, Clone, Template)]
#[template(path = "endpoint.html", blocks = ["main"])]
pub struct EndpointPage {
    /// The frame.
    pub shell: Shell,
    /// Its name.
    pub name: String,
    /// The project that owns it.
    pub project: Option<String>,
    /// `shadow`, `trial`, `champion` or `unowned`.
    pub mode: String,
    /// What the mode means, as a sentence.
    pub mode_meaning: String,
    /// Whether business as usual is answered until it is released.
    pub frozen: bool,
    /// The model version behind it.
    pub model: Option<String>,
    /// Why no model answers, when none does.
    pub model_problem: Option<String>,
    /// The rule in words.
    pub rule: Option<String>,
    /// The entity field, the keys and other settings.
    pub settings: Vec<Field>,
    /// Traffic by variant.
    pub traffic: Bars,
    /// What one bar is: `hour` or `day`.
    pub bucket: String,
    /// Requests in the window of the chart.
    pub requests: i64,
    /// Share of requests that met the contract, 0 to 1.
    pub accepted: Option<f64>,
    /// Median latency in microseconds.
    pub latency_p50_us: Option<f64>,
    /// 99th percentile in microseconds.
    pub latency_p99_us: Option<f64>,
    /// Refused requests by field.
    pub refused: Vec<RefusedField>,
    /// The request to copy.
    pub curl: String,
    /// The consumers.
    pub consumers: Vec<Consumer>,
    /// A key that has just been made.
    pub new_key: Option<NewKey>,
    /// Whether the signed-in person may make a key.
    pub may_create_key: bool,
    /// The latest decisions.
    pub decisions: Vec<DecisionRow>,
    /// What each variant did.
    pub variants: Vec<VariantRow>,
    /// Where the time of a request goes.
    pub phases: Vec<PhaseRow>,
    /// The latest rollout.
    pub rollout: Option<RolloutPanel>,
    /// Whether the signed-in person may move it.
    pub may_roll: bool,
    /// The thrown kill switch.
    pub killed: Option<KilledBy>,
    /// Whether the signed-in person may throw it.
    pub may_kill: bool,
    /// The word for the fallback.
    pub fallback: String,
    /// Open alerts.
    pub alerts: Vec<Note>,
    /// The latest drills.
    pub drills: Vec<Note>,
    /// The form that tries the endpoint; empty without a contract.
    pub try_fields: Vec<TryField>,
    /// Whether the signed-in person may ask it.
    pub may_try: bool,
    /// What was just tried.
    pub tried: Option<Tried>,
}

impl EndpointPage {
    fn chart(&self) -> Markup {
        bars::chart(&self.traffic)
    }

    fn latency(value: &Option<f64>) -> String {
        value.map_or_else(|| fmt::NONE.to_owned(), fmt::micros)
    }
}

impl Page for EndpointPage {
    page_parts!();

    fn title(&self) -> String {
        format!("Endpoint {}", self.name)
    }

    fn section(&self) -> Section {
        Section::Portfolio
    }

    fn crumbs(&self) -> Vec<Crumb> {
        let mut crumbs = Vec::new();
        if let Some(project) = &self.project {
            crumbs.push(Crumb::link(project, path::project(project)));
        }
        crumbs.push(Crumb::here(format!("endpoint {}", self.name)));
        crumbs
    }

    fn refresh_seconds(&self) -> u32 {
        let is_rolling = self.rollout.as_ref().is_some_and(|rollout| rollout.is_open());
        match (self.new_key.is_some() || self.tried.is_some(), is_rolling) {
            (true, _) => 0,
            (false, true) => 3,
            (false, false) => 30,
        }
    }
}
