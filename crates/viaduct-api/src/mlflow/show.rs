//! What the application knows, as MLflow's JSON says it.

use serde_json::Value;
use viaduct_app::mlflow::{
    Artifact, ExperimentView, LoggedModelView, MetricRow, ModelMetricRow, Page, Pair, Point,
    RegisteredModelView, RunInputRow, RunRow, RunView, VersionView,
};
use viaduct_base::Timestamp;
use viaduct_wire::mlflow as wire;

fn millis(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(1000)
}

fn pairs(pairs: Vec<Pair>) -> Vec<wire::KeyValue> {
    let show = |pair: Pair| wire::KeyValue { key: pair.key, value: pair.value };
    pairs.into_iter().map(show).collect()
}

/// A page's items, shown one by one, and the next page's token.
pub(super) fn page<T, U>(page: Page<T>, show: impl Fn(T) -> U) -> (Vec<U>, Option<String>) {
    (page.items.into_iter().map(show).collect(), page.next)
}

pub(super) fn experiment(seen: ExperimentView) -> wire::Experiment {
    let row = seen.row;
    wire::Experiment {
        experiment_id: row.experiment_id,
        name: row.name,
        artifact_location: row.artifact_location,
        lifecycle_stage: row.lifecycle.as_str(),
        last_update_time: millis(row.updated_at),
        creation_time: millis(row.created_at),
        tags: pairs(seen.tags),
    }
}

pub(super) fn run_info(row: RunRow) -> wire::RunInfo {
    wire::RunInfo {
        run_uuid: row.run_id.clone(),
        run_id: row.run_id,
        run_name: row.name,
        experiment_id: row.experiment_id,
        user_id: row.user_name,
        status: row.status,
        start_time: millis(row.started_at),
        end_time: row.ended_at.map(millis),
        artifact_uri: row.artifact_uri,
        lifecycle_stage: row.lifecycle.as_str(),
    }
}

pub(super) fn run(seen: RunView) -> wire::Run {
    let parts = seen.parts;
    let (inputs, outputs): (Vec<_>, Vec<_>) =
        parts.models.into_iter().partition(|model| model.direction == "input");
    let model_inputs =
        inputs.into_iter().map(|m| wire::ModelInput { model_id: m.model_id }).collect();
    let model_outputs: Vec<wire::ModelOutput> = outputs
        .into_iter()
        .map(|m| wire::ModelOutput { model_id: m.model_id, step: m.step })
        .collect();
    wire::Run {
        info: run_info(seen.row),
        data: wire::RunBody {
            metrics: parts.metrics.into_iter().map(metric).collect(),
            params: pairs(parts.params),
            tags: pairs(parts.tags),
        },
        inputs: wire::RunInputs {
            dataset_inputs: parts.inputs.iter().map(dataset_input).collect(),
            model_inputs,
        },
        outputs: (!model_outputs.is_empty()).then_some(wire::RunOutputs { model_outputs }),
    }
}

pub(super) fn metric(row: MetricRow) -> wire::Metric {
    wire::Metric { timestamp: millis(row.at), key: row.key, value: row.value, step: row.step }
}

/// The dataset as it was described; what is not text in it was never sent by a client.
fn dataset_input(row: &RunInputRow) -> wire::DatasetInput {
    let described: Value = serde_json::from_str(&row.dataset_json).unwrap_or_default();
    let tags: Value = serde_json::from_str(&row.tags_json).unwrap_or_default();
    let text = |name: &str| described.get(name).and_then(Value::as_str).map(str::to_owned);
    let tags = tags.as_object().into_iter().flatten().map(|(key, value)| wire::KeyValue {
        key: key.clone(),
        value: value.as_str().unwrap_or_default().to_owned(),
    });
    wire::DatasetInput {
        tags: tags.collect(),
        dataset: wire::Dataset {
            name: row.name.clone(),
            digest: row.digest.clone(),
            source_type: text("source_type").unwrap_or_default(),
            source: text("source").unwrap_or_default(),
            schema: text("schema"),
            profile: text("profile"),
        },
    }
}

pub(super) fn artifact(artifact: Artifact) -> wire::Artifact {
    wire::Artifact {
        path: artifact.path,
        is_dir: artifact.is_folder,
        file_size: (!artifact.is_folder).then_some(artifact.bytes),
    }
}

pub(super) fn logged_model(seen: LoggedModelView) -> wire::LoggedModel {
    let row = seen.row;
    wire::LoggedModel {
        info: wire::LoggedModelInfo {
            model_id: row.model_id,
            experiment_id: row.experiment_id,
            name: row.name,
            creation_timestamp_ms: millis(row.created_at),
            last_updated_timestamp_ms: millis(row.updated_at),
            artifact_uri: row.artifact_uri,
            status: row.status,
            model_type: row.model_type,
            source_run_id: row.source_run_id,
            status_message: row.status_message,
            tags: pairs(seen.tags),
        },
        data: wire::LoggedModelBody {
            params: pairs(seen.params),
            metrics: seen.metrics.into_iter().map(model_metric).collect(),
        },
    }
}

fn model_metric(row: ModelMetricRow) -> wire::ModelMetric {
    wire::ModelMetric {
        key: row.metric.key,
        value: row.metric.value,
        timestamp: millis(row.metric.at),
        step: row.metric.step,
        dataset_name: row.dataset_name,
        dataset_digest: row.dataset_digest,
        model_id: row.model_id,
        run_id: row.run_id,
    }
}

/// Points as they travel: milliseconds.
pub(super) fn points(points: Vec<Point>) -> Vec<(i64, i64, f64)> {
    let show = |point: Point| (point.at.div_euclid(1000), point.step, point.value);
    points.into_iter().map(show).collect()
}

pub(super) fn version(seen: VersionView) -> wire::ModelVersion {
    let row = seen.row;
    wire::ModelVersion {
        name: row.name,
        version: row.version.to_string(),
        creation_timestamp: millis(row.created_at),
        last_updated_timestamp: millis(row.updated_at),
        user_id: Some(row.user_name).filter(|name| !name.is_empty()),
        current_stage: row.current_stage,
        description: row.description,
        source: row.source,
        run_id: row.run_id,
        status: row.status,
        status_message: row.status_message,
        tags: pairs(seen.tags),
        run_link: row.run_link,
        aliases: seen.aliases,
        model_id: row.model_id,
    }
}

pub(super) fn registered_model(seen: RegisteredModelView) -> wire::RegisteredModel {
    let row = seen.row;
    let alias = |row: viaduct_app::mlflow::AliasRow| wire::Alias {
        alias: row.alias,
        version: row.version.to_string(),
    };
    wire::RegisteredModel {
        name: row.name,
        creation_timestamp: millis(row.created_at),
        last_updated_timestamp: millis(row.updated_at),
        description: row.description,
        latest_versions: seen.latest_versions.into_iter().map(version).collect(),
        tags: pairs(seen.tags),
        aliases: seen.aliases.into_iter().map(alias).collect(),
    }
}
