//! What the server and its endpoints say of themselves, in the protocol's words.

use serde::Serialize;
use viaduct_base::Refusal;
use viaduct_gateway::{EndpointMetadata, Gateway, TensorMetadata};
use viaduct_wire::oip::{MetadataTensor, ModelMetadata, ServerMetadata};

use super::call::check_version;

/// The word of the protocol for what runs a model.
const PLATFORM: &str = "onnxruntime_onnx";
/// Why: the largest list of rows that one request may bring.
const BATCH_MAX: i32 = 10_000;
/// Extensions of the protocol that are spoken here.
const EXTENSIONS: [&str; 4] =
    ["binary_tensor_data", "model_configuration", "parameters", "statistics"];

/// The server.
pub fn server() -> ServerMetadata {
    let version = env!("CARGO_PKG_VERSION");
    ServerMetadata { name: "viaduct", version, extensions: EXTENSIONS.to_vec() }
}

/// An endpoint.
pub fn model(found: EndpointMetadata) -> ModelMetadata {
    let tensors = |tensors: Vec<TensorMetadata>| {
        let tensors = tensors.into_iter();
        tensors
            .map(|t| MetadataTensor { name: t.name, datatype: t.datatype, shape: t.shape })
            .collect()
    };
    ModelMetadata {
        name: found.name,
        versions: found.versions,
        platform: PLATFORM,
        inputs: tensors(found.inputs),
        outputs: tensors(found.outputs),
    }
}

/// An endpoint as Triton's model configuration. Rows are the batch: its dimension is left out.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// The endpoint's name.
    pub name: String,
    /// What runs it.
    pub platform: &'static str,
    /// What loads it.
    pub backend: &'static str,
    /// Most rows at once.
    pub max_batch_size: i32,
    /// What it takes.
    pub input: Vec<ConfigTensor>,
    /// What it gives.
    pub output: Vec<ConfigTensor>,
}

/// One tensor of a [`Config`].
#[derive(Debug, Clone, Serialize)]
pub struct ConfigTensor {
    /// Its name.
    pub name: String,
    /// As in `TYPE_FP64`.
    pub data_type: String,
    /// Dimensions of a row; -1 is free.
    pub dims: Vec<i64>,
}

/// Describes an endpoint's configuration.
pub fn config(found: EndpointMetadata) -> Config {
    let tensors = |tensors: Vec<TensorMetadata>| {
        let tensors = tensors.into_iter();
        tensors
            .map(|t| ConfigTensor {
                name: t.name,
                data_type: match t.datatype {
                    "BYTES" => "TYPE_STRING".to_owned(),
                    datatype => format!("TYPE_{datatype}"),
                },
                dims: t.shape.get(1..).unwrap_or_default().to_vec(),
            })
            .collect()
    };
    Config {
        name: found.name,
        platform: PLATFORM,
        backend: "onnxruntime",
        max_batch_size: BATCH_MAX,
        input: tensors(found.inputs),
        output: tensors(found.outputs),
    }
}

/// What endpoints counted since this process began.
#[derive(Debug, Clone, Serialize)]
pub struct Statistics {
    /// One entry an endpoint.
    pub model_stats: Vec<ModelStatistics>,
}

/// What one endpoint counted.
#[derive(Debug, Clone, Serialize)]
pub struct ModelStatistics {
    /// The endpoint's name.
    pub name: String,
    /// The version in service; empty without one.
    pub version: String,
    /// Rows that were decided.
    pub inference_count: u64,
    /// Runs of the model.
    pub execution_count: u64,
    /// Requests.
    pub inference_stats: InferenceStatistics,
}

/// Requests by how they ended, and the time inside the model.
#[derive(Debug, Clone, Serialize)]
pub struct InferenceStatistics {
    /// Answered, and the time of all requests.
    pub success: Duration,
    /// Refused or failed; their time is among that of the answered ones.
    pub fail: Duration,
    /// Waiting: always zero, a request is run or refused.
    pub queue: Duration,
    /// Inside the model.
    pub compute_infer: Duration,
}

/// A count and the time that it took in all.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Duration {
    /// How many.
    pub count: u64,
    /// Nanoseconds in all.
    pub ns: u64,
}

/// Statistics of one endpoint, or of all when the name is empty.
///
/// # Errors
/// There is no such endpoint; it serves another version.
pub fn statistics(gateway: &Gateway, name: &str, version: &str) -> Result<Statistics, Refusal> {
    if !name.is_empty() && !version.is_empty() {
        check_version(&gateway.metadata(name)?, version)?;
    }
    let found = gateway.statistics((!name.is_empty()).then_some(name))?;
    let model_stats = found.into_iter().map(|endpoint| ModelStatistics {
        version: endpoint.version.map(|version| version.to_string()).unwrap_or_default(),
        name: endpoint.name,
        inference_count: endpoint.rows,
        execution_count: endpoint.model.count,
        inference_stats: InferenceStatistics {
            success: duration(endpoint.answered),
            fail: duration(endpoint.refused),
            queue: Duration::default(),
            compute_infer: duration(endpoint.model),
        },
    });
    Ok(Statistics { model_stats: model_stats.collect() })
}

fn duration(total: viaduct_gateway::Total) -> Duration {
    Duration { count: total.count, ns: total.ns }
}
