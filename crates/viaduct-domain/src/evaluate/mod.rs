//! Criteria over facts: what passes, what does not, and how far away it is.
//!
//! [`evaluate`] is a function of a gate and its input, so an evaluation can be recomputed and its
//! hash signed. Invariant: a fact that is missing, stale, of another subject, too thin, or no
//! number never passes a check; and a gate opens only when no blocking criterion is left.

mod check;
mod difference;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use viaduct_base::{Digest, FactId, Fault, ProjectId, Span, Timestamp, WaiverId, digest_json};

use crate::fact::{Fact, FactName, FactValue, Producer, Provenance, SubjectKind, Window};
use crate::policy::{Criterion, Gate, Severity};
use crate::stage::GateName;
use crate::tier::{PurposeFlag, Tier};
use crate::waiver::Waiver;
use crate::words::words;

pub use difference::{Difference, diff};

words! {
    /// How a criterion or a check stands, from best to worst: a criterion stands as the worst of
    /// its checks.
    Status, "a status" {
        /// The project's tier or purpose does not ask for it.
        NotApplicable = "not_applicable",
        /// Measured, and good enough.
        Pass = "pass",
        /// A waiver stands in for it.
        Waived = "waived",
        /// Not measured, or on too few cases.
        NotEnoughData = "not_enough_data",
        /// Measured too long ago, or on something that has changed since.
        Stale = "stale",
        /// Measured, and not good enough.
        Fail = "fail",
    }
}

/// The thing that facts must be about, and since when it is the current one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrentSubject {
    /// Its id as the facts name it.
    pub id: String,
    /// A fact observed before this moment is about an earlier form of it.
    pub since: Timestamp,
}

impl CurrentSubject {
    /// The subject with this id, current since that moment.
    pub fn new(id: impl Into<String>, since: Timestamp) -> Self {
        Self { id: id.into(), since }
    }
}

/// What the `{…}` of a fix are filled with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    /// The project's name.
    pub project: String,
    /// The endpoint's name.
    pub endpoint: Option<String>,
    /// The model behind it.
    pub model: Option<String>,
    /// The primary KPI.
    pub kpi: Option<String>,
}

/// Everything an evaluation depends on.
#[derive(Debug, Clone)]
pub struct EvaluationInput {
    /// The project.
    pub project: ProjectId,
    /// Names for the fixes.
    pub names: Names,
    /// Its tier.
    pub tier: Tier,
    /// What its purpose touches.
    pub purposes: BTreeSet<PurposeFlag>,
    /// The latest fact of each name and subject; more of them do no harm.
    pub facts: Vec<Fact>,
    /// The current thing of each kind; a kind that is missing does not exist yet.
    pub subjects: BTreeMap<SubjectKind, CurrentSubject>,
    /// Waivers of the project.
    pub waivers: Vec<Waiver>,
    /// How much worse than today the shadow may be (`endpoint.shadow_margin`). A margin that is
    /// negative or no number counts as none.
    pub shadow_margin: f64,
    /// The moment of the evaluation.
    pub now: Timestamp,
}

impl EvaluationInput {
    /// An input with nothing measured yet.
    pub fn new(project: ProjectId, names: Names, tier: Tier, now: Timestamp) -> Self {
        Self {
            project,
            names,
            tier,
            purposes: BTreeSet::new(),
            facts: Vec::new(),
            subjects: BTreeMap::new(),
            waivers: Vec::new(),
            shadow_margin: 0.0,
            now,
        }
    }
}

/// How far a value is from passing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distance {
    /// How much is missing, in the fact's unit; cases when `n` is too small.
    pub amount: f64,
    /// The same for people: `8 percentage points short`.
    pub sentence: String,
}

/// One check of one fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The fact.
    pub fact: FactName,
    /// How it stands.
    pub status: Status,
    /// What is asked, for people: `at least 90 %`.
    pub threshold: String,
    /// The measured value.
    pub value: Option<FactValue>,
    /// The same for people.
    pub value_text: Option<String>,
    /// Over how many cases.
    pub n: Option<u64>,
    /// Over how many at least.
    pub min_n: Option<u64>,
    /// Over which time.
    pub window: Option<Window>,
    /// Over how long at least.
    pub window_asked: Option<Span>,
    /// Who makes the fact; nothing when that comes with a later release.
    pub producer: Option<Producer>,
    /// When it was measured.
    pub observed_at: Option<Timestamp>,
    /// From which rows.
    pub provenance: Option<Provenance>,
    /// The fact itself.
    pub fact_id: Option<FactId>,
    /// What the collector said about it.
    pub note: Option<String>,
    /// How far it is from passing, where that is a number.
    pub distance: Option<Distance>,
    /// All of it in one sentence.
    pub sentence: String,
}

/// One criterion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CriterionResult {
    /// Its id in the policy.
    pub id: String,
    /// The failure it guards against.
    pub trigger: Option<u8>,
    /// A few words.
    pub title: String,
    /// The worst of its checks.
    pub status: Status,
    /// What it does at this tier.
    pub severity: Severity,
    /// Whether it keeps the gate shut.
    pub blocking: bool,
    /// Whether a waiver may stand in for what is red now.
    pub waivable: bool,
    /// The waiver that stands in for it.
    pub waiver: Option<WaiverId>,
    /// The worst check's sentence.
    pub sentence: String,
    /// What to do, when it does not pass.
    pub fix: Option<String>,
    /// Its checks, in the order of the policy.
    pub checks: Vec<CheckResult>,
}

impl CriterionResult {
    /// The check that decides the status: the first of the worst.
    pub fn worst(&self) -> Option<&CheckResult> {
        // Why reversed: `max_by_key` takes the last of equals, and people read from the top.
        self.checks.iter().rev().max_by_key(|check| check.status)
    }
}

/// A gate, evaluated at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The gate.
    pub gate: GateName,
    /// The project.
    pub project: ProjectId,
    /// The version of the policy.
    pub policy_version: u32,
    /// The digest of the policy.
    pub policy_hash: Digest,
    /// The project's tier.
    pub tier: Tier,
    /// What its purpose touches.
    pub purposes: BTreeSet<PurposeFlag>,
    /// What the facts had to be about.
    pub subjects: BTreeMap<SubjectKind, CurrentSubject>,
    /// The moment.
    pub at: Timestamp,
    /// The criteria, in the order of the policy.
    pub results: Vec<CriterionResult>,
    /// Whether every blocking criterion passes, does not apply, or is waived.
    pub opens: bool,
    /// The ids of those that keep the gate shut.
    pub blockers: Vec<String>,
}

impl Evaluation {
    /// The digest that people sign: of the whole evaluation in canonical JSON.
    ///
    /// # Errors
    /// A fault when it cannot be written as JSON, which its types rule out.
    pub fn hash(&self) -> Result<Digest, Fault> {
        digest_json(self).map_err(|e| Fault::caused("hashing an evaluation", e))
    }

    /// The result of one criterion.
    pub fn result(&self, id: &str) -> Option<&CriterionResult> {
        self.results.iter().find(|result| result.id == id)
    }

    /// How many criteria pass, do not apply or are waived, of how many.
    pub fn progress(&self) -> (usize, usize) {
        let good = self.results.iter().filter(|r| r.status <= Status::Waived).count();
        (good, self.results.len())
    }
}

/// Evaluates a gate.
pub fn evaluate(gate: &Gate, input: &EvaluationInput) -> Evaluation {
    let mut by_name: BTreeMap<FactName, Vec<&Fact>> = BTreeMap::new();
    for fact in input.facts.iter().filter(|fact| fact.project == input.project) {
        by_name.entry(fact.name).or_default().push(fact);
    }
    let results: Vec<_> =
        gate.criteria.iter().map(|row| criterion(gate.name, row, input, &by_name)).collect();
    let blockers: Vec<_> = results.iter().filter(|r| r.blocking).map(|r| r.id.clone()).collect();
    Evaluation {
        gate: gate.name,
        project: input.project,
        policy_version: gate.policy.version,
        policy_hash: gate.policy.hash.clone(),
        tier: input.tier,
        purposes: input.purposes.clone(),
        subjects: input.subjects.clone(),
        at: input.now,
        opens: blockers.is_empty() && !results.is_empty(),
        results,
        blockers,
    }
}

type FactsByName<'a> = BTreeMap<FactName, Vec<&'a Fact>>;

fn criterion(
    gate: GateName,
    row: &Criterion,
    input: &EvaluationInput,
    facts: &FactsByName<'_>,
) -> CriterionResult {
    let severity = row.severity_at(input.tier);
    let applies = row.when.holds(input.tier, &input.purposes);
    let checks: Vec<CheckResult> =
        row.checks.iter().map(|check| check::assess(row, check, applies, input, facts)).collect();
    let mut result = CriterionResult {
        id: row.id.clone(),
        trigger: row.trigger,
        title: row.title.clone(),
        status: Status::NotEnoughData,
        severity,
        blocking: false,
        waivable: false,
        waiver: None,
        sentence: String::new(),
        fix: None,
        checks,
    };
    let Some((status, sentence)) = result.worst().map(|c| (c.status, c.sentence.clone())) else {
        result.blocking = severity == Severity::Block;
        result.sentence = "The criterion has no check, so nothing can pass it".into();
        return result;
    };
    result.status = status;
    result.sentence = sentence;
    if result.status > Status::Waived {
        let red_is_waivable = row
            .checks
            .iter()
            .zip(&result.checks)
            .all(|(check, found)| check.waivable || found.status <= Status::Waived);
        result.waivable = row.waivable && red_is_waivable;
        let standing_in =
            input.waivers.iter().find(|waiver| waiver.covers(gate, &row.id, input.now));
        if let Some(waiver) = standing_in.filter(|_| result.waivable) {
            result.status = Status::Waived;
            result.waiver = Some(waiver.id);
        }
        result.fix = Some(words::fill(&row.fix, &input.names));
    }
    result.blocking = severity == Severity::Block && result.status > Status::Waived;
    result
}

#[cfg(test)]
mod harm;
#[cfg(test)]
pub(crate) mod passing;
#[cfg(test)]
mod tests;
