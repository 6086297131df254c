//! Stage and state of a project, and the one function that changes them.
//!
//! Invariant: a stage goes up only by [`Event::GateOpened`], and an [`OpenedGate`] is built in
//! one place, [`crate::review::conclude`]. This module does not know criteria or signatures.

use std::fmt;

use serde::{Deserialize, Serialize};
use viaduct_base::{Kind, ProjectId, Refusal, Timestamp};

use crate::review::OpenedGate;
use crate::words::words;

words! {
    /// The three gates.
    GateName, "a gate" {
        /// From concept to pilot: is it worth a measured pilot?
        G1 = "G1",
        /// From pilot to department: did it pay, and can they run it without you?
        G2 = "G2",
        /// From department to enterprise: will the next department gain?
        G3 = "G3",
    }
}

impl GateName {
    /// The stage below the gate.
    pub const fn from(self) -> Stage {
        match self {
            GateName::G1 => Stage::Concept,
            GateName::G2 => Stage::Pilot,
            GateName::G3 => Stage::Department,
        }
    }

    /// The stage above the gate.
    pub const fn to(self) -> Stage {
        match self {
            GateName::G1 => Stage::Pilot,
            GateName::G2 => Stage::Department,
            GateName::G3 => Stage::Enterprise,
        }
    }
}

words! {
    /// Why a project was put away. A closed list, so that causes can be counted over a portfolio.
    ShelveCause, "a cause for shelving" {
        /// The measured or projected effect does not pay.
        NoValue = "no_value",
        /// The data is missing, unfit or not allowed for the purpose.
        DataUnfit = "data_unfit",
        /// The model does not beat what is done today.
        ModelTooWeak = "model_too_weak",
        /// Nobody can act on the output, or the systems cannot be joined.
        NotIntegrable = "not_integrable",
        /// No one owns it in the business or in technology.
        NoOwner = "no_owner",
        /// The people it is for do not want or use it.
        NotAdopted = "not_adopted",
        /// The risk, or the law, forbids it.
        RiskTooHigh = "risk_too_high",
        /// Building or running it costs too much.
        TooCostly = "too_costly",
        /// Other work matters more now.
        PriorityChanged = "priority_changed",
        /// Another project does the same.
        Superseded = "superseded",
    }
}

/// How far a project reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// An idea on measured data; the model only shadows.
    Concept,
    /// A measured trial.
    Pilot,
    /// One department runs it.
    Department,
    /// Departments run it.
    Enterprise,
    /// Put away, with a cause.
    Shelved {
        /// Why.
        cause: ShelveCause,
    },
    /// Its life is over.
    Retired,
}

impl Stage {
    /// The word in tables and pages; a shelved project's cause stands beside it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Concept => "concept",
            Stage::Pilot => "pilot",
            Stage::Department => "department",
            Stage::Enterprise => "enterprise",
            Stage::Shelved { .. } => "shelved",
            Stage::Retired => "retired",
        }
    }

    /// Why it was put away.
    pub const fn cause(self) -> Option<ShelveCause> {
        match self {
            Stage::Shelved { cause } => Some(cause),
            Stage::Concept
            | Stage::Pilot
            | Stage::Department
            | Stage::Enterprise
            | Stage::Retired => None,
        }
    }

    /// The stage stored as a word and, for `shelved` only, a cause.
    pub fn from_parts(word: &str, cause: Option<ShelveCause>) -> Option<Stage> {
        match (word, cause) {
            ("concept", None) => Some(Stage::Concept),
            ("pilot", None) => Some(Stage::Pilot),
            ("department", None) => Some(Stage::Department),
            ("enterprise", None) => Some(Stage::Enterprise),
            ("shelved", Some(cause)) => Some(Stage::Shelved { cause }),
            ("retired", None) => Some(Stage::Retired),
            _ => None,
        }
    }

    /// The gate above this stage.
    pub const fn next_gate(self) -> Option<GateName> {
        match self {
            Stage::Concept => Some(GateName::G1),
            Stage::Pilot => Some(GateName::G2),
            Stage::Department => Some(GateName::G3),
            Stage::Enterprise | Stage::Shelved { .. } | Stage::Retired => None,
        }
    }

    /// Whether the project is neither shelved nor retired.
    pub const fn is_live(self) -> bool {
        !matches!(self, Stage::Shelved { .. } | Stage::Retired)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

words! {
    /// What is going on at the stage.
    State, "a state" {
        /// Nothing holds it.
        Clear = "clear",
        /// A review of the next gate is open.
        UnderReview = "under_review",
        /// Business as usual is answered; nothing moves until it is thawed.
        Frozen = "frozen",
    }
}

/// Where a project stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Whose standing.
    pub project: ProjectId,
    /// How far it reaches.
    pub stage: Stage,
    /// What is going on there.
    pub state: State,
    /// When it came to this stage.
    pub since: Timestamp,
}

impl Standing {
    /// Where every project begins.
    pub const fn begin(project: ProjectId, now: Timestamp) -> Self {
        Self { project, stage: Stage::Concept, state: State::Clear, since: now }
    }
}

/// What may happen to a project's standing.
#[derive(Debug)]
pub enum Event {
    /// A review ended with an open gate.
    GateOpened(OpenedGate),
    /// Somebody asked for the next gate.
    ReviewOpened,
    /// A review closed or was withdrawn.
    ReviewClosed,
    /// Freeze: fall back to business as usual at once.
    Frozen,
    /// The cause of the freeze is gone.
    Thawed,
    /// Put away.
    Shelved(ShelveCause),
    /// End its life.
    Retired,
}

impl Event {
    fn words(&self) -> String {
        match self {
            Event::GateOpened(opened) => format!("gate `{}` cannot open", opened.gate()),
            Event::ReviewOpened => "a review cannot open".into(),
            Event::ReviewClosed => "no review can close".into(),
            Event::Frozen => "it cannot be frozen".into(),
            Event::Thawed => "it cannot be thawed".into(),
            Event::Shelved(_) => "it cannot be shelved".into(),
            Event::Retired => "it cannot be retired".into(),
        }
    }
}

/// The standing after `event`.
///
/// # Errors
/// Refused (`stage-forbids`) when the standing does not allow the event.
pub fn next(standing: Standing, event: Event, now: Timestamp) -> Result<Standing, Refusal> {
    use Stage::{Concept, Department, Enterprise, Pilot, Retired, Shelved};
    use State::{Clear, Frozen, UnderReview};
    let Standing { project, stage, state, .. } = standing;
    let at = |state| Ok(Standing { state, ..standing });
    let moved = |stage| Ok(Standing { project, stage, state: Clear, since: now });
    match (&event, stage, state) {
        (Event::GateOpened(opened), Concept | Pilot | Department, UnderReview)
            if opened.project() == project && opened.gate().from() == stage =>
        {
            moved(opened.gate().to())
        }
        (Event::GateOpened(_), Concept | Pilot | Department, UnderReview) => {
            refuse(standing, &event, "the review was of another gate or project")
        }
        (Event::GateOpened(_), Concept | Pilot | Department, Clear | Frozen) => {
            refuse(standing, &event, "ask for the gate first: only a review opens it")
        }
        (Event::ReviewOpened, Concept | Pilot | Department, Clear) => at(UnderReview),
        (Event::ReviewOpened, Concept | Pilot | Department, UnderReview) => {
            refuse(standing, &event, "one is open already: sign or withdraw it")
        }
        (Event::ReviewOpened, Concept | Pilot | Department, Frozen) => {
            refuse(standing, &event, "thaw the project first")
        }
        (Event::GateOpened(_) | Event::ReviewOpened, Enterprise, _) => {
            refuse(standing, &event, "there is no gate above `enterprise`")
        }
        (Event::ReviewClosed, Concept | Pilot | Department | Enterprise, UnderReview) => at(Clear),
        (Event::ReviewClosed, Concept | Pilot | Department | Enterprise, Clear | Frozen) => {
            refuse(standing, &event, "none is open")
        }
        (Event::Frozen, Concept | Pilot | Department | Enterprise, Clear | UnderReview) => {
            at(Frozen)
        }
        (Event::Frozen, Concept | Pilot | Department | Enterprise, Frozen) => {
            refuse(standing, &event, "it is frozen already")
        }
        (Event::Thawed, Concept | Pilot | Department | Enterprise, Frozen) => at(Clear),
        (Event::Thawed, Concept | Pilot | Department | Enterprise, Clear | UnderReview) => {
            refuse(standing, &event, "it is not frozen")
        }
        (Event::Shelved(cause), Concept | Pilot | Department | Enterprise, _) => {
            moved(Shelved { cause: *cause })
        }
        (Event::Retired, Concept, _) => {
            refuse(standing, &event, "a concept was never in use: shelve it with a cause")
        }
        (Event::Retired, Pilot | Department | Enterprise | Shelved { .. }, _) => moved(Retired),
        (
            Event::GateOpened(_)
            | Event::ReviewOpened
            | Event::ReviewClosed
            | Event::Frozen
            | Event::Thawed
            | Event::Shelved(_),
            Shelved { .. },
            _,
        ) => refuse(standing, &event, "apply the file under a new name to start again"),
        (
            Event::GateOpened(_)
            | Event::ReviewOpened
            | Event::ReviewClosed
            | Event::Frozen
            | Event::Thawed
            | Event::Shelved(_)
            | Event::Retired,
            Retired,
            _,
        ) => refuse(standing, &event, "its life is over"),
    }
}

fn refuse(standing: Standing, event: &Event, why: &str) -> Result<Standing, Refusal> {
    let Standing { stage, state, .. } = standing;
    let held = if state == State::Clear { String::new() } else { format!(" and `{state}`") };
    Err(Refusal::new(
        Kind::StageForbids,
        format!("the project is in `{stage}`{held}, so {}: {why}", event.words()),
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000);

    fn project() -> ProjectId {
        ProjectId::from_u128(1)
    }

    fn standing(stage: Stage, state: State) -> Standing {
        Standing { project: project(), stage, state, since: Timestamp::from_micros(0) }
    }

    const STAGES: [Stage; 6] = [
        Stage::Concept,
        Stage::Pilot,
        Stage::Department,
        Stage::Enterprise,
        Stage::Shelved { cause: ShelveCause::NoOwner },
        Stage::Retired,
    ];

    fn event(number: usize) -> (&'static str, Event) {
        let opened = |gate| Event::GateOpened(OpenedGate::for_test(project(), gate));
        match number {
            0 => ("G1 opened", opened(GateName::G1)),
            1 => ("G2 opened", opened(GateName::G2)),
            2 => ("G3 opened", opened(GateName::G3)),
            3 => ("review opened", Event::ReviewOpened),
            4 => ("review closed", Event::ReviewClosed),
            5 => ("frozen", Event::Frozen),
            6 => ("thawed", Event::Thawed),
            7 => ("shelved", Event::Shelved(ShelveCause::NoValue)),
            _ => ("retired", Event::Retired),
        }
    }
    const EVENTS: usize = 9;

    /// The law itself: everything that is not a row here is refused.
    #[test]
    fn whole_transition_table() {
        let mut table = String::new();
        for stage in STAGES {
            for &state in State::ALL {
                for number in 0..EVENTS {
                    let (name, event) = event(number);
                    if let Ok(after) = next(standing(stage, state), event, NOW) {
                        table.push_str(&format!(
                            "{stage} {state} | {name} -> {} {}\n",
                            after.stage, after.state
                        ));
                    }
                }
            }
        }
        assert_eq!(table, include_str!("stage_table.txt"));
    }

    #[test]
    fn an_opened_gate_of_another_project_moves_nothing() {
        let other = OpenedGate::for_test(ProjectId::from_u128(2), GateName::G1);
        let here = standing(Stage::Concept, State::UnderReview);
        let refusal = next(here, Event::GateOpened(other), NOW).unwrap_err();
        assert!(refusal.detail.contains("another gate or project"), "{refusal}");
    }

    #[test]
    fn refusals_say_where_it_stands_and_what_to_do() {
        let refusal = next(standing(Stage::Pilot, State::UnderReview), Event::ReviewOpened, NOW);
        assert_eq!(
            refusal.unwrap_err().detail,
            "the project is in `pilot` and `under_review`, so a review cannot open: \
             one is open already: sign or withdraw it"
        );
    }

    #[test]
    fn stages_read_back_from_their_parts() {
        for stage in STAGES {
            assert_eq!(Stage::from_parts(stage.as_str(), stage.cause()), Some(stage));
            let json = serde_json::to_string(&stage).unwrap();
            assert_eq!(serde_json::from_str::<Stage>(&json).unwrap(), stage);
        }
        assert_eq!(Stage::from_parts("shelved", None), None);
        assert_eq!(Stage::from_parts("pilot", Some(ShelveCause::NoValue)), None);
    }

    proptest! {
        #[test]
        fn no_sequence_without_an_opened_gate_goes_up(numbers in prop::collection::vec(3..EVENTS, 0..40)) {
            let mut here = Standing::begin(project(), NOW);
            for number in numbers {
                if let Ok(after) = next(here, event(number).1, NOW) {
                    prop_assert!(after.stage == Stage::Concept || !after.stage.is_live());
                    here = after;
                }
            }
        }

        #[test]
        fn ends_are_never_left(numbers in prop::collection::vec(0..EVENTS, 0..60)) {
            let mut here = Standing::begin(project(), NOW);
            for number in numbers {
                let before = here;
                if let Ok(after) = next(here, event(number).1, NOW) {
                    prop_assert!(before.stage != Stage::Retired);
                    prop_assert!(before.stage.is_live() || after.stage == Stage::Retired);
                    here = after;
                }
            }
        }
    }
}
