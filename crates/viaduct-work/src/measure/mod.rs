//! Turns what is known of a project into measurements. Pure: everything that is read stands in
//! [`Ground`], so each figure can be tested, and nothing here can reach a clock or a store.
//!
//! What cannot be measured gives no measurement: a gate then says `not_enough_data`, never zero.

mod contract;
mod kpi;
mod model;
mod outcome;
mod people;
mod planner;
mod rule;
mod shadow;
mod trial;

use serde_json::{Value, json};
use viaduct_base::{ClockKind, Day, Digest, Timestamp, TrialId, digest_json};
use viaduct_domain::contract::Contract;
use viaduct_domain::fact::{FactName, FactValue, Measurement, Provenance, Subject, SubjectKind};
use viaduct_domain::manifest::ProjectSpec;
use viaduct_domain::trial::RegisteredTrial;

pub use model::{Evidence as ModelEvidence, Probe, Reproduction};
pub use people::{OwnerActivity, Owners};
pub use trial::Looked;

use crate::evidence::cases::Case;
use crate::evidence::trial::Analysis;

/// Everything that the collectors may read about one project at one moment.
pub struct Ground<'a> {
    /// The moment.
    pub now: Timestamp,
    /// Under which clock.
    pub clock: ClockKind,
    /// The project as applied.
    pub spec: &'a ProjectSpec,
    /// Its contract.
    pub contract: Option<&'a Contract>,
    /// The current thing of each kind, as gates see it.
    pub subjects: &'a (dyn Fn(SubjectKind) -> Option<String> + Sync),
    /// Decisions of the endpoint with their outcomes, oldest first.
    pub cases: &'a [Case],
    /// Requests in the contract's window.
    pub requests: Requests,
    /// The primary KPI's live days and frozen history.
    pub kpi: KpiState,
    /// Entities shared with other projects on the same KPI.
    pub overlap: Option<Overlap>,
    /// The model version behind the endpoint, with the evidence that its run carries.
    pub model: Option<&'a ModelEvidence>,
    /// When shadow cases of this version count: from the binding to the registered end.
    pub shadow_window: Option<(Timestamp, Timestamp)>,
    /// The latest registered trial.
    pub trial: Option<(TrialId, &'a RegisteredTrial)>,
    /// The owner pair.
    pub owners: Owners,
}

/// Requests of the last days: how many met the contract.
#[derive(Debug, Clone, Copy, Default)]
pub struct Requests {
    /// Rows that were decided.
    pub met: u64,
    /// Requests refused at the contract.
    pub refused: u64,
    /// The first moment of the window.
    pub from: Option<Timestamp>,
}

/// What the platform knows of the KPI's days.
#[derive(Debug, Clone, Default)]
pub struct KpiState {
    /// Days of the last 28 with a value, and how many of the 28 the project has existed.
    pub live_days: u64,
    /// The frozen history.
    pub frozen: Option<Frozen>,
    /// When units were chosen: the registration of the first trial.
    pub units_chosen_at: Option<Timestamp>,
}

/// A frozen history.
#[derive(Debug, Clone, PartialEq)]
pub struct Frozen {
    /// When.
    pub at: Timestamp,
    /// First and last day of the points.
    pub days: (Day, Day),
    /// How many points.
    pub points: u64,
    /// Weeks from the first day on that hold a point.
    pub weeks: u64,
    /// Their hash.
    pub hash: String,
}

/// Entities that another project claims on the same KPI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap {
    /// This project's entities.
    pub entities: u64,
    /// Of those, also another's.
    pub shared: u64,
    /// Other projects with that KPI.
    pub projects: u64,
}

/// The window over which A1 counts days.
pub const LIVE_DAYS: i32 = 28;

impl Ground<'_> {
    /// The provenance of what rests on these cases.
    fn provenance(&self, replayed: bool) -> Provenance {
        provenance(self.clock, replayed)
    }

    /// A measurement of `name` about the current thing of its kind; `None` when there is none.
    fn measured(&self, name: FactName, value: FactValue, inputs: &Value) -> Option<Measurement> {
        let kind = name.subject_kind();
        let id = (self.subjects)(kind)?;
        let replayed = self.cases.iter().any(|case| case.replayed);
        let digest = digest_json(inputs).ok()?;
        Some(
            Measurement::new(name, Subject::new(kind, id), value, digest)
                .provenance(self.provenance(replayed)),
        )
    }

    /// One digest over the cases that a figure rests on.
    fn cases_digest(&self) -> Value {
        let mut text = String::new();
        for case in self.cases {
            text.push_str(&case.digest_line());
        }
        json!({ "cases": self.cases.len(), "digest": Digest::of(text.as_bytes()) })
    }
}

/// All measurements that can be made on this ground.
pub fn measure(ground: &Ground<'_>) -> Vec<Measurement> {
    let cases = ground.cases_digest();
    let mut out = Vec::new();
    out.extend(kpi::measure(ground));
    out.extend(contract::measure(ground));
    out.extend(outcome::measure(ground, &cases));
    out.extend(model::measure(ground));
    let shadow = shadow::compare(ground);
    out.extend(shadow::measure(ground, shadow.as_ref(), &cases));
    out.extend(planner::measure(ground, shadow.as_ref(), &cases));
    out.extend(rule::measure(ground, &cases));
    out.extend(people::measure(ground));
    out
}

/// The shadow comparison, when its one look may be taken.
pub struct ShadowFound {
    /// The estimate.
    pub estimate: viaduct_stats::Estimate,
    /// Cases whose counterfactual nobody knows.
    pub unknown: u64,
    /// First and last case.
    pub window: Option<(Timestamp, Timestamp)>,
    /// True when any row came from a replay.
    pub replayed: bool,
}

/// The shadow comparison of the bound version, when its one look may be taken.
pub fn shadow_estimate(ground: &Ground<'_>) -> Option<ShadowFound> {
    let compared = shadow::compare(ground)?;
    Some(ShadowFound {
        estimate: compared.estimate?,
        unknown: compared.shadow.unknown,
        window: compared.shadow.window,
        replayed: compared.shadow.replayed,
    })
}

/// The measurements of a rerun.
pub fn reproduction(
    done: &Reproduction,
    subjects: &dyn Fn(SubjectKind) -> Option<String>,
    clock: ClockKind,
) -> Vec<Measurement> {
    model::reproduced(done, subjects, provenance(clock, false))
}

fn provenance(clock: ClockKind, replayed: bool) -> Provenance {
    match (replayed, clock) {
        (true, _) => Provenance::Replayed,
        (false, ClockKind::Simulated) => Provenance::Simulated,
        (false, ClockKind::System) => Provenance::Live,
    }
}

/// The trial's look that was taken before, for facts that stay fresh.
pub fn look_taken(ground: &Ground<'_>, trial: TrialId, analysis: Analysis) -> Looked {
    trial::stated(ground, trial, analysis)
}

/// The registered trial's one look, when it may be taken.
pub fn look(ground: &Ground<'_>) -> Option<Looked> {
    trial::look(ground)
}
