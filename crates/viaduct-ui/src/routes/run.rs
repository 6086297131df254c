//! One run's page.

use std::sync::Arc;

use serde_json::Value;
use viaduct_app::mlflow::{Holder, PageRequest, Pair, Query, RunInputRow, RunView};
use viaduct_base::Error;
use viaduct_domain::permission::Operation;

use super::Answered;
use super::answer::Answer;
use super::experiments::note;
use super::map::change::change;
use super::project::optional;
use super::runs::{sampled, took};
use super::visit::Visit;
use crate::chart::steps::{Line, Steps};
use crate::view::{ArtifactLine, Field, RunDataset, RunMetric, RunModel, RunPage, RunStatus};
use crate::{fmt, path};

/// Metrics that are drawn; each is one look at its history.
const CHARTS: usize = 24;
/// Changes, artifacts and models on the page.
const CHANGES: usize = 50;
const ARTIFACTS: usize = 1000;
const MODELS: usize = 20;
/// Tags that stand elsewhere on the page, or say nothing to people.
const ELSEWHERE: [&str; 9] = [
    "mlflow.runName",
    "mlflow.user",
    "mlflow.note.content",
    "mlflow.parentRunId",
    "mlflow.source.name",
    "mlflow.source.type",
    "mlflow.source.git.commit",
    "mlflow.source.git.repoURL",
    MODELS_TAG,
];
/// Where MLflow 2 says which models a run made.
const MODELS_TAG: &str = "mlflow.log-model.history";

/// The page.
pub(super) async fn show(visit: Arc<Visit>) -> Answered {
    let (app, caller) = (&visit.app, &visit.caller);
    let run = app.get_run(caller, visit.param("run")).await?;
    let id = run.row.run_id.clone();
    let experiment = optional(app.get_experiment(caller, &run.row.experiment_id).await)?;
    let folder = visit.asked("folder").trim_matches('/').to_owned();
    let (artifacts, artifact_problem) = artifacts(&visit, &id, &folder).await?;
    let changes = app.list_changes(caller, &format!("run:{id}"), (None, Some(CHANGES))).await?;
    let metrics = metrics(&visit, &run).await?;
    let tag = |key: &str| run.parts.tags.iter().find(|t| t.key == key).map(|t| t.value.clone());
    let source = [
        ("source", "mlflow.source.name"),
        ("commit", "mlflow.source.git.commit"),
        ("repository", "mlflow.source.git.repoURL"),
    ];
    let source = source.iter().filter_map(|(name, key)| Some(Field::new(*name, tag(key)?)));
    let tags = run.parts.tags.iter().filter(|tag| !ELSEWHERE.contains(&tag.key.as_str()));
    let field = |pair: &Pair| Field::new(&pair.key, &pair.value);
    let undrawn = metrics.len().saturating_sub(CHARTS);
    visit.page(&RunPage {
        shell: visit.shell(),
        experiment: experiment.map_or_else(|| run.row.experiment_id.clone(), |e| e.row.name),
        experiment_id: run.row.experiment_id.clone(),
        name: run.row.name.clone(),
        status: RunStatus(run.row.status.clone()),
        user: run.row.user_name.clone(),
        started_at: run.row.started_at,
        took: run.row.ended_at.map(|end| took(run.row.started_at, end)),
        deleted_at: run.row.deleted_at,
        kept_until: run.row.deleted_at.map(|at| at + app.tracking_retention()),
        note: note(&run.parts.tags),
        parent: tag("mlflow.parentRunId"),
        source: source.collect(),
        params: run.parts.params.iter().map(field).collect(),
        metrics,
        undrawn,
        tags: tags.map(field).collect(),
        datasets: run.parts.inputs.iter().map(dataset).collect(),
        models: models(&visit, &run).await?,
        folder,
        artifacts,
        artifact_problem,
        artifact_uri: run.row.artifact_uri.clone(),
        changes: changes.items.iter().map(change).collect(),
        may_write: visit.may(Operation::WriteTracking),
        id,
    })
}

async fn metrics(visit: &Visit, run: &RunView) -> Result<Vec<RunMetric>, Error> {
    let mut metrics = Vec::new();
    for (place, metric) in run.parts.metrics.iter().enumerate() {
        let mut history = None;
        if place < CHARTS {
            let lines = sampled(visit, vec![run.row.run_id.clone()], &metric.key).await?;
            let steps = lines.into_iter().next().map(|(_, steps)| steps).unwrap_or_default();
            history = (steps.len() > 1).then(|| Steps {
                label: format!("{} over the steps", metric.key),
                lines: vec![Line { name: metric.key.clone(), steps }],
            });
        }
        metrics.push(RunMetric {
            key: metric.key.clone(),
            value: metric.value,
            step: metric.step,
            at: metric.at,
            history,
        });
    }
    Ok(metrics)
}

type Shown = (Vec<ArtifactLine>, Option<String>);

/// The children of a folder. Why no error: a run is worth seeing while its artifacts are away.
async fn artifacts(visit: &Visit, id: &str, folder: &str) -> Result<Shown, Error> {
    let holder = Holder::Run(id.to_owned());
    let wanted = Some(folder).filter(|folder| !folder.is_empty());
    let listing = match visit.app.list_artifacts_of(&visit.caller, &holder, wanted).await {
        Ok(listing) => listing,
        Err(Error::Refused(refusal)) => return Ok((Vec::new(), Some(refusal.detail))),
        Err(Error::Fault(fault)) => {
            tracing::warn!(run = id, fault = %fault.chain(), "artifacts cannot be listed");
            let said = "The artifact store does not answer; try again in a moment.";
            return Ok((Vec::new(), Some(said.to_owned())));
        }
    };
    let line = |artifact: viaduct_app::mlflow::Artifact| ArtifactLine {
        name: artifact.path.rsplit('/').next().unwrap_or_default().to_owned(),
        href: if artifact.is_folder {
            path::run_folder(id, &artifact.path)
        } else {
            path::run_file(id, &artifact.path)
        },
        is_folder: artifact.is_folder,
        size: if artifact.is_folder { String::new() } else { fmt::bytes(artifact.bytes) },
    };
    Ok((listing.artifacts.into_iter().take(ARTIFACTS).map(line).collect(), None))
}

/// Text of an object's field.
fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// A dataset as its client described it.
pub(super) fn dataset(input: &RunInputRow) -> RunDataset {
    let said: Value = serde_json::from_str(&input.dataset_json).unwrap_or_default();
    let tags: Value = serde_json::from_str(&input.tags_json).unwrap_or_default();
    let source = text(&said, "source").map(|source| {
        // A source is a JSON text of its own that names a place, or a name as it is.
        let place: Value = serde_json::from_str(&source).unwrap_or_default();
        let named = ["uri", "url", "path", "table_name"].iter().find_map(|key| text(&place, key));
        named.unwrap_or_else(|| source.chars().take(200).collect())
    });
    RunDataset {
        name: input.name.clone(),
        digest: input.digest.clone(),
        context: text(&tags, "mlflow.data.context"),
        source: source.filter(|source| !source.is_empty()),
    }
}

/// Logged models of MLflow 3, those of MLflow 2, and versions of the registry.
async fn models(visit: &Visit, run: &RunView) -> Result<Vec<RunModel>, Error> {
    let id = &run.row.run_id;
    let mut models = Vec::new();
    for model in run.parts.models.iter().take(MODELS) {
        let found = visit.app.get_logged_model(&visit.caller, &model.model_id).await;
        models.push(RunModel {
            name: optional(found)?.map_or_else(|| "no longer kept".to_owned(), |m| m.row.name),
            role: if model.direction == "input" { "read" } else { "made" }.to_owned(),
            id: Some(model.model_id.clone()),
            href: None,
        });
    }
    let older = run.parts.tags.iter().find(|tag| tag.key == MODELS_TAG);
    let older: Value = older.and_then(|t| serde_json::from_str(&t.value).ok()).unwrap_or_default();
    for model in older.as_array().into_iter().flatten().take(MODELS) {
        let Some(folder) = text(model, "artifact_path") else { continue };
        let href = Some(path::run_folder(id, &folder));
        models.push(RunModel { name: folder, role: "made".to_owned(), id: None, href });
    }
    let page = PageRequest { max_results: Some(MODELS as i64), token: None };
    let query = Query { filter: format!("run_id = '{id}'"), order_by: Vec::new(), page };
    let versions = visit.app.search_model_versions(&visit.caller, query).await?;
    models.extend(versions.items.into_iter().map(|found| RunModel {
        href: Some(path::model(&found.row.name)),
        role: format!("version {}", found.row.version),
        name: found.row.name,
        id: None,
    }));
    Ok(models)
}

/// Restores a deleted run.
pub(super) async fn restore(visit: Arc<Visit>) -> Answered {
    let id = visit.param("run");
    visit.app.restore_run(&visit.caller, id).await?;
    Ok(Answer::done(path::run(id), "The run was restored."))
}
