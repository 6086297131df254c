//! Decisions as Parquet, streamed with constant memory.
//!
//! Two readings: [`Plan::of`] learns which fields the inputs and outputs have and of what type,
//! then [`export`] writes row group by row group. A field whose values have one type becomes a
//! typed column (`input.age`, `output.probability`, `output.probabilities.yes`); one that mixes
//! types, or holds objects, becomes JSON text. Nothing is lost: what appears only between the two
//! readings stands in the column `other`. It knows the decision log and no HTTP.

mod export;
mod plan;

pub use export::{Report, export};
pub use plan::{Kind, Plan};

/// Why no file came of it.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] viaduct_decisions::LogError),
    /// The file could not be written.
    #[error("the Parquet file cannot be written: {0}")]
    Write(String),
}

impl From<parquet::errors::ParquetError> for LakeError {
    fn from(error: parquet::errors::ParquetError) -> Self {
        LakeError::Write(error.to_string())
    }
}

impl From<arrow::error::ArrowError> for LakeError {
    fn from(error: arrow::error::ArrowError) -> Self {
        LakeError::Write(error.to_string())
    }
}
