//! The Open Inference Protocol v2 over REST: JSON tensors.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// `POST /v2/models/{name}/infer`. Unknown keys are the protocol's extensions and are let pass.
#[derive(Debug, Clone, Deserialize)]
pub struct InferRequest {
    /// Echoed.
    #[serde(default)]
    pub id: Option<String>,
    /// Scalars: ours are `entity`, `keys` and `replayed`.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// The tensors.
    pub inputs: Vec<RequestInput>,
    /// The outputs that are wanted; the usual ones otherwise.
    #[serde(default)]
    pub outputs: Vec<RequestOutput>,
}

/// An input tensor.
#[derive(Debug, Clone, Deserialize)]
pub struct RequestInput {
    /// Its name.
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<i64>,
    /// `FP32`, `INT64`, `BOOL`, `BYTES`, ….
    pub datatype: String,
    /// The protocol's parameters, such as `binary_data_size`.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// The cells, flat or nested; absent in the binary extension.
    #[serde(default)]
    pub data: Option<Value>,
}

/// A wanted output.
#[derive(Debug, Clone, Deserialize)]
pub struct RequestOutput {
    /// Its name.
    pub name: String,
    /// The protocol's parameters, such as `binary_data`.
    #[serde(default)]
    pub parameters: Map<String, Value>,
}

/// The answer to an inference.
#[derive(Debug, Clone, Serialize)]
pub struct InferResponse {
    /// The endpoint's name.
    pub model_name: String,
    /// The version that answered, if a model did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_version: Option<String>,
    /// As it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// For one row: `decision_id`, `variant`, `action`, `contract`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// The tensors.
    pub outputs: Vec<ResponseOutput>,
}

/// An output tensor.
#[derive(Debug, Clone, Serialize)]
pub struct ResponseOutput {
    /// Its name.
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<i64>,
    /// Its type.
    pub datatype: &'static str,
    /// The cells, flat; null where a row has none.
    pub data: Vec<Value>,
}

/// `GET /v2`.
#[derive(Debug, Clone, Serialize)]
pub struct ServerMetadata {
    /// The server's name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Extensions of the protocol that it speaks.
    pub extensions: Vec<&'static str>,
}

/// `GET /v2/models/{name}`.
#[derive(Debug, Clone, Serialize)]
pub struct ModelMetadata {
    /// The endpoint's name.
    pub name: String,
    /// The version that it serves.
    pub versions: Vec<String>,
    /// What runs it.
    pub platform: &'static str,
    /// What it takes.
    pub inputs: Vec<MetadataTensor>,
    /// What it gives.
    pub outputs: Vec<MetadataTensor>,
}

/// One tensor of the metadata.
#[derive(Debug, Clone, Serialize)]
pub struct MetadataTensor {
    /// Its name.
    pub name: String,
    /// Its type.
    pub datatype: &'static str,
    /// Dimensions; -1 is free.
    pub shape: Vec<i64>,
}

/// JSON Schema of [`InferRequest`].
pub fn request_schema() -> Value {
    json!({
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": { "type": "string" },
            "parameters": { "type": "object" },
            "inputs": { "type": "array", "items": {
                "type": "object",
                "required": ["name", "shape", "datatype", "data"],
                "properties": {
                    "name": { "type": "string" },
                    "shape": { "type": "array", "items": { "type": "integer" } },
                    "datatype": { "type": "string" },
                    "parameters": { "type": "object" },
                    "data": {},
                },
            } },
            "outputs": { "type": "array", "items": {
                "type": "object", "required": ["name"],
                "properties": { "name": { "type": "string" }, "parameters": { "type": "object" } },
            } },
        },
    })
}
