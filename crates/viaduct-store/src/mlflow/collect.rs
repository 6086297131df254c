//! What was deleted long enough ago to be taken away for good, and what still refers to it.

use viaduct_base::Timestamp;

use super::experiment::{self, ExperimentRow};
use super::logged_model::{self, LoggedModelRow};
use super::run::{self, RunRow};
use crate::{Row, Scope, Statement, StoreError, Tx, statement};

statement!(
    LIST_RUNS,
    scoped,
    "SELECT * FROM run WHERE workspace_id = $1 AND lifecycle_stage = 'deleted' \
     AND deleted_at <= $2 ORDER BY deleted_at, run_id"
);
statement!(
    LIST_MODELS,
    scoped,
    "SELECT * FROM logged_model WHERE workspace_id = $1 AND (deleted_at <= $2 \
     OR experiment_id IN (SELECT experiment_id FROM experiment WHERE workspace_id = $1 \
     AND lifecycle_stage = 'deleted' AND deleted_at <= $2)) ORDER BY created_at, model_id"
);
statement!(
    LIST_EXPERIMENTS,
    scoped,
    "SELECT * FROM experiment WHERE workspace_id = $1 AND lifecycle_stage = 'deleted' \
     AND deleted_at <= $2 ORDER BY deleted_at, experiment_id"
);
statement!(
    VERSIONS_OF_RUN,
    scoped,
    "SELECT name, version FROM model_version WHERE workspace_id = $1 AND (run_id = $2 \
     OR model_id IN (SELECT model_id FROM logged_model WHERE source_run_id = $2) \
     OR (CAST($3 AS TEXT) <> '' AND (storage_path || '/') \
     LIKE (replace(CAST($3 AS TEXT), '_', '\\_') || '/%') ESCAPE '\\')) \
     ORDER BY name, version LIMIT 1"
);
statement!(
    VERSIONS_OF_MODEL,
    scoped,
    "SELECT name, version FROM model_version WHERE workspace_id = $1 AND (model_id = $2 \
     OR (CAST($3 AS TEXT) <> '' AND (storage_path || '/') \
     LIKE (replace(CAST($3 AS TEXT), '_', '\\_') || '/%') ESCAPE '\\')) \
     ORDER BY name, version LIMIT 1"
);
// Versions that are named although the registry has forgotten them: by a fact, or by an endpoint.
statement!(
    FORGOTTEN_VERSIONS,
    scoped,
    "SELECT named.id AS id FROM (SELECT DISTINCT subject_id AS id FROM fact \
     WHERE workspace_id = $1 AND subject_kind = 'model_version' \
     UNION SELECT model_name || '/' || CAST(version AS TEXT) AS id FROM binding \
     WHERE workspace_id = $1) AS named WHERE NOT EXISTS (SELECT 1 FROM model_version AS v \
     WHERE v.workspace_id = $1 AND v.name || '/' || CAST(v.version AS TEXT) = named.id) \
     ORDER BY named.id"
);
statement!(
    HOLD_RUN,
    scoped,
    "UPDATE run SET lifecycle_stage = 'deleted' WHERE workspace_id = $1 AND run_id = $2 \
     AND lifecycle_stage = 'deleted' AND deleted_at <= $3"
);
statement!(REMOVE_METRICS, scoped, "DELETE FROM metric WHERE workspace_id = $1 AND run_id = $2");
statement!(
    REMOVE_CHUNKS,
    scoped,
    "DELETE FROM metric_chunk WHERE workspace_id = $1 AND run_id = $2"
);
statement!(
    REMOVE_LATEST,
    scoped,
    "DELETE FROM latest_metric WHERE workspace_id = $1 AND run_id = $2"
);
statement!(REMOVE_PARAMS, scoped, "DELETE FROM param WHERE workspace_id = $1 AND run_id = $2");
statement!(REMOVE_TAGS, scoped, "DELETE FROM run_tag WHERE workspace_id = $1 AND run_id = $2");
statement!(REMOVE_INPUTS, scoped, "DELETE FROM run_input WHERE workspace_id = $1 AND run_id = $2");
statement!(
    REMOVE_RUN_MODELS,
    scoped,
    "DELETE FROM run_model WHERE workspace_id = $1 AND run_id = $2"
);
statement!(
    REMOVE_RUN_MODEL_METRICS,
    scoped,
    "DELETE FROM logged_model_metric WHERE workspace_id = $1 AND run_id = $2"
);
statement!(REMOVE_RUN, scoped, "DELETE FROM run WHERE workspace_id = $1 AND run_id = $2");
statement!(
    REMOVE_PAIRS,
    scoped,
    "DELETE FROM logged_model_pair WHERE workspace_id = $1 AND model_id = $2"
);
statement!(
    REMOVE_MODEL_METRICS,
    scoped,
    "DELETE FROM logged_model_metric WHERE workspace_id = $1 AND model_id = $2"
);
statement!(
    REMOVE_MODEL,
    scoped,
    "DELETE FROM logged_model WHERE workspace_id = $1 AND model_id = $2"
);
statement!(
    COUNT_WITHIN,
    scoped,
    "SELECT (SELECT COUNT(*) FROM run WHERE workspace_id = $1 AND experiment_id = $2) \
     + (SELECT COUNT(*) FROM logged_model WHERE workspace_id = $1 AND experiment_id = $2) AS n"
);
statement!(
    REMOVE_EXPERIMENT_TAGS,
    scoped,
    "DELETE FROM experiment_tag WHERE workspace_id = $1 AND experiment_id = $2"
);
statement!(
    REMOVE_EXPERIMENT,
    scoped,
    "DELETE FROM experiment WHERE workspace_id = $1 AND experiment_id = $2 \
     AND lifecycle_stage = 'deleted' AND deleted_at <= $3"
);

/// Runs deleted at that moment or before, oldest first.
pub fn list_runs(tx: &mut Tx, scope: &Scope, by: Timestamp) -> Result<Vec<RunRow>, StoreError> {
    tx.query(&LIST_RUNS, &[scope.bind(), by.into()])?.iter().map(run::read).collect()
}

/// Logged models deleted by then, and those of experiments deleted by then.
pub fn list_models(
    tx: &mut Tx,
    scope: &Scope,
    by: Timestamp,
) -> Result<Vec<LoggedModelRow>, StoreError> {
    tx.query(&LIST_MODELS, &[scope.bind(), by.into()])?.iter().map(logged_model::read).collect()
}

/// Experiments deleted by then, oldest first.
pub fn list_experiments(
    tx: &mut Tx,
    scope: &Scope,
    by: Timestamp,
) -> Result<Vec<ExperimentRow>, StoreError> {
    tx.query(&LIST_EXPERIMENTS, &[scope.bind(), by.into()])?.iter().map(experiment::read).collect()
}

/// A version that comes from a run, from a logged model of it, or from its folder of artifacts;
/// as `name/version`. An empty `folder` is none.
pub fn version_of_run(
    tx: &mut Tx,
    scope: &Scope,
    (run_id, folder): (&str, &str),
) -> Result<Option<String>, StoreError> {
    let values = [scope.bind(), run_id.into(), folder.into()];
    tx.query_one(&VERSIONS_OF_RUN, &values)?.as_ref().map(named).transpose()
}

/// A version that comes from a logged model, or from its folder of artifacts.
pub fn version_of_model(
    tx: &mut Tx,
    scope: &Scope,
    (model_id, folder): (&str, &str),
) -> Result<Option<String>, StoreError> {
    let values = [scope.bind(), model_id.into(), folder.into()];
    tx.query_one(&VERSIONS_OF_MODEL, &values)?.as_ref().map(named).transpose()
}

/// Versions, as `name/version`, that a fact or an endpoint names and the registry no longer has.
pub fn forgotten_versions(tx: &mut Tx, scope: &Scope) -> Result<Vec<String>, StoreError> {
    tx.query(&FORGOTTEN_VERSIONS, &[scope.bind()])?.iter().map(|row| row.text("id")).collect()
}

/// Keeps a run from being restored until the transaction ends; `false` when it is no longer one
/// that was deleted by then.
pub fn hold_run(
    tx: &mut Tx,
    scope: &Scope,
    run_id: &str,
    by: Timestamp,
) -> Result<bool, StoreError> {
    tx.execute(&HOLD_RUN, &[scope.bind(), run_id.into(), by.into()]).map(|rows| rows == 1)
}

/// Removes a run with all that hangs on it.
pub fn remove_run(tx: &mut Tx, scope: &Scope, run_id: &str) -> Result<(), StoreError> {
    const PARTS: [&Statement; 9] = [
        &REMOVE_METRICS,
        &REMOVE_CHUNKS,
        &REMOVE_LATEST,
        &REMOVE_PARAMS,
        &REMOVE_TAGS,
        &REMOVE_INPUTS,
        &REMOVE_RUN_MODELS,
        &REMOVE_RUN_MODEL_METRICS,
        &REMOVE_RUN,
    ];
    remove(tx, scope, (&PARTS, run_id))
}

/// Removes a logged model with all that hangs on it.
pub fn remove_model(tx: &mut Tx, scope: &Scope, model_id: &str) -> Result<(), StoreError> {
    const PARTS: [&Statement; 3] = [&REMOVE_PAIRS, &REMOVE_MODEL_METRICS, &REMOVE_MODEL];
    remove(tx, scope, (&PARTS, model_id))
}

fn remove(
    tx: &mut Tx,
    scope: &Scope,
    (parts, id): (&[&Statement], &str),
) -> Result<(), StoreError> {
    parts.iter().try_for_each(|part| tx.execute(part, &[scope.bind(), id.into()]).map(|_| ()))
}

/// Removes an experiment deleted by then, if nothing is in it any more; `false` when it stays.
pub fn remove_experiment(
    tx: &mut Tx,
    scope: &Scope,
    id: &str,
    by: Timestamp,
) -> Result<bool, StoreError> {
    let within = tx.query_one(&COUNT_WITHIN, &[scope.bind(), id.into()])?;
    if within.map(|row| row.int("n")).transpose()? != Some(0) {
        return Ok(false);
    }
    tx.execute(&REMOVE_EXPERIMENT_TAGS, &[scope.bind(), id.into()])?;
    tx.execute(&REMOVE_EXPERIMENT, &[scope.bind(), id.into(), by.into()]).map(|rows| rows == 1)
}

fn named(row: &Row) -> Result<String, StoreError> {
    Ok(format!("{}/{}", row.text("name")?, row.int("version")?))
}
