//! Rollouts: started by a person or by an alias, moved by what is measured, ended by a breach.
//!
//! What follows from what is decided in [`viaduct_domain::rollout`]; here the evidence is gathered,
//! rows are written and the snapshot is published. The gateway ends a breached rollout by itself and
//! reports it; [`App::tick_rollouts`] takes that over.

mod begin;
mod evidence;
mod psi;
mod tick;
mod verb;
mod view;
mod write;

use viaduct_base::{Error, Fault};
use viaduct_domain::rollout::{Phase, Plan, State, Watched, Word};
use viaduct_gateway::{Guard, GuardWhat};
use viaduct_store::rollout::RolloutRow;

pub use begin::NewRollout;
pub use verb::Verb;
pub use view::{Analysis, EventView, RolloutView, StepView};

pub(crate) use begin::Begin;

/// The plan of a row.
pub(crate) fn plan_of(row: &RolloutRow) -> Result<Plan, Error> {
    serde_json::from_str(&row.plan_json)
        .map_err(|e| Fault::caused(format!("rollout `{}`: its plan", row.id), e).into())
}

/// Where a row stands.
pub(crate) fn state_of(row: &RolloutRow) -> Result<State, Error> {
    let phase: Phase =
        row.phase.parse().map_err(|e: String| Fault::new(format!("rollout `{}`: {e}", row.id)))?;
    Ok(State {
        phase,
        step: usize::try_from(row.step).unwrap_or_default(),
        since: row.step_since,
        reason: row.reason.clone(),
    })
}

/// What the gateway watches by itself: a plan's bounds from above on what it measures.
pub(crate) fn guards(plan: &Plan) -> Vec<Guard> {
    let guard = |condition: &viaduct_domain::rollout::Condition| {
        let Watched::Measure(word) = condition.what else { return None };
        let what = match word {
            Word::ErrorRate => GuardWhat::ErrorRate,
            Word::LatencyP99Ms => GuardWhat::LatencyP99Ms,
            Word::ViolationRate => GuardWhat::ViolationRate,
            Word::NanRate => GuardWhat::NanRate,
            Word::DisagreementRate => GuardWhat::DisagreementRate,
            Word::LatencyP99Ratio | Word::ScorePsi => return None,
        };
        Some(Guard {
            what,
            max: condition.max?,
            min_n: condition.min_n,
            window_s: u64::try_from(condition.window.as_micros() / 1_000_000).unwrap_or(60).max(1),
        })
    };
    plan.conditions.iter().filter_map(guard).collect()
}
