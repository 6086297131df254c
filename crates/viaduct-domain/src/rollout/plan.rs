//! The plan of a rollout: its steps and its conditions.

use serde::{Deserialize, Serialize};
use viaduct_base::Span;

use super::condition::{Condition, Watched, Word};
use crate::assign::BUCKETS;

/// One step: how much of the traffic, for how long at least, over how many cases at least.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Whether the challenger only looks on.
    pub shadow: bool,
    /// Its share of the entities in basis points; 0 in a shadow step.
    pub share_bp: u16,
    /// It lasts at least so long.
    pub min_time: Span,
    /// The challenger answers (or sees) at least so many rows.
    pub min_n: u64,
    /// Whether only a person ends it: for an A/B comparison.
    pub manual: bool,
}

impl Step {
    /// The challenger looks on.
    pub const fn shadow(min_time: Span, min_n: u64) -> Self {
        Self { shadow: true, share_bp: 0, min_time, min_n, manual: false }
    }

    /// The challenger answers this share.
    pub const fn share(share_bp: u16, min_time: Span, min_n: u64) -> Self {
        Self { shadow: false, share_bp, min_time, min_n, manual: false }
    }

    /// `shadow`, `5 %`, `50 % until somebody goes on`.
    pub fn label(&self) -> String {
        let what = if self.shadow {
            "shadow".to_owned()
        } else {
            let percent = f64::from(self.share_bp) / 100.0;
            format!("{percent} %")
        };
        if self.manual { format!("{what} until somebody goes on") } else { what }
    }

    /// How long the step needs when the endpoint gets so many rows a second; nothing without any.
    pub fn needs(&self, rows_per_second: f64) -> Option<Span> {
        let share = if self.shadow { 1.0 } else { f64::from(self.share_bp) / f64::from(BUCKETS) };
        let rate = rows_per_second * share;
        if self.min_n == 0 {
            return Some(self.min_time);
        }
        if rate.is_nan() || rate <= 0.0 {
            return None;
        }
        let wait = Span::micros((self.min_n as f64 / rate * 1e6).min(1e18) as i64);
        Some(wait.max(self.min_time))
    }
}

/// What a rollout does, fixed when it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The steps in order; at least one.
    pub steps: Vec<Step>,
    /// What must hold in every step.
    pub conditions: Vec<Condition>,
}

impl Default for Plan {
    /// Shadow, then 5 %, 25 %, 50 %, ten minutes and 100 rows each, while the challenger neither fails
    /// nor gives a number that is none.
    fn default() -> Self {
        let (time, n) = (Span::minutes(10), 100);
        Self {
            steps: vec![
                Step::shadow(time, n),
                Step::share(500, time, n),
                Step::share(2_500, time, n),
                Step::share(5_000, time, n),
            ],
            conditions: Self::usual_conditions(),
        }
    }
}

impl Plan {
    /// The conditions of a plan that names none: a candidate that fails is no improvement.
    pub fn usual_conditions() -> Vec<Condition> {
        vec![
            Condition::at_most(Watched::Measure(Word::ErrorRate), 0.01, 20),
            Condition::at_most(Watched::Measure(Word::NanRate), 0.0, 20),
        ]
    }

    /// Whether no step lets the challenger answer anybody.
    pub fn is_shadow_only(&self) -> bool {
        self.steps.iter().all(|step| step.shadow)
    }

    /// Whether some condition compares the challenger's answers with the champion's on one case.
    pub fn compares(&self) -> bool {
        self.conditions.iter().any(|c| c.what == Watched::Measure(Word::DisagreementRate))
    }

    /// Adds conditions of things that it does not bound yet.
    #[must_use]
    pub fn guarded_by(mut self, guards: &[Condition]) -> Self {
        for guard in guards {
            if !self.conditions.iter().any(|known| known.what == guard.what) {
                self.conditions.push(*guard);
            }
        }
        self
    }
}
