//! Tracking and registry: MLflow's verbs.

mod location;
pub mod resolve;

pub use location::checked_path;
