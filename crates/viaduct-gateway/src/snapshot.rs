//! What the control plane publishes: all endpoints, immutable.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use viaduct_base::{
    ConsumerId, Digest, EndpointId, Name, ProjectId, RolloutId, Timestamp, TrialId, WorkspaceId,
};
use viaduct_domain::contract::Contract;
use viaduct_domain::manifest::BusinessAsUsual;
use viaduct_domain::rule::Rule;

/// All endpoints at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The key of entity hashes: the same entity has the same hash in the whole workspace.
    pub workspace_salt: String,
    /// The endpoints; names are unique.
    pub endpoints: Vec<EndpointSnapshot>,
}

/// One endpoint: what it serves, to whom and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointSnapshot {
    /// Its id.
    pub id: EndpointId,
    /// Its stable name.
    pub name: Name,
    /// The workspace it lives in.
    pub workspace: WorkspaceId,
    /// The project it belongs to, if any.
    pub project: Option<ProjectId>,
    /// The department whose work it is, unless the consumer has one of its own.
    pub department: Option<String>,
    /// The project's stage as a word; `unowned` without a project.
    pub stage: String,
    /// Who gets what.
    pub mode: Mode,
    /// The model behind it, once there is one.
    pub model: Option<ServedModel>,
    /// What a row must look like.
    pub contract: Option<Contract>,
    /// What follows from the model's output.
    pub rule: Option<Rule>,
    /// The row field that names the entity.
    pub entity_field: Option<String>,
    /// The row fields that find a decision again.
    pub key_fields: Vec<String>,
    /// What is done without a model.
    pub business_as_usual: Option<BusinessAsUsual>,
    /// Who may call with a key.
    pub consumers: Vec<ConsumerSnapshot>,
    /// Whether callers without a key are let in.
    pub open: bool,
    /// Whether everything gets business as usual and no model is asked.
    pub frozen: bool,
    /// A rollout's candidate beside the champion.
    #[serde(default)]
    pub challenger: Option<Challenger>,
    /// What is answered when the model cannot.
    #[serde(default)]
    pub fallback: Fallback,
    /// The version before: for [`Fallback::Previous`].
    #[serde(default)]
    pub previous: Option<ServedModel>,
    /// The kill switch: the fallback is answered and no model is asked.
    #[serde(default)]
    pub killed: Option<Killed>,
    /// How much may be asked at once, and how long it may take.
    #[serde(default)]
    pub limits: Limits,
    /// Conditions of the rollout under way that the gateway watches by itself.
    #[serde(default)]
    pub guards: Vec<Guard>,
    /// What of the inputs the decision log keeps.
    #[serde(default)]
    pub retention: InputRetention,
    /// Whether callers that the roof trusts may pick a variant (flagged as an override).
    #[serde(default)]
    pub trusted_override: bool,
    /// Whether the fallback answers rows that the contract stops, instead of a refusal. They are
    /// counted, logged and told as refused all the same.
    #[serde(default)]
    pub fallback_on_violation: bool,
}

impl EndpointSnapshot {
    /// An unowned endpoint without a model, closed to callers without a key: a base for
    /// `..EndpointSnapshot::bare(…)`.
    pub fn bare(id: EndpointId, name: Name, workspace: WorkspaceId) -> Self {
        Self {
            id,
            name,
            workspace,
            project: None,
            department: None,
            stage: "unowned".into(),
            mode: Mode::Unowned,
            model: None,
            contract: None,
            rule: None,
            entity_field: None,
            key_fields: Vec::new(),
            business_as_usual: None,
            consumers: Vec::new(),
            open: false,
            frozen: false,
            challenger: None,
            fallback: Fallback::Error,
            previous: None,
            killed: None,
            limits: Limits::default(),
            guards: Vec::new(),
            retention: InputRetention::Full,
            trusted_override: false,
            fallback_on_violation: false,
        }
    }

    /// Every version that it names: the champion's, the challenger's and the one before.
    pub fn models(&self) -> impl Iterator<Item = &ServedModel> {
        let challenger = self.challenger.as_ref().map(|challenger| &challenger.model);
        self.model.iter().chain(challenger).chain(&self.previous)
    }

    pub(crate) fn models_mut(&mut self) -> impl Iterator<Item = &mut ServedModel> {
        let challenger = self.challenger.as_mut().map(|challenger| &mut challenger.model);
        self.model.iter_mut().chain(challenger).chain(&mut self.previous)
    }
}

/// A rollout's candidate. It takes its share of what the stage's law and the holdout leave to a
/// model; in a trial it only looks on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Challenger {
    /// The rollout.
    pub rollout: RolloutId,
    /// The salt of its buckets.
    pub salt: String,
    /// The candidate.
    pub model: ServedModel,
    /// Its share of the entities in basis points; 0 in the shadow step.
    pub share_bp: u16,
    /// Whether it gets copies of what the champion answered, after the answer was sent.
    pub shadow: bool,
}

/// What is answered when the model cannot: it is not loaded, fails, gives NaN, or is killed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fallback {
    /// The caller gets the error.
    #[default]
    Error,
    /// The incumbent's answer if the caller sent it, else the endpoint's business as usual.
    BusinessAsUsual,
    /// Always the same.
    Constant {
        /// The output.
        #[serde(default)]
        output: Option<Value>,
        /// The action.
        #[serde(default)]
        action: Option<String>,
    },
    /// What the version before says; business as usual where that cannot answer either.
    Previous,
}

/// The kill switch was thrown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Killed {
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// How much may be asked at once, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Requests of this endpoint that may be under way or waiting.
    pub queue: u32,
    /// The longest a caller waits for an answer, in milliseconds; 0 for no limit.
    pub deadline_ms: u32,
    /// Rows in one request.
    pub rows_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { queue: 256, deadline_ms: 30_000, rows_max: 10_000 }
    }
}

/// A hot condition of a rollout: when it is breached the challenger leaves at once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Guard {
    /// What is measured, of the challenger.
    pub what: GuardWhat,
    /// The largest value that is no breach.
    pub max: f64,
    /// With fewer rows (requests for the latency) nothing is said.
    pub min_n: u64,
    /// The window in seconds that is looked at.
    pub window_s: u64,
}

/// What a [`Guard`] measures, of the challenger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardWhat {
    /// Share of rows that its model failed on.
    ErrorRate,
    /// The 99th percentile of a request's time inside its model, in milliseconds.
    LatencyP99Ms,
    /// Share of rows with a value outside the contract's ranges and lists, or refused.
    ViolationRate,
    /// Share of rows whose output had a number that is not finite.
    NanRate,
    /// Share of compared rows (shadow) where it says something else than the champion.
    DisagreementRate,
}

impl GuardWhat {
    /// The word in reports, facts and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            GuardWhat::ErrorRate => "error_rate",
            GuardWhat::LatencyP99Ms => "latency_p99_ms",
            GuardWhat::ViolationRate => "violation_rate",
            GuardWhat::NanRate => "nan_rate",
            GuardWhat::DisagreementRate => "disagreement_rate",
        }
    }
}

/// What of the inputs the decision log keeps. The entity's hash and the keys always stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputRetention {
    /// The contract's fields; personal ones (by classification) as keyed hashes.
    #[default]
    Full,
    /// Every field as a keyed hash.
    Hashed,
    /// Nothing.
    None,
}

/// Who gets what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Mode {
    /// No project: the champion answers at once.
    Unowned,
    /// The model is logged beside, business as usual is answered.
    Shadow,
    /// A registered trial: champion against holdout, by entity.
    Trial {
        /// The trial.
        trial: TrialId,
        /// Its salt.
        salt: String,
        /// Share of the holdout in basis points.
        holdout_bp: u16,
        /// Whether the plan wants the model's output logged (and withheld) for the holdout.
        #[serde(default)]
        score_holdout: bool,
    },
    /// The champion answers, beside a lasting holdout.
    Champion {
        /// The salt of the lasting holdout.
        salt: String,
        /// Its share in basis points; 0 for none.
        holdout_bp: u16,
    },
}

/// A registered version as a file, or behind another server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServedModel {
    /// The registered model's name.
    pub name: String,
    /// Its version.
    pub version: i64,
    /// The ONNX file; the gateway copies it.
    pub onnx: PathBuf,
    /// The features in the order of the model's signature; `None` takes the contract's order.
    pub features: Option<Vec<String>>,
    /// Labels in the order of the probability columns; `None` reads them from the file.
    pub classes: Option<Vec<Value>>,
    /// What runs it.
    #[serde(default)]
    pub engine: Engine,
}

/// What runs a version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Engine {
    /// ONNX Runtime, in this process.
    #[default]
    Onnx,
    /// A server that speaks the Open Inference Protocol v2.
    Remote {
        /// `http://host:port`, or `unix:/path.sock`.
        url: String,
        /// The model's name there.
        model: String,
    },
}

/// Somebody who calls with a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConsumerSnapshot {
    /// Its id.
    pub id: ConsumerId,
    /// Its name.
    pub name: String,
    /// SHA-256 of its key; the key itself is not kept.
    pub key_hash: Digest,
    /// The department it works for.
    pub department: Option<String>,
    /// Rows a second that it may ask for, lastingly; `None` for no limit.
    #[serde(default)]
    pub rate_per_second: Option<f64>,
    /// Rows that it may ask for at once; `None` for one second's.
    #[serde(default)]
    pub burst: Option<u32>,
    /// Rows a UTC day that it may ask for; `None` for no limit.
    #[serde(default)]
    pub quota_per_day: Option<u64>,
}
