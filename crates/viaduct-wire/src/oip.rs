//! The Open Inference Protocol v2 over REST: JSON, and where binary tensors stand in it.

mod cells;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

pub use cells::{Cell, flatten};

/// `POST /v2/models/{name}/infer`. Unknown keys are the protocol's extensions and are let pass.
#[derive(Debug, Clone, Deserialize)]
pub struct InferRequest<'a> {
    /// Echoed.
    #[serde(default)]
    pub id: Option<String>,
    /// Scalars: ours are `entity`, `keys` and `replayed`.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// The tensors.
    #[serde(borrow)]
    pub inputs: Vec<RequestInput<'a>>,
    /// The outputs that are wanted; the usual ones otherwise.
    #[serde(default)]
    pub outputs: Vec<RequestOutput>,
}

/// An input tensor.
#[derive(Debug, Clone, Deserialize)]
pub struct RequestInput<'a> {
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
    #[serde(borrow, default)]
    pub data: Option<&'a RawValue>,
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
    /// `binary_data_size` where the cells follow the JSON as bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<OutputParameters>,
    /// The cells, flat; null where a row has none; absent in the binary extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<ResponseData>,
}

/// The protocol's parameters of an output.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct OutputParameters {
    /// How many bytes it takes behind the JSON.
    pub binary_data_size: usize,
}

/// Cells as a JSON list. Numbers that are not finite are null.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum ResponseData {
    /// Numbers with a fraction.
    Float(Vec<f64>),
    /// Whole numbers.
    Int(Vec<i64>),
    /// Booleans.
    Bool(Vec<bool>),
    /// Texts.
    Text(Vec<Option<String>>),
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
                "required": ["name", "shape", "datatype"],
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
