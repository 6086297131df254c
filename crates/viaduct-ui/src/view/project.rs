//! One project: where it stands, what stands in its way, what it has shown.

use askama::Template;
use viaduct_base::Timestamp;

use super::review::{AskState, Review, Waiver};
use super::shell::page_parts;
use super::{Crumb, DecisionRow, Effect, Gate, Kpi, Page, Section, Shell, Stage, State, Trial};
use crate::svg::Markup;

/// A person in a role of the charter.
#[derive(Debug, Clone, PartialEq)]
pub struct PersonRole {
    /// The role, such as `business_owner`.
    pub role: String,
    /// The user name in the charter.
    pub name: String,
    /// What is missing about the person, such as `no such user yet`.
    pub problem: Option<String>,
}

impl PersonRole {
    /// The role in words.
    pub fn role_label(&self) -> String {
        self.role.replace('_', " ")
    }
}

/// A department that uses the decisions.
#[derive(Debug, Clone, PartialEq)]
pub struct Department {
    /// Its name.
    pub name: String,
    /// How many people are meant to use it.
    pub target_users: Option<i64>,
}

/// The project's endpoint in one line.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointRef {
    /// Its name.
    pub name: String,
    /// How it answers now, such as `shadow`.
    pub mode: String,
    /// The model version behind it.
    pub model: Option<String>,
    /// Decisions of each of the last days, oldest first.
    pub per_day: Vec<f64>,
}

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryKind {
    /// The stage changed.
    Stage,
    /// An evaluation was stored.
    Evaluation,
    /// A review was opened, signed, withdrawn or closed.
    Review,
    /// A trial was registered or analysed.
    Trial,
    /// The project file changed.
    Change,
    /// A waiver was asked for, approved or ran out.
    Waiver,
}

impl HistoryKind {
    pub(crate) fn icon(self) -> &'static str {
        match self {
            HistoryKind::Stage => "arrow",
            HistoryKind::Evaluation => "pass",
            HistoryKind::Review => "sign",
            HistoryKind::Trial => "refresh",
            HistoryKind::Change => "wrench",
            HistoryKind::Waiver => "waived",
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEntry {
    /// When.
    pub at: Timestamp,
    /// What kind.
    pub kind: HistoryKind,
    /// What, as a sentence.
    pub text: String,
    /// Who did it.
    pub actor: Option<String>,
    /// Where more is to be seen.
    pub href: Option<String>,
}

/// The page of one project.
#[derive(Debug, Clone, Template)]
#[template(path = "project.html", blocks = ["main"])]
pub struct ProjectPage {
    /// The frame.
    pub shell: Shell,
    /// Its name in addresses.
    pub name: String,
    /// Its title.
    pub title: String,
    /// The problem that it solves.
    pub problem: String,
    /// What the decisions are for.
    pub purpose: String,
    /// Where it stands.
    pub stage: Stage,
    /// Since when.
    pub stage_since: Option<Timestamp>,
    /// What may happen to it now.
    pub state: State,
    /// Why it ended, when it did.
    pub end_cause: Option<String>,
    /// `T1`, `T2` or `T3`.
    pub tier: String,
    /// Why this tier.
    pub tier_reasons: Vec<String>,
    /// Its endpoint.
    pub endpoint: Option<EndpointRef>,
    /// The effect that counts today.
    pub effect: Option<Effect>,
    /// The next gate; none after the last.
    pub gate: Option<Gate>,
    /// The open review.
    pub review: Option<Review>,
    /// Whether the next gate can be asked for.
    pub ask: AskState,
    /// Whether the signed-in person may measure now.
    pub may_collect: bool,
    /// Waivers, the debt first.
    pub waivers: Vec<Waiver>,
    /// KPIs, the primary one first.
    pub kpis: Vec<Kpi>,
    /// The latest trial.
    pub trial: Option<Trial>,
    /// The latest decisions.
    pub decisions: Vec<DecisionRow>,
    /// How many decisions there are.
    pub decision_count: i64,
    /// Share of matured decisions with an outcome, 0 to 1.
    pub outcomes_joined: Option<f64>,
    /// The people of the charter.
    pub people: Vec<PersonRole>,
    /// The departments.
    pub departments: Vec<Department>,
    /// What happened, newest first.
    pub history: Vec<HistoryEntry>,
}

/// One step of the big ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LadderStep {
    pub(crate) stage: Stage,
    pub(crate) class: &'static str,
    /// The gate that leads here, with whether it has been passed.
    pub(crate) gate: Option<(&'static str, bool)>,
}

impl ProjectPage {
    /// The four steps with where the project is.
    fn ladder(&self) -> Vec<LadderStep> {
        let here = self.stage.step();
        let gates = [None, Some("G1"), Some("G2"), Some("G3")];
        Stage::ALL
            .iter()
            .filter_map(|stage| stage.step().map(|step| (*stage, step)))
            .map(|(stage, step)| LadderStep {
                stage,
                class: match here {
                    Some(h) if step == h => "here",
                    Some(h) if step < h => "done",
                    _ => "ahead",
                },
                gate: gates
                    .get(step)
                    .copied()
                    .flatten()
                    .map(|g| (g, here.is_some_and(|h| step <= h))),
            })
            .collect()
    }

    fn is_next_gate(&self, name: &str) -> Option<&Gate> {
        self.gate.as_ref().filter(|gate| gate.name == name && self.stage.step().is_some())
    }

    fn spark(&self, endpoint: &EndpointRef) -> Markup {
        crate::chart::spark::line(&endpoint.per_day, "Decisions by day, the last days")
    }

    fn debt(&self) -> usize {
        self.waivers.iter().filter(|w| w.state != super::WaiverState::Asked).count()
    }
}

impl Page for ProjectPage {
    page_parts!();

    fn title(&self) -> String {
        self.title.clone()
    }

    fn section(&self) -> Section {
        Section::Portfolio
    }

    fn crumbs(&self) -> Vec<Crumb> {
        vec![Crumb::here(&self.name)]
    }

    fn refresh_seconds(&self) -> u32 {
        30
    }
}
