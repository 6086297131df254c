//! What was deleted long enough ago leaves for good.
//!
//! A run or logged model that a version of the registry came from stays: the version's lineage ends
//! in it.

use viaduct_base::Timestamp;

use crate::{Row, Scope, Statement, StoreError, Tx, statement};

/// A deleted thing whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeableRow {
    /// Its id.
    pub id: String,
    /// Where its artifacts are.
    pub artifact_uri: String,
    /// When it was deleted.
    pub deleted_at: Timestamp,
}

/// What can be purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purged {
    /// A run.
    Run,
    /// A logged model.
    LoggedModel,
    /// An experiment without runs and logged models.
    Experiment,
}

statement!(
    LIST_RUNS,
    scoped,
    "SELECT run_id AS id, artifact_uri, deleted_at FROM run \
     WHERE workspace_id = $1 AND lifecycle_stage = 'deleted' AND deleted_at <= $2 \
     AND run_id > $3 AND NOT EXISTS (SELECT 1 FROM model_version v \
     WHERE v.workspace_id = $1 AND v.run_id = run.run_id) ORDER BY run_id LIMIT $4"
);
statement!(
    LIST_LOGGED_MODELS,
    scoped,
    "SELECT model_id AS id, artifact_uri, deleted_at FROM logged_model \
     WHERE workspace_id = $1 AND deleted_at <= $2 AND model_id > $3 \
     AND NOT EXISTS (SELECT 1 FROM model_version v \
     WHERE v.workspace_id = $1 AND v.model_id = logged_model.model_id) ORDER BY model_id LIMIT $4"
);
// Why not 0: a server makes the default experiment again.
statement!(
    LIST_EXPERIMENTS,
    scoped,
    "SELECT experiment_id AS id, artifact_location AS artifact_uri, deleted_at FROM experiment e \
     WHERE workspace_id = $1 AND lifecycle_stage = 'deleted' AND deleted_at <= $2 \
     AND experiment_id > $3 AND experiment_id <> '0' \
     AND NOT EXISTS (SELECT 1 FROM run r WHERE r.experiment_id = e.experiment_id) \
     AND NOT EXISTS (SELECT 1 FROM logged_model m WHERE m.experiment_id = e.experiment_id) \
     ORDER BY experiment_id LIMIT $4"
);
statement!(DELETE_METRICS, scoped, "DELETE FROM metric WHERE workspace_id = $1 AND run_id = $2");
statement!(
    DELETE_CHUNKS,
    scoped,
    "DELETE FROM metric_chunk WHERE workspace_id = $1 AND run_id = $2"
);
statement!(
    DELETE_LATEST,
    scoped,
    "DELETE FROM latest_metric WHERE workspace_id = $1 AND run_id = $2"
);
statement!(DELETE_PARAMS, scoped, "DELETE FROM param WHERE workspace_id = $1 AND run_id = $2");
statement!(DELETE_TAGS, scoped, "DELETE FROM run_tag WHERE workspace_id = $1 AND run_id = $2");
statement!(DELETE_INPUTS, scoped, "DELETE FROM run_input WHERE workspace_id = $1 AND run_id = $2");
statement!(
    DELETE_RUN_MODELS,
    scoped,
    "DELETE FROM run_model WHERE workspace_id = $1 AND run_id = $2"
);
statement!(
    DELETE_METRICS_BY_RUN,
    scoped,
    "DELETE FROM logged_model_metric WHERE workspace_id = $1 AND run_id = $2"
);
statement!(
    DELETE_RUN,
    scoped,
    "DELETE FROM run WHERE workspace_id = $1 AND run_id = $2 AND lifecycle_stage = 'deleted'"
);
statement!(
    DELETE_MODEL_PAIRS,
    scoped,
    "DELETE FROM logged_model_pair WHERE workspace_id = $1 AND model_id = $2"
);
statement!(
    DELETE_MODEL_METRICS,
    scoped,
    "DELETE FROM logged_model_metric WHERE workspace_id = $1 AND model_id = $2"
);
statement!(
    DELETE_MODEL_USES,
    scoped,
    "DELETE FROM run_model WHERE workspace_id = $1 AND model_id = $2"
);
statement!(
    DELETE_LOGGED_MODEL,
    scoped,
    "DELETE FROM logged_model \
     WHERE workspace_id = $1 AND model_id = $2 AND deleted_at IS NOT NULL"
);
statement!(
    DELETE_EXPERIMENT_TAGS,
    scoped,
    "DELETE FROM experiment_tag WHERE workspace_id = $1 AND experiment_id = $2"
);
statement!(
    DELETE_EXPERIMENT,
    scoped,
    "DELETE FROM experiment \
     WHERE workspace_id = $1 AND experiment_id = $2 AND lifecycle_stage = 'deleted'"
);

impl Purged {
    fn texts(self) -> (&'static Statement, Vec<&'static Statement>) {
        match self {
            Purged::Run => (
                &LIST_RUNS,
                vec![
                    &DELETE_METRICS,
                    &DELETE_CHUNKS,
                    &DELETE_LATEST,
                    &DELETE_PARAMS,
                    &DELETE_TAGS,
                    &DELETE_INPUTS,
                    &DELETE_RUN_MODELS,
                    &DELETE_METRICS_BY_RUN,
                    &DELETE_RUN,
                ],
            ),
            Purged::LoggedModel => (
                &LIST_LOGGED_MODELS,
                vec![
                    &DELETE_MODEL_PAIRS,
                    &DELETE_MODEL_METRICS,
                    &DELETE_MODEL_USES,
                    &DELETE_LOGGED_MODEL,
                ],
            ),
            Purged::Experiment => {
                (&LIST_EXPERIMENTS, vec![&DELETE_EXPERIMENT_TAGS, &DELETE_EXPERIMENT])
            }
        }
    }
}

/// Things of a kind that were deleted at `before` or earlier, by id, after the id `after`.
pub fn list(
    tx: &mut Tx,
    scope: &Scope,
    (kind, before): (Purged, Timestamp),
    (after, limit): (&str, i64),
) -> Result<Vec<PurgeableRow>, StoreError> {
    let values = [scope.bind(), before.into(), after.into(), limit.into()];
    tx.query(kind.texts().0, &values)?.iter().map(read).collect()
}

/// Deletes every row of a thing.
pub fn delete(tx: &mut Tx, scope: &Scope, kind: Purged, id: &str) -> Result<(), StoreError> {
    for statement in kind.texts().1 {
        tx.execute(statement, &[scope.bind(), id.into()])?;
    }
    Ok(())
}

fn read(row: &Row) -> Result<PurgeableRow, StoreError> {
    Ok(PurgeableRow {
        id: row.text("id")?,
        artifact_uri: row.text("artifact_uri")?,
        deleted_at: row.time("deleted_at")?,
    })
}
