//! What the control plane publishes: all endpoints, immutable.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use viaduct_base::{ConsumerId, Digest, EndpointId, Name, ProjectId, TrialId, WorkspaceId};
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

/// A registered version as a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
}
