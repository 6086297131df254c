//! `POST /api/v1/endpoints/{name}/predict`: plain JSON records.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use viaduct_base::DecisionId;

/// Rows to decide on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictRequest {
    /// One object a decision, typed by the endpoint's contract.
    pub rows: Vec<Map<String, Value>>,
    /// The row field that names the entity; the endpoint's own otherwise.
    #[serde(default)]
    pub entity: Option<String>,
    /// The row fields that are business keys; the endpoint's own otherwise.
    #[serde(default)]
    pub keys: Option<Vec<String>>,
    /// The row field that holds the incumbent's answer.
    #[serde(default)]
    pub incumbent: Option<String>,
    /// Whether these are past cases.
    #[serde(default)]
    pub replayed: bool,
}

/// One decision a row, in the order of the rows.
#[derive(Debug, Clone, Serialize)]
pub struct PredictAnswer {
    /// The decisions.
    pub decisions: Vec<Decision>,
}

/// What one row got.
#[derive(Debug, Clone, Serialize)]
pub struct Decision {
    /// Outcomes refer to it.
    pub decision_id: DecisionId,
    /// `champion`, `challenger`, `shadow` or `holdout`.
    pub variant: &'static str,
    /// The model's output, or business as usual's; null when that is an action only.
    pub output: Option<Value>,
    /// What to do; null without a rule.
    pub action: Option<String>,
    /// The model's version, where the model answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_version: Option<i64>,
    /// Hash of the contract that the row met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// Whether the fallback answered, because the model of the variant could not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fallback: bool,
}

/// JSON Schema of [`PredictRequest`].
pub fn request_schema() -> Value {
    json!({
        "type": "object",
        "required": ["rows"],
        "additionalProperties": false,
        "properties": {
            "rows": { "type": "array", "minItems": 1, "maxItems": 10000,
                "items": { "type": "object" }, "description": "One object a decision." },
            "entity": { "type": "string", "description": "The row field that names the entity." },
            "keys": { "type": "array", "items": { "type": "string" },
                "description": "The row fields that are business keys." },
            "incumbent": { "type": "string",
                "description": "The row field that holds the incumbent's answer." },
            "replayed": { "type": "boolean", "description": "Whether these are past cases." },
        },
    })
}

/// JSON Schema of [`PredictAnswer`].
pub fn answer_schema() -> Value {
    json!({
        "type": "object",
        "required": ["decisions"],
        "properties": { "decisions": { "type": "array", "items": {
            "type": "object",
            "required": ["decision_id", "variant", "output", "action"],
            "properties": {
                "decision_id": { "type": "string" },
                "variant": { "enum": ["champion", "challenger", "shadow", "holdout"] },
                "output": { "type": ["object", "null"] },
                "action": { "type": ["string", "null"] },
                "model_version": { "type": "integer" },
                "contract": { "type": "string" },
                "fallback": { "const": true },
            },
        } } },
    })
}
