//! Why there is no runtime, no model or no answer; each sentence says what to do.

use std::path::PathBuf;

use viaduct_base::{Kind, Refusal};

/// ONNX Runtime's shared library was not found or does not load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the model runtime (ONNX Runtime) is missing: {reason}; run `viaduct setup runtime`, or set \
     `[runtime] library` or `ORT_DYLIB_PATH` to a `libonnxruntime.so` of 1.20 or newer"
)]
pub struct RuntimeMissing {
    /// Where it was looked for, or why it does not load.
    pub reason: String,
}

impl From<RuntimeMissing> for Refusal {
    fn from(missing: RuntimeMissing) -> Self {
        Refusal::new(Kind::RuntimeMissing, missing.to_string())
    }
}

/// Why a file cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is another format; the sentence names the command that converts it.
    #[error(
        "`{name}` is {found}, not ONNX, and cannot be served: convert it in Python with `pip \
         install {converter}`, {how}, and log it with `mlflow.onnx.log_model(onnx_model, ...)`"
    )]
    NotOnnx {
        /// The file's name.
        name: String,
        /// What it looks like.
        found: &'static str,
        /// The package that converts it.
        converter: &'static str,
        /// The call that converts it.
        how: &'static str,
    },
    /// The file cannot be read.
    #[error("the model file `{}` cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// ONNX Runtime does not take it.
    #[error("`{name}` is not a model that ONNX Runtime loads: {reason}; log it again")]
    Rejected {
        /// The file's name.
        name: String,
        /// What the runtime said.
        reason: String,
    },
    /// The graph has an input that rows cannot fill.
    #[error(
        "the model's input `{input}` is {found}; an input is one column or one matrix of float, \
         double, int64, int32, bool or string, with a free number of rows"
    )]
    Input {
        /// The input's name.
        input: String,
        /// Its type and shape.
        found: String,
    },
}

impl From<LoadError> for Refusal {
    fn from(error: LoadError) -> Self {
        Refusal::new(Kind::ModelNotServable, error.to_string())
    }
}

/// Why a loaded model gives no answer to rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PredictError {
    /// The row has no field for an input.
    #[error("the model needs `{feature}` and the contract has no such field{hint}")]
    FeatureMissing {
        /// The feature.
        feature: String,
        /// A near name, as ` (near: …)`, or nothing.
        hint: String,
    },
    /// A matrix of another width than the known features.
    #[error(
        "the model's input `{input}` takes {wanted} features and {given} are known ({names}): log \
         the model with its signature (`mlflow.models.infer_signature`), or make the contract's \
         fields the model's features in their order"
    )]
    FeatureCount {
        /// The input.
        input: String,
        /// Columns of the input.
        wanted: usize,
        /// Features known.
        given: usize,
        /// Their names.
        names: String,
    },
    /// A cell that the input's type cannot hold.
    #[error("`{field}` of row {row} is {found} and the model takes {wanted} there")]
    Cell {
        /// The field.
        field: String,
        /// The row, from 0.
        row: usize,
        /// What the cell is.
        found: &'static str,
        /// What the model takes.
        wanted: &'static str,
    },
    /// It took longer than it may.
    #[error("the model had no answer within the endpoint's `limits.deadline_ms` and was stopped")]
    Stopped,
    /// The runtime failed while it computed.
    #[error("the model failed: {reason}")]
    Failed {
        /// What the runtime said.
        reason: String,
    },
}

impl From<PredictError> for Refusal {
    fn from(error: PredictError) -> Self {
        Refusal::new(Kind::ModelNotServable, error.to_string())
    }
}
