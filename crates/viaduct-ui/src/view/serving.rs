//! What an endpoint's page shows of serving: variants, the rollout as a picture, a form to try it.

use viaduct_base::Timestamp;

use super::stage::chip;
use crate::fmt;
use crate::svg::{Markup, coord};

/// What one variant did since it came into service.
#[derive(Debug, Clone, PartialEq)]
pub struct VariantRow {
    /// The variant's word.
    pub variant: String,
    /// The version behind it.
    pub version: Option<i64>,
    /// Its share of the traffic, 0 to 1; nothing for one that answers nobody.
    pub share: Option<f64>,
    /// Requests.
    pub requests: u64,
    /// Rows.
    pub rows: u64,
    /// Rows that its model failed on, or that had a number that is none.
    pub failed: u64,
    /// Rows that the fallback answered.
    pub fallbacks: u64,
    /// Percentiles of the time inside its model, in microseconds.
    pub latency: Option<(u64, u64, u64)>,
}

impl VariantRow {
    pub(crate) fn percentile(&self, which: usize) -> String {
        let found = self.latency.map(|(p50, p95, p99)| [p50, p95, p99]);
        match found.and_then(|all| all.get(which).copied()) {
            Some(us) => fmt::micros(us as f64),
            None => fmt::NONE.to_owned(),
        }
    }

    pub(crate) fn share_text(&self) -> String {
        self.share.map_or_else(|| fmt::NONE.to_owned(), |share| fmt::value(share, "share"))
    }

    /// The share as a bar.
    pub(crate) fn bar(&self) -> Markup {
        bar(self.share.unwrap_or_default(), "s1", &self.share_text())
    }
}

/// A horizontal bar; the words beside it say the same.
fn bar(share: f64, class: &str, label: &str) -> Markup {
    let width = 120.0;
    let mut m = Markup::default();
    m.raw("<svg class=\"share\" role=\"img\" width=\"120\" height=\"10\"><title>").text(label);
    m.raw(
        "</title><rect class=\"share-track\" x=\"0\" y=\"1\" width=\"120\" height=\"8\" rx=\"4\"/>",
    );
    if share > 0.0 {
        let filled = (share.clamp(0.0, 1.0) * width).max(4.0);
        m.raw(format!(
            "<rect class=\"bar {class}\" x=\"0\" y=\"1\" width=\"{}\" height=\"8\" rx=\"4\"/>",
            coord(filled)
        ));
    }
    m.raw("</svg>");
    m
}

/// Time of one part of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseRow {
    /// Which part.
    pub name: String,
    /// The median in microseconds.
    pub p50: Option<f64>,
    /// The 99th percentile in microseconds.
    pub p99: Option<f64>,
}

impl PhaseRow {
    pub(crate) fn text(value: &Option<f64>) -> String {
        value.map_or_else(|| fmt::NONE.to_owned(), fmt::micros)
    }
}

/// One step of a rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutStep {
    /// `shadow`, `5 %`.
    pub label: String,
    /// `done`, `now`, `ahead` or `left`.
    pub state: String,
    /// The challenger's share, 0 to 1.
    pub share: f64,
    /// What it needs, in words.
    pub needs: String,
}

impl RolloutStep {
    pub(crate) fn bar(&self) -> Markup {
        let class = match self.state.as_str() {
            "done" => "s4",
            "now" => "s1",
            "left" => "s2",
            _ => "s3",
        };
        bar(self.share, class, &self.label)
    }

    pub(crate) fn chip(&self) -> Markup {
        match self.state.as_str() {
            "done" => chip("pass", "pass", "passed"),
            "now" => chip("waived", "clock", "now"),
            "left" => chip("fail", "fail", "left"),
            _ => chip("not-applicable", "none", "ahead"),
        }
    }
}

/// One condition of a rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutCondition {
    /// `met`, `breached` or `unknown`.
    pub verdict: String,
    /// What was found, as a sentence.
    pub reason: String,
}

impl RolloutCondition {
    pub(crate) fn chip(&self) -> Markup {
        match self.verdict.as_str() {
            "met" => chip("pass", "pass", "met"),
            "breached" => chip("fail", "fail", "breached"),
            _ => chip("stale", "wait", "unknown"),
        }
    }
}

/// One event of a rollout's history.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutEvent {
    /// When.
    pub at: Timestamp,
    /// What happened, and why.
    pub text: String,
    /// Who.
    pub actor: String,
}

/// A rollout as the page shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutPanel {
    /// Its id.
    pub id: String,
    /// The versions.
    pub from: i64,
    /// The candidate.
    pub to: i64,
    /// `running`, `paused`, `full` or `rolled_back`.
    pub phase: String,
    /// Why it is where it is.
    pub reason: String,
    /// The steps.
    pub steps: Vec<RolloutStep>,
    /// The conditions.
    pub conditions: Vec<RolloutCondition>,
    /// What the step waits for.
    pub waits: Vec<String>,
    /// How much longer the step needs, in words.
    pub forecast: Option<String>,
    /// Everything that happened.
    pub history: Vec<RolloutEvent>,
}

impl RolloutPanel {
    pub(crate) fn chip(&self) -> Markup {
        match self.phase.as_str() {
            "running" => chip("waived", "arrow", "running"),
            "paused" => chip("stale", "lock", "paused"),
            "full" => chip("pass", "pass", "full"),
            _ => chip("fail", "fail", "rolled back"),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase.as_str(), "running" | "paused")
    }
}

/// The thrown kill switch.
#[derive(Debug, Clone, PartialEq)]
pub struct KilledBy {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A field of the form that tries the endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct TryField {
    /// The field's name.
    pub name: String,
    /// What it holds at first.
    pub value: String,
    /// What it must be, in words.
    pub hint: String,
    /// Whether it must be filled.
    pub required: bool,
    /// The values to choose from; empty for a free one.
    pub choices: Vec<String>,
}

/// What the tried request got.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// Whether it was answered.
    pub answered: bool,
    /// The answer, or why there is none.
    pub text: String,
    /// The decision, for a link.
    pub decision: Option<String>,
}

/// A line of a list: drills and alerts.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// Whether it is good news.
    pub good: bool,
    /// What it says.
    pub text: String,
    /// When.
    pub at: Timestamp,
}
