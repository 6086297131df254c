//! What a model takes and gives, in the words of the Open Inference Protocol.

use ort::session::Session;
use ort::value::{Outlet, TensorElementType, ValueType};
use serde::{Deserialize, Serialize};

/// Element types that rows can fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataType {
    /// 32-bit float.
    #[serde(rename = "FP32")]
    Float32,
    /// 64-bit float.
    #[serde(rename = "FP64")]
    Float64,
    /// 32-bit integer.
    #[serde(rename = "INT32")]
    Int32,
    /// 64-bit integer.
    #[serde(rename = "INT64")]
    Int64,
    /// Boolean.
    #[serde(rename = "BOOL")]
    Bool,
    /// UTF-8 text.
    #[serde(rename = "BYTES")]
    Text,
}

impl DataType {
    /// The protocol's word.
    pub fn as_str(self) -> &'static str {
        match self {
            DataType::Float32 => "FP32",
            DataType::Float64 => "FP64",
            DataType::Int32 => "INT32",
            DataType::Int64 => "INT64",
            DataType::Bool => "BOOL",
            DataType::Text => "BYTES",
        }
    }

    pub(crate) fn of(element: TensorElementType) -> Option<Self> {
        match element {
            TensorElementType::Float32 => Some(DataType::Float32),
            TensorElementType::Float64 => Some(DataType::Float64),
            TensorElementType::Int32 => Some(DataType::Int32),
            TensorElementType::Int64 => Some(DataType::Int64),
            TensorElementType::Bool => Some(DataType::Bool),
            TensorElementType::String => Some(DataType::Text),
            _ => None,
        }
    }
}

/// One input or output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorSpec {
    /// Its name in the graph.
    pub name: String,
    /// `FP32`, `INT64`, `BYTES`, …, or ONNX's own words for what is no plain tensor.
    pub datatype: String,
    /// Dimensions; -1 is free. Empty for what is no tensor.
    pub shape: Vec<i64>,
}

/// What a model takes and gives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSignature {
    /// Inputs in the graph's order.
    pub inputs: Vec<TensorSpec>,
    /// Outputs in the graph's order.
    pub outputs: Vec<TensorSpec>,
}

impl ModelSignature {
    pub(crate) fn of(session: &Session) -> Self {
        Self {
            inputs: session.inputs().iter().map(spec).collect(),
            outputs: session.outputs().iter().map(spec).collect(),
        }
    }
}

fn spec(outlet: &Outlet) -> TensorSpec {
    let (datatype, shape) = match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => {
            let word = DataType::of(*ty).map(|t| t.as_str().to_owned());
            (word.unwrap_or_else(|| ty.to_string()), shape.to_vec())
        }
        other => (other.to_string(), Vec::new()),
    };
    TensorSpec { name: outlet.name().to_owned(), datatype, shape }
}
