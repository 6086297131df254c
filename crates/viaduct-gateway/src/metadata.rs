//! What an endpoint takes and gives, for the protocol's metadata and for forms.

use viaduct_base::Refusal;
use viaduct_domain::contract::LogicalType;
use viaduct_infer::Model;

use crate::endpoint::{self, Endpoint};
use crate::gateway::Gateway;

/// One column in the protocol's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorMetadata {
    /// Its name.
    pub name: String,
    /// `FP64`, `INT64`, `BOOL` or `BYTES`.
    pub datatype: &'static str,
    /// Dimensions; -1 is free.
    pub shape: Vec<i64>,
}

/// An endpoint as the Open Inference Protocol describes a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointMetadata {
    /// The endpoint's name.
    pub name: String,
    /// The version that it serves, if any.
    pub versions: Vec<String>,
    /// What it takes: the contract's fields.
    pub inputs: Vec<TensorMetadata>,
    /// The order of the cells in a row without names: the model's, else the contract's.
    pub features: Vec<String>,
    /// What it gives.
    pub outputs: Vec<TensorMetadata>,
    /// Whether it can answer.
    pub ready: bool,
}

impl Gateway {
    /// Describes an endpoint.
    ///
    /// # Errors
    /// There is no such endpoint, or no snapshot yet.
    pub fn metadata(&self, endpoint: &str) -> Result<EndpointMetadata, Refusal> {
        let table = self.table()?;
        let found = table.find(endpoint)?;
        let spec = &found.spec;
        let fields = spec.contract.as_ref().map(|contract| contract.fields()).unwrap_or_default();
        let inputs = fields.iter().map(|f| column(&f.name, datatype(f.logical_type))).collect();
        let outputs = outputs(found);
        let versions = spec.model.iter().map(|model| model.version.to_string()).collect();
        // A shadow answers business as usual without its model.
        let answers = found.can_answer() || spec.frozen || spec.mode == crate::Mode::Shadow;
        Ok(EndpointMetadata {
            name: spec.name.to_string(),
            versions,
            inputs,
            features: endpoint::features(spec, spec.model.as_ref()).unwrap_or_default(),
            outputs,
            ready: answers,
        })
    }
}

fn column(name: &str, datatype: &'static str) -> TensorMetadata {
    TensorMetadata { name: name.to_owned(), datatype, shape: vec![-1, 1] }
}

/// What the model and the rule give; nothing of the model while it is not loaded.
pub(crate) fn outputs(endpoint: &Endpoint) -> Vec<TensorMetadata> {
    let model = endpoint.model().ok();
    let known = model.as_ref().map(|model| model.answers()).unwrap_or_default();
    let mut outputs: Vec<_> = known
        .iter()
        .filter_map(|name| match name.as_str() {
            "label" => Some(column(name, label_type(model.as_deref()))),
            "probability" | "value" => Some(column(name, "FP64")),
            "probabilities" => Some(TensorMetadata { shape: vec![-1, -1], ..column(name, "FP64") }),
            _ => named(name, model.as_deref()?),
        })
        .collect();
    if endpoint.spec.rule.is_some() {
        outputs.push(column("action", "BYTES"));
    }
    outputs
}

/// An output under the model's own name, as its answers carry it.
fn named(name: &str, model: &Model) -> Option<TensorMetadata> {
    let output = model.signature().outputs.iter().find(|output| output.name == name)?;
    let datatype = match output.datatype.as_str() {
        "FP32" | "FP64" => "FP64",
        "INT32" | "INT64" => "INT64",
        "BOOL" => "BOOL",
        _ => "BYTES",
    };
    let width = output.shape.get(1).copied().unwrap_or(1);
    Some(TensorMetadata { shape: vec![-1, width], ..column(name, datatype) })
}

fn label_type(model: Option<&Model>) -> &'static str {
    let outputs = model.map(|model| &*model.signature().outputs);
    let labels = outputs.unwrap_or_default().iter().filter(|o| o.name.contains("label"));
    let is_whole = labels.map(|o| o.datatype.as_str()).any(|t| matches!(t, "INT64" | "INT32"));
    if is_whole { "INT64" } else { "BYTES" }
}

fn datatype(logical: LogicalType) -> &'static str {
    match logical {
        LogicalType::Number => "FP64",
        LogicalType::Integer => "INT64",
        LogicalType::Boolean => "BOOL",
        _ => "BYTES",
    }
}
