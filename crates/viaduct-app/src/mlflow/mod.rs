//! Tracking and registry: MLflow's verbs, under MLflow's own ids and words.
//!
//! Messages of refusals are MLflow's where its clients compare them. Nothing here knows JSON or
//! HTTP; the roof writes both.

mod alias;
mod artifact;
mod change;
mod dataset;
mod experiment;
mod filter;
mod gc;
mod limits;
mod location;
mod log;
mod logged_model;
mod model_version;
mod page;
pub mod parity;
mod registered_model;
pub mod resolve;
mod run;
mod run_input;
mod servable;
mod transfer;
mod undelete;
mod webhook;

pub use artifact::{Artifact, Bytewise, Download, Holder, Listing, Upload};
pub use experiment::{ExperimentView, NewExperiment};
pub use gc::{Collected, GcReport, GcRequest, Kept};
pub use limits::BATCH_BYTES_MAX;
pub use location::checked_path;
pub use log::{Batch, SampleQuery};
pub use logged_model::{LoggedModelQuery, LoggedModelView, NewLoggedModel, OrderBy};
pub use model_version::{NewVersion, VersionChange, VersionView};
pub use page::{Page, PageRequest, Query, View};
pub use registered_model::RegisteredModelView;
pub use run::{NewRun, RunChange, RunQuery, RunView};
pub use run_input::{DatasetUse, ModelOutput};
pub use transfer::{MAX_PARTS, SignedUrl};
pub(crate) use undelete::RetentionCell;
pub use viaduct_blob::{PartUpload, Signed};
pub use viaduct_store::mlflow::change::ChangeRow;
pub use viaduct_store::mlflow::dataset::DatasetSummary;
pub use viaduct_store::mlflow::experiment::ExperimentRow;
pub use viaduct_store::mlflow::logged_model::LoggedModelRow;
pub use viaduct_store::mlflow::metric::{MetricRow, Point};
pub use viaduct_store::mlflow::model_metric::ModelMetricRow;
pub use viaduct_store::mlflow::registry::{AliasRow, ModelRow, VersionRow};
pub use viaduct_store::mlflow::run::{RunInputRow, RunModelRow, RunRow};
pub use viaduct_store::mlflow::run_parts::RunParts;
pub use viaduct_store::mlflow::{Lifecycle, Pair};
pub(crate) use webhook::DeskCell;
pub use webhook::{
    Delivery, Desk, NewWebhook, Tested, Undelivered, WebhookChange, WebhookEvent, WebhookView,
};

use viaduct_base::{Error, Kind, Refusal};

/// The caller's input is at fault.
fn invalid(detail: impl Into<String>) -> Error {
    Refusal::new(Kind::InvalidInput, detail).into()
}

/// There is no such thing.
fn missing(detail: impl Into<String>) -> Error {
    Refusal::new(Kind::NotFound, detail).into()
}

/// The name is taken.
fn taken(detail: impl Into<String>) -> Error {
    Refusal::new(Kind::AlreadyExists, detail).into()
}
