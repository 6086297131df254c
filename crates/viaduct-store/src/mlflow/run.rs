//! Runs, and what they read and made.

use viaduct_base::Timestamp;

use super::Lifecycle;
use crate::{Cells, Question, Row, Scope, StoreError, Tx, Value, statement};

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// MLflow's id: 32 hex digits.
    pub run_id: String,
    /// Its experiment.
    pub experiment_id: String,
    /// Its name.
    pub name: String,
    /// Who started it, as the client said.
    pub user_name: String,
    /// `RUNNING`, `SCHEDULED`, `FINISHED`, `FAILED`, `KILLED`.
    pub status: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Active or deleted.
    pub lifecycle: Lifecycle,
    /// Where its artifacts are.
    pub artifact_uri: String,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

/// A dataset that a run read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunInputRow {
    /// The dataset's name.
    pub name: String,
    /// Its digest.
    pub digest: String,
    /// The whole description, as JSON.
    pub dataset_json: String,
    /// The input's tags, as JSON.
    pub tags_json: String,
}

/// A model that a run read or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunModelRow {
    /// The logged model.
    pub model_id: String,
    /// `input` or `output`.
    pub direction: String,
    /// The step.
    pub step: i64,
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO run (run_id, workspace_id, experiment_id, name, user_name, status, started_at, \
     ended_at, lifecycle_stage, artifact_uri, deleted_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
);
statement!(FIND, scoped, "SELECT * FROM run WHERE workspace_id = $1 AND run_id = $2");
statement!(
    LIST,
    scoped,
    "SELECT * FROM run WHERE workspace_id = $1 AND experiment_id = $2 \
     ORDER BY started_at DESC, run_id"
);
statement!(
    UPDATE,
    scoped,
    "UPDATE run SET name = $3, status = $4, started_at = $5, ended_at = $6, \
     lifecycle_stage = $7, deleted_at = $8 WHERE workspace_id = $1 AND run_id = $2"
);
statement!(
    UPDATE_LIFECYCLE_OF_EXPERIMENT,
    scoped,
    "UPDATE run SET lifecycle_stage = $3, deleted_at = $4 \
     WHERE workspace_id = $1 AND experiment_id = $2"
);
statement!(
    INSERT_INPUT,
    scoped,
    "INSERT INTO run_input (run_id, workspace_id, position, name, digest, dataset_json, tags_json, \
     context) \
     VALUES ($1, $2, (SELECT COUNT(*) FROM run_input WHERE run_id = $1), $3, $4, $5, $6, $7) \
     ON CONFLICT (run_id, name, digest) DO NOTHING"
);
statement!(
    LIST_INPUTS,
    scoped,
    "SELECT * FROM run_input WHERE workspace_id = $1 AND run_id = $2 ORDER BY position"
);
statement!(
    INSERT_MODEL,
    scoped,
    "INSERT INTO run_model (run_id, workspace_id, model_id, direction, step) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (run_id, direction, model_id) DO NOTHING"
);
statement!(
    LIST_MODELS,
    scoped,
    "SELECT * FROM run_model WHERE workspace_id = $1 AND run_id = $2 ORDER BY model_id"
);

/// Adds a run.
pub fn insert(tx: &mut Tx, scope: &Scope, row: &RunRow) -> Result<(), StoreError> {
    let values = [
        (&row.run_id).into(),
        Value::text(scope.workspace),
        (&row.experiment_id).into(),
        (&row.name).into(),
        (&row.user_name).into(),
        (&row.status).into(),
        row.started_at.into(),
        row.ended_at.into(),
        row.lifecycle.as_str().into(),
        (&row.artifact_uri).into(),
        row.deleted_at.into(),
    ];
    tx.defer(&INSERT, &values)
}

/// The run with that id.
pub fn find(tx: &mut Tx, scope: &Scope, id: &str) -> Result<Option<RunRow>, StoreError> {
    tx.ask(&finding(scope, id))?.first().map(read).transpose()
}

/// What [`find`] asks.
pub fn finding(scope: &Scope, id: &str) -> Question {
    Question::new(&FIND, [Value::text(scope.workspace), id.into()])
}

/// Every run of an experiment, latest start first.
pub fn list(tx: &mut Tx, scope: &Scope, experiment_id: &str) -> Result<Vec<RunRow>, StoreError> {
    let values = [Value::text(scope.workspace), experiment_id.into()];
    tx.query(&LIST, &values)?.iter().map(read).collect()
}

/// Writes what can change of a run.
pub fn update(tx: &mut Tx, scope: &Scope, row: &RunRow) -> Result<(), StoreError> {
    let values = [
        Value::text(scope.workspace),
        (&row.run_id).into(),
        (&row.name).into(),
        (&row.status).into(),
        row.started_at.into(),
        row.ended_at.into(),
        row.lifecycle.as_str().into(),
        row.deleted_at.into(),
    ];
    tx.defer(&UPDATE, &values)
}

/// Deletes (at a moment) or restores every run of an experiment.
pub fn update_lifecycle_of_experiment(
    tx: &mut Tx,
    scope: &Scope,
    experiment_id: &str,
    deleted_at: Option<Timestamp>,
) -> Result<(), StoreError> {
    let lifecycle = if deleted_at.is_some() { Lifecycle::Deleted } else { Lifecycle::Active };
    let values = [
        Value::text(scope.workspace),
        experiment_id.into(),
        lifecycle.as_str().into(),
        deleted_at.into(),
    ];
    tx.execute(&UPDATE_LIFECYCLE_OF_EXPERIMENT, &values).map(|_| ())
}

/// Notes a dataset that the run read; the same one twice is one.
pub fn insert_input(
    tx: &mut Tx,
    scope: &Scope,
    run_id: &str,
    row: &RunInputRow,
) -> Result<(), StoreError> {
    let values = [
        run_id.into(),
        Value::text(scope.workspace),
        (&row.name).into(),
        (&row.digest).into(),
        (&row.dataset_json).into(),
        (&row.tags_json).into(),
        context(&row.tags_json).into(),
    ];
    tx.defer(&INSERT_INPUT, &values)
}

/// What a run used a dataset for: a tag, kept beside the others so that it can be searched.
fn context(tags_json: &str) -> Option<String> {
    let tags: serde_json::Value = serde_json::from_str(tags_json).ok()?;
    tags.get("mlflow.data.context")?.as_str().map(str::to_owned)
}

/// The datasets that a run read, in the order in which they were noted.
pub fn list_inputs(
    tx: &mut Tx,
    scope: &Scope,
    run_id: &str,
) -> Result<Vec<RunInputRow>, StoreError> {
    let values = [Value::text(scope.workspace), run_id.into()];
    tx.query(&LIST_INPUTS, &values)?.iter().map(read_input).collect()
}

/// Notes a model that the run read or made.
pub fn insert_model(
    tx: &mut Tx,
    scope: &Scope,
    run_id: &str,
    row: &RunModelRow,
) -> Result<(), StoreError> {
    let values = [
        run_id.into(),
        Value::text(scope.workspace),
        (&row.model_id).into(),
        (&row.direction).into(),
        row.step.into(),
    ];
    tx.defer(&INSERT_MODEL, &values)
}

/// The models that a run read or made.
pub fn list_models(
    tx: &mut Tx,
    scope: &Scope,
    run_id: &str,
) -> Result<Vec<RunModelRow>, StoreError> {
    let values = [Value::text(scope.workspace), run_id.into()];
    tx.query(&LIST_MODELS, &values)?.iter().map(read_model).collect()
}

pub(super) fn read(row: &Row) -> Result<RunRow, StoreError> {
    Ok(RunRow {
        run_id: row.text("run_id")?,
        experiment_id: row.text("experiment_id")?,
        name: row.text("name")?,
        user_name: row.text("user_name")?,
        status: row.text("status")?,
        started_at: row.time("started_at")?,
        ended_at: row.opt_time("ended_at")?,
        lifecycle: Lifecycle::read(&row.text("lifecycle_stage")?),
        artifact_uri: row.text("artifact_uri")?,
        deleted_at: row.opt_time("deleted_at")?,
    })
}

/// The columns that [`at`] reads.
pub(super) const COLUMNS: &str = "run.run_id, run.experiment_id, run.name, run.user_name, \
     run.status, run.started_at, run.ended_at, run.lifecycle_stage, run.artifact_uri, \
     run.deleted_at";

/// The run in a row of [`COLUMNS`].
pub(super) fn at(cells: &dyn Cells) -> Result<RunRow, StoreError> {
    let text = |at| cells.text(at).map(|text| text.unwrap_or_default().to_owned());
    let moment = |at| cells.int(at).map(|micros| micros.map(Timestamp::from_micros));
    Ok(RunRow {
        run_id: text(0)?,
        experiment_id: text(1)?,
        name: text(2)?,
        user_name: text(3)?,
        status: text(4)?,
        started_at: moment(5)?.unwrap_or(Timestamp::from_micros(0)),
        ended_at: moment(6)?,
        lifecycle: Lifecycle::read(cells.text(7)?.unwrap_or_default()),
        artifact_uri: text(8)?,
        deleted_at: moment(9)?,
    })
}

fn read_input(row: &Row) -> Result<RunInputRow, StoreError> {
    Ok(RunInputRow {
        name: row.text("name")?,
        digest: row.text("digest")?,
        dataset_json: row.text("dataset_json")?,
        tags_json: row.text("tags_json")?,
    })
}

fn read_model(row: &Row) -> Result<RunModelRow, StoreError> {
    Ok(RunModelRow {
        model_id: row.text("model_id")?,
        direction: row.text("direction")?,
        step: row.int("step")?,
    })
}
