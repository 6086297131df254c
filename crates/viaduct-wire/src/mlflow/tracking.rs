//! Experiments, runs, metrics, artifacts and logged models as answers.

use serde::{Serialize, Serializer};

use super::{KeyValue, double};

/// An experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Experiment {
    /// Its id: a number as text.
    pub experiment_id: String,
    /// Its name.
    pub name: String,
    /// Where artifacts of its runs go.
    pub artifact_location: String,
    /// `active` or `deleted`.
    pub lifecycle_stage: &'static str,
    /// Milliseconds.
    pub last_update_time: i64,
    /// Milliseconds.
    pub creation_time: i64,
    /// Tags by key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<KeyValue>,
}

/// A page of experiments.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExperimentPage {
    /// The page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub experiments: Vec<Experiment>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// What it is.
    pub info: RunInfo,
    /// What it logged.
    pub data: RunBody,
    /// What it read.
    pub inputs: RunInputs,
    /// What it made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<RunOutputs>,
}

/// What a run is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunInfo {
    /// Its id.
    pub run_id: String,
    /// The same, under the older name.
    pub run_uuid: String,
    /// Its name.
    pub run_name: String,
    /// Its experiment.
    pub experiment_id: String,
    /// Who started it.
    pub user_id: String,
    /// `RUNNING`, `FINISHED`, …
    pub status: String,
    /// Milliseconds.
    pub start_time: i64,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<i64>,
    /// Where its artifacts are.
    pub artifact_uri: String,
    /// `active` or `deleted`.
    pub lifecycle_stage: &'static str,
}

/// What a run logged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunBody {
    /// The latest point of each metric.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// Params by key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<KeyValue>,
    /// Tags by key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<KeyValue>,
}

/// What a run read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunInputs {
    /// Datasets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dataset_inputs: Vec<DatasetInput>,
    /// Logged models.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub model_inputs: Vec<ModelInput>,
}

/// What a run made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunOutputs {
    /// Logged models.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub model_outputs: Vec<ModelOutput>,
}

/// A dataset that a run read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatasetInput {
    /// Tags of this use, such as its context.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<KeyValue>,
    /// The dataset.
    pub dataset: Dataset,
}

/// A dataset as the client described it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dataset {
    /// Its name.
    pub name: String,
    /// Its digest.
    pub digest: String,
    /// What kind of source.
    pub source_type: String,
    /// Where it comes from, in the client's words.
    pub source: String,
    /// Its schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Its profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
}

/// A logged model that a run read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelInput {
    /// Its id.
    pub model_id: String,
}

/// A logged model that a run made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelOutput {
    /// Its id.
    pub model_id: String,
    /// At which step.
    pub step: i64,
}

/// A page of runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunPage {
    /// The page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<Run>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// A point of a metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    /// The metric's key.
    pub key: String,
    /// The value.
    #[serde(serialize_with = "double")]
    pub value: f64,
    /// Milliseconds.
    pub timestamp: i64,
    /// The step.
    pub step: i64,
}

/// Points of one metric in the order given, written where they lie.
#[derive(Debug, Clone, PartialEq)]
pub struct Series<'a> {
    /// The metric's key.
    pub key: &'a str,
    /// The run, where an answer holds several.
    pub run_id: Option<&'a str>,
    /// Time in milliseconds, step, value.
    pub points: Vec<(i64, i64, f64)>,
}

/// A metric's points, of one run or of several.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricPage<'a> {
    /// The page.
    #[serde(skip_serializing_if = "none_at_all", serialize_with = "all_points")]
    pub metrics: Vec<Series<'a>>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

fn none_at_all(series: &[Series<'_>]) -> bool {
    series.iter().all(|series| series.points.is_empty())
}

#[derive(Serialize)]
struct PointShown<'a> {
    key: &'a str,
    #[serde(serialize_with = "double")]
    value: f64,
    timestamp: i64,
    step: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<&'a str>,
}

fn all_points<S: Serializer>(all: &[Series<'_>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(all.iter().flat_map(|series| {
        series.points.iter().map(|(timestamp, step, value)| PointShown {
            key: series.key,
            value: *value,
            timestamp: *timestamp,
            step: *step,
            run_id: series.run_id,
        })
    }))
}

/// Datasets of experiments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatasetSummaries {
    /// Each once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dataset_summaries: Vec<DatasetSummary>,
}

/// A dataset in an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatasetSummary {
    /// The experiment.
    pub experiment_id: String,
    /// The dataset's name.
    pub name: String,
    /// Its digest.
    pub digest: String,
    /// What it was used for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

/// A point of a metric of a logged model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelMetric {
    /// The metric's key.
    pub key: String,
    /// The value.
    #[serde(serialize_with = "double")]
    pub value: f64,
    /// Milliseconds.
    pub timestamp: i64,
    /// The step.
    pub step: i64,
    /// The dataset that it was measured on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset_name: Option<String>,
    /// That dataset's digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset_digest: Option<String>,
    /// The model.
    pub model_id: String,
    /// The run that measured it.
    pub run_id: String,
}

/// A file or folder of artifacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Artifact {
    /// Relative to what was asked.
    pub path: String,
    /// A folder, or a file.
    pub is_dir: bool,
    /// Bytes of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_size: Option<u64>,
}

/// The children of a folder of artifacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArtifactPage {
    /// The URI of the root that paths are relative to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_uri: Option<String>,
    /// Children by path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Artifact>,
}

/// A logged model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoggedModel {
    /// What it is.
    pub info: LoggedModelInfo,
    /// What was logged with it.
    pub data: LoggedModelBody,
}

/// What a logged model is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoggedModelInfo {
    /// Its id.
    pub model_id: String,
    /// Its experiment.
    pub experiment_id: String,
    /// Its name.
    pub name: String,
    /// Milliseconds.
    pub creation_timestamp_ms: i64,
    /// Milliseconds.
    pub last_updated_timestamp_ms: i64,
    /// Where its files are.
    pub artifact_uri: String,
    /// `LOGGED_MODEL_PENDING`, `LOGGED_MODEL_READY`, …
    pub status: String,
    /// What kind of model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_type: Option<String>,
    /// The run that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_run_id: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_message: Option<String>,
    /// Tags by key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<KeyValue>,
}

/// What was logged with a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoggedModelBody {
    /// Params by key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<KeyValue>,
    /// What runs measured of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<ModelMetric>,
}

/// A page of logged models.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoggedModelPage {
    /// The page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<LoggedModel>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}
