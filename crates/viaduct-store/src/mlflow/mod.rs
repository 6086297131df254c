//! Tracking and registry: MLflow's objects, under MLflow's own ids, in one set of tables.

pub mod change;
pub mod collect;
pub mod dataset;
pub mod experiment;
pub mod logged_model;
mod many;
pub mod metric;
pub mod model_metric;
pub mod pair;
pub mod registry;
pub mod run;
pub mod run_parts;
pub mod search;
pub mod transfer;
pub mod webhook;

/// Active or deleted, as MLflow says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    /// In use.
    Active,
    /// Deleted, and restorable.
    Deleted,
}

impl Lifecycle {
    /// The word on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Lifecycle::Active => "active",
            Lifecycle::Deleted => "deleted",
        }
    }

    pub(crate) fn read(text: &str) -> Self {
        if text == "deleted" { Lifecycle::Deleted } else { Lifecycle::Active }
    }
}

/// A key and its text: a tag or a param.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}
