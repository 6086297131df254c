//! The model runtime: ONNX Runtime behind [`Runtime`] and [`Model`].
//!
//! The shared library is looked for at run time and may be absent; [`RuntimeMissing`] then says
//! what to do. A model takes typed rows (checked by a contract) and gives
//! [`viaduct_domain::output::ModelOutput`]s, or columns and gives columns
//! ([`Model::predict_columns`]). [`ModelCache`] holds many within a budget. Invariant: nothing here ever unpickles; a file that
//! is not ONNX is refused with the command that converts it. It does not know endpoints.

mod bind;
mod cache;
mod classes;
mod deadline;
mod encode;
mod error;
mod library;
mod model;
mod pool;
mod read;
mod refuse;
mod runtime;
mod signature;

pub use cache::{CacheStats, ModelCache, ModelSource};
pub use error::{LoadError, PredictError, RuntimeMissing};
pub use library::{Origin, candidates};
pub use model::{LoadOptions, Model};
pub use runtime::{Runtime, RuntimeConfig};
pub use signature::{DataType, ModelSignature, TensorSpec};
