//! A trial: its registered plan, its arms and, after the registered end, its estimate.

use viaduct_base::Timestamp;

use super::stage::chip;
use super::{Effect, Status};
use crate::chart::forest::{self, Forest, Row};
use crate::fmt;
use crate::svg::Markup;

/// How far a trial is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrialState {
    /// Registered; the first case comes later.
    Registered,
    /// Taking cases.
    Running,
    /// No new cases; outcomes are still coming in.
    Maturing,
    /// Looked at once, as the plan said.
    Done,
}

impl TrialState {
    /// The word for people.
    pub fn label(self) -> &'static str {
        match self {
            TrialState::Registered => "Registered",
            TrialState::Running => "Running",
            TrialState::Maturing => "Outcomes maturing",
            TrialState::Done => "Analysed",
        }
    }

    /// A chip with icon and word.
    pub fn chip(self) -> Markup {
        let (class, icon) = match self {
            TrialState::Registered => ("not-applicable", "sign"),
            TrialState::Running => ("waived", "refresh"),
            TrialState::Maturing => ("stale", "clock"),
            TrialState::Done => ("pass", "pass"),
        };
        chip(class, icon, self.label())
    }
}

/// One arm of a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Arm {
    /// `champion` or `holdout`.
    pub name: String,
    /// Its share of the units, 0 to 1.
    pub share: f64,
    /// Distinct entities so far.
    pub units: i64,
    /// Decisions so far.
    pub decisions: i64,
    /// Units whose outcome is final.
    pub matured: i64,
    /// The mean; present only once the plan allows the look.
    pub mean: Option<f64>,
}

/// One validity check of a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialCheck {
    /// What is checked, such as `Sample ratio`.
    pub name: String,
    /// How it stands.
    pub status: Status,
    /// The finding, such as `p = 0.41`.
    pub finding: String,
}

/// A trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How far it is.
    pub state: TrialState,
    /// The KPI that it measures.
    pub kpi: String,
    /// The KPI's unit.
    pub unit: String,
    /// When the plan was registered.
    pub registered_at: Timestamp,
    /// The plan's hash.
    pub plan_hash: String,
    /// The first case.
    pub starts_at: Timestamp,
    /// The last case.
    pub ends_at: Timestamp,
    /// When the last outcome is final: the one look.
    pub look_at: Timestamp,
    /// Now, by the server's clock: for the progress bar.
    pub now: Timestamp,
    /// The smallest effect that pays, in the KPI's unit.
    pub break_even: Option<f64>,
    /// The plan's alpha and power, in words.
    pub plan: String,
    /// The arms.
    pub arms: Vec<Arm>,
    /// The estimate; never before the registered end.
    pub effect: Option<Effect>,
    /// Guardrails and other KPIs, estimated at the same look.
    pub others: Vec<Effect>,
    /// Validity checks.
    pub checks: Vec<TrialCheck>,
    /// What the decision rule says, as a sentence.
    pub verdict: Option<String>,
}

impl Trial {
    /// The forest plot of the estimates.
    pub fn forest(&self) -> Markup {
        let same_unit = self.others.iter().filter(|e| e.unit == self.unit);
        let rows = self.effect.iter().chain(same_unit).map(|effect| Row {
            label: effect.label.clone(),
            estimate: effect.estimate,
            lower: effect.lower,
            upper: effect.upper,
            level: effect.level,
        });
        forest::chart(&Forest {
            label: format!("Effect on {} with its interval", self.kpi),
            unit: self.unit.clone(),
            rows: rows.collect(),
            reference: self.break_even.map(|value| (value, "break-even".to_owned())),
        })
    }

    /// How much of the time from the first case to the look has passed, in whole percent.
    pub fn progress(&self) -> u32 {
        let whole = self.look_at.since(self.starts_at).as_days();
        let passed = self.now.since(self.starts_at).as_days();
        if whole <= 0.0 { 0 } else { (passed / whole * 100.0).clamp(0.0, 100.0).round() as u32 }
    }

    /// Why no number is shown yet.
    pub fn sealed(&self) -> String {
        format!(
            "No look before the registered end. The plan allows one, on {}, when the last outcome \
             is final; until then the effect is not computed, for anybody.",
            fmt::day(self.look_at.day())
        )
    }

    /// An arm's mean in the KPI's unit.
    pub fn mean_text(&self, arm: &Arm) -> String {
        arm.mean.map_or_else(|| fmt::NONE.to_owned(), |mean| fmt::value(mean, &self.unit))
    }
}
