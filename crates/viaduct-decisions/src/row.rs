//! What one row of the log says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use viaduct_base::{
    ClockKind, ConsumerId, DecisionId, Digest, EndpointId, ProjectId, RolloutId, Timestamp,
    TrialId, WorkspaceId,
};

/// One entry of the log.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// A prediction that was answered.
    Decision(Box<DecisionRow>),
    /// A request that did not meet the contract and was refused.
    Refused(RefusedRow),
    /// What a rollout's challenger said beside a decision, after it was answered.
    Beside(BesideRow),
}

impl Record {
    /// When it happened.
    pub fn at(&self) -> Timestamp {
        match self {
            Record::Decision(row) => row.at,
            Record::Refused(row) => row.at,
            Record::Beside(row) => row.at,
        }
    }

    /// The endpoint that was asked.
    pub fn endpoint(&self) -> EndpointId {
        match self {
            Record::Decision(row) => row.endpoint,
            Record::Refused(row) => row.endpoint,
            Record::Beside(row) => row.endpoint,
        }
    }
}

impl From<DecisionRow> for Record {
    fn from(row: DecisionRow) -> Self {
        Record::Decision(Box::new(row))
    }
}

/// What must be known when a decision is used as evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// No entity was given: the variant was drawn by the decision's id; excluded from trials.
    Unsticky,
    /// The variant was asked for by a tester.
    Override,
    /// The model's output was computed and logged, and not sent.
    Withheld,
    /// The fallback was answered: the model could not, or was stopped.
    Fallback,
    /// The kill switch was thrown.
    Killed,
    /// The model's output had a number that is not finite, and did not decide.
    NotFinite,
    /// A field broke the contract and was given the contract's default.
    Defaulted,
    /// Inputs, keys and entity were erased afterwards.
    Erased,
}

/// A decision: one row of one prediction request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionRow {
    /// Issued by the gateway, answered to the caller.
    pub id: DecisionId,
    /// When it was made.
    pub at: Timestamp,
    /// Under which clock.
    pub clock: ClockKind,
    /// Whether the caller replayed a past case.
    pub replayed: bool,
    /// The workspace of the endpoint.
    pub workspace: WorkspaceId,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Its name at that time.
    pub endpoint_name: String,
    /// The project it belongs to, if any.
    pub project: Option<ProjectId>,
    /// The project's stage at that time; `unowned` for an endpoint without a project.
    pub stage: String,
    /// The department that asked, if known.
    pub department: Option<String>,
    /// Who asked, when a key was sent.
    pub consumer: Option<ConsumerId>,
    /// Keyed hash of the entity; empty when there was none.
    pub entity_hash: String,
    /// Business keys, by name.
    pub keys: BTreeMap<String, String>,
    /// The trial that was running, if any.
    pub trial: Option<TrialId>,
    /// `champion`, `challenger`, `shadow` or `holdout`.
    pub variant: String,
    /// The entity's bucket of 10,000, where an assignment was made.
    pub bucket: Option<u16>,
    /// What must be known about this row.
    pub flags: Vec<Flag>,
    /// The registered model's name; empty when no model was asked.
    pub model: String,
    /// Its version; 0 when no model was asked.
    pub model_version: i64,
    /// Hash of the contract that the request met.
    pub contract_hash: Option<Digest>,
    /// Hash of the rule that made the action.
    pub rule_hash: Option<Digest>,
    /// The row as it was sent.
    pub inputs: Map<String, Value>,
    /// What the model said, also where it was withheld.
    pub output: Option<Value>,
    /// What the caller got.
    pub answered: Value,
    /// The incumbent's answer, if the caller sent it.
    pub incumbent: Option<Value>,
    /// What the rule makes of the model's output.
    pub model_action: Option<String>,
    /// What was really to be done: business as usual for shadow and holdout.
    pub action: String,
    /// From the parsed request to the append.
    pub latency_us: u64,
}

/// What a rollout's challenger said about the inputs of a decision that another variant answered.
/// It answered nobody, so it is no decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BesideRow {
    /// The decision.
    pub decision: DecisionId,
    /// When the decision was made.
    pub at: Timestamp,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The rollout.
    pub rollout: RolloutId,
    /// The challenger's registered model.
    pub model: String,
    /// Its version.
    pub model_version: i64,
    /// What it said; `None` when it failed.
    pub output: Option<Value>,
    /// What the rule makes of it.
    pub action: Option<String>,
    /// Whether that is something else than the decision; `None` when they cannot be compared.
    pub disagrees: Option<bool>,
    /// Why it said nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its share of the run's time.
    pub latency_us: u64,
}

/// One bad place of a refused request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowError {
    /// JSON pointer into the request.
    pub pointer: String,
    /// What is wrong.
    pub detail: String,
}

/// A request row that was refused: it counts for the share of requests that met the contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefusedRow {
    /// When it was refused.
    pub at: Timestamp,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Who asked, when a key was sent.
    pub consumer: Option<ConsumerId>,
    /// Whether the caller replayed a past case.
    #[serde(default)]
    pub replayed: bool,
    /// What did not fit; values are never repeated here.
    pub errors: Vec<RowError>,
}
