//! Experiments: folders of runs.

use viaduct_base::Timestamp;

use super::Lifecycle;
use crate::{Question, Row, Scope, StoreError, Tx, Value, statement};

/// An experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentRow {
    /// MLflow's id: a number as text.
    pub experiment_id: String,
    /// Unique in the workspace, deleted ones included.
    pub name: String,
    /// Where artifacts of its runs go.
    pub artifact_location: String,
    /// Active or deleted.
    pub lifecycle: Lifecycle,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO experiment (experiment_id, workspace_id, name, artifact_location, \
     lifecycle_stage, created_at, updated_at, deleted_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
);
// Why platform-wide: ids are numbers that no two workspaces share.
statement!(
    NEXT_ID,
    platform,
    "SELECT COALESCE(MAX(CAST(experiment_id AS BIGINT)), -1) + 1 AS next FROM experiment"
);
statement!(FIND, scoped, "SELECT * FROM experiment WHERE workspace_id = $1 AND experiment_id = $2");
statement!(FIND_BY_NAME, scoped, "SELECT * FROM experiment WHERE workspace_id = $1 AND name = $2");
statement!(
    LIST,
    scoped,
    "SELECT * FROM experiment WHERE workspace_id = $1 \
     ORDER BY CAST(experiment_id AS BIGINT) DESC"
);
statement!(
    UPDATE,
    scoped,
    "UPDATE experiment SET name = $3, lifecycle_stage = $4, updated_at = $5, deleted_at = $6 \
     WHERE workspace_id = $1 AND experiment_id = $2"
);

/// Adds an experiment.
pub fn insert(tx: &mut Tx, scope: &Scope, row: &ExperimentRow) -> Result<(), StoreError> {
    let values = [
        (&row.experiment_id).into(),
        Value::text(scope.workspace),
        (&row.name).into(),
        (&row.artifact_location).into(),
        row.lifecycle.as_str().into(),
        row.created_at.into(),
        row.updated_at.into(),
        row.deleted_at.into(),
    ];
    tx.execute(&INSERT, &values).map(|_| ())
}

/// The id of the next experiment. Two makers at once: one loses on the primary key and runs again.
pub fn next_id(tx: &mut Tx) -> Result<String, StoreError> {
    let next = tx.query_one(&NEXT_ID, &[])?.map(|row| row.int("next")).transpose()?;
    Ok(next.unwrap_or(0).to_string())
}

/// The experiment with that id.
pub fn find(tx: &mut Tx, scope: &Scope, id: &str) -> Result<Option<ExperimentRow>, StoreError> {
    tx.ask(&finding(scope, id))?.first().map(read).transpose()
}

/// What [`find`] asks.
pub fn finding(scope: &Scope, id: &str) -> Question {
    Question::new(&FIND, [Value::text(scope.workspace), id.into()])
}

/// The experiment of that name, deleted ones included.
pub fn find_by_name(
    tx: &mut Tx,
    scope: &Scope,
    name: &str,
) -> Result<Option<ExperimentRow>, StoreError> {
    let values = [Value::text(scope.workspace), name.into()];
    tx.query_one(&FIND_BY_NAME, &values)?.as_ref().map(read).transpose()
}

/// Every experiment, newest first.
pub fn list(tx: &mut Tx, scope: &Scope) -> Result<Vec<ExperimentRow>, StoreError> {
    tx.query(&LIST, &[Value::text(scope.workspace)])?.iter().map(read).collect()
}

/// Writes name and lifecycle.
pub fn update(tx: &mut Tx, scope: &Scope, row: &ExperimentRow) -> Result<(), StoreError> {
    let values = [
        Value::text(scope.workspace),
        (&row.experiment_id).into(),
        (&row.name).into(),
        row.lifecycle.as_str().into(),
        row.updated_at.into(),
        row.deleted_at.into(),
    ];
    tx.execute(&UPDATE, &values).map(|_| ())
}

pub(super) fn read(row: &Row) -> Result<ExperimentRow, StoreError> {
    Ok(ExperimentRow {
        experiment_id: row.text("experiment_id")?,
        name: row.text("name")?,
        artifact_location: row.text("artifact_location")?,
        lifecycle: Lifecycle::read(&row.text("lifecycle_stage")?),
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        deleted_at: row.opt_time("deleted_at")?,
    })
}
