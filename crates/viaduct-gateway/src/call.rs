//! What is asked of the gateway and what it answers. No wire format.

use serde_json::{Map, Value};
use viaduct_base::{DecisionId, Digest, Secret};
use viaduct_domain::assign::Variant;

/// How the caller is known.
#[derive(Debug, Clone, Default)]
pub enum CallKey {
    /// The roof has authorised a person or a program of the workspace.
    Trusted,
    /// A consumer's key, to be checked here.
    Key(Secret<String>),
    /// Nothing was sent.
    #[default]
    Absent,
}

/// A prediction request: one decision a row.
#[derive(Debug, Clone, Default)]
pub struct PredictCall {
    /// The endpoint's name.
    pub endpoint: String,
    /// How the caller is known.
    pub key: CallKey,
    /// The rows as they were sent.
    pub rows: Vec<Map<String, Value>>,
    /// The row field that names the entity; the endpoint's own otherwise.
    pub entity: Option<String>,
    /// The row fields that are business keys; the endpoint's own otherwise.
    pub keys: Option<Vec<String>>,
    /// The row field that holds the incumbent's answer: an action's text, or an output.
    pub incumbent: Option<String>,
    /// Whether these are past cases.
    pub replayed: bool,
}

/// What one row got.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The decision's id: outcomes refer to it.
    pub decision_id: DecisionId,
    /// Which variant the row met.
    pub variant: Variant,
    /// The model's output, or business as usual's; `None` when that is an action only.
    pub output: Option<Value>,
    /// What to do; `None` for an endpoint without a rule.
    pub action: Option<String>,
    /// The model's version, where the model answered.
    pub model_version: Option<i64>,
    /// The contract that the row met.
    pub contract: Option<Digest>,
    /// Whether the fallback answered, because the model of its variant could not.
    pub is_fallback: bool,
}
