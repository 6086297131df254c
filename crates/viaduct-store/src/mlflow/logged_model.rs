//! Logged models (MLflow 3): a model that a run made, before and beside the registry.

use viaduct_base::Timestamp;

use super::{Pair, many};
use crate::{Row, Scope, StoreError, Tx, Value, statement};

/// A logged model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedModelRow {
    /// MLflow's id: `m-` and 32 hex digits.
    pub model_id: String,
    /// Its experiment.
    pub experiment_id: String,
    /// Its name.
    pub name: String,
    /// Where its files are.
    pub artifact_uri: String,
    /// `LOGGED_MODEL_PENDING`, `LOGGED_MODEL_READY`, `LOGGED_MODEL_UPLOAD_FAILED`.
    pub status: String,
    /// Why it failed.
    pub status_message: Option<String>,
    /// What kind of model, as the client said.
    pub model_type: Option<String>,
    /// The run that made it.
    pub source_run_id: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

/// Which pairs of a logged model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairKind {
    /// Written once, at creation.
    Param,
    /// Changeable.
    Tag,
}

impl PairKind {
    fn as_str(self) -> &'static str {
        match self {
            PairKind::Param => "param",
            PairKind::Tag => "tag",
        }
    }
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO logged_model (model_id, workspace_id, experiment_id, name, artifact_uri, status, \
     status_message, model_type, source_run_id, created_at, updated_at, deleted_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
);
statement!(
    FIND,
    scoped,
    "SELECT * FROM logged_model WHERE workspace_id = $1 AND model_id = $2 AND deleted_at IS NULL"
);
statement!(
    LIST,
    scoped,
    "SELECT * FROM logged_model WHERE workspace_id = $1 AND experiment_id = $2 \
     AND deleted_at IS NULL ORDER BY created_at DESC, model_id"
);
statement!(
    LIST_BY_RUN,
    scoped,
    "SELECT * FROM logged_model WHERE workspace_id = $1 AND source_run_id = $2 \
     AND deleted_at IS NULL ORDER BY created_at DESC, model_id"
);
statement!(
    UPDATE,
    scoped,
    "UPDATE logged_model SET status = $3, status_message = $4, updated_at = $5, deleted_at = $6 \
     WHERE workspace_id = $1 AND model_id = $2"
);
statement!(
    SET_PAIR,
    scoped,
    "INSERT INTO logged_model_pair (model_id, workspace_id, kind, key, value) \
     VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (model_id, kind, key) DO UPDATE SET value = excluded.value"
);
statement!(
    DELETE_PAIR,
    scoped,
    "DELETE FROM logged_model_pair \
     WHERE workspace_id = $1 AND model_id = $2 AND kind = $3 AND key = $4"
);
statement!(
    LIST_PAIRS,
    scoped,
    "SELECT key, value FROM logged_model_pair \
     WHERE workspace_id = $1 AND model_id = $2 AND kind = $3 ORDER BY key"
);

/// Adds a logged model.
pub fn insert(tx: &mut Tx, scope: &Scope, row: &LoggedModelRow) -> Result<(), StoreError> {
    let values = [
        (&row.model_id).into(),
        Value::text(scope.workspace),
        (&row.experiment_id).into(),
        (&row.name).into(),
        (&row.artifact_uri).into(),
        (&row.status).into(),
        Value::opt_text(row.status_message.as_ref()),
        Value::opt_text(row.model_type.as_ref()),
        Value::opt_text(row.source_run_id.as_ref()),
        row.created_at.into(),
        row.updated_at.into(),
        row.deleted_at.into(),
    ];
    tx.execute(&INSERT, &values).map(|_| ())
}

/// The logged model with that id, unless deleted.
pub fn find(tx: &mut Tx, scope: &Scope, id: &str) -> Result<Option<LoggedModelRow>, StoreError> {
    let values = [Value::text(scope.workspace), id.into()];
    tx.query_one(&FIND, &values)?.as_ref().map(read).transpose()
}

/// An experiment's logged models, newest first.
pub fn list(
    tx: &mut Tx,
    scope: &Scope,
    experiment_id: &str,
) -> Result<Vec<LoggedModelRow>, StoreError> {
    let values = [Value::text(scope.workspace), experiment_id.into()];
    tx.query(&LIST, &values)?.iter().map(read).collect()
}

/// The logged models that a run made, newest first.
pub fn list_by_run(
    tx: &mut Tx,
    scope: &Scope,
    run_id: &str,
) -> Result<Vec<LoggedModelRow>, StoreError> {
    let values = [Value::text(scope.workspace), run_id.into()];
    tx.query(&LIST_BY_RUN, &values)?.iter().map(read).collect()
}

/// Writes status and deletion.
pub fn update(tx: &mut Tx, scope: &Scope, row: &LoggedModelRow) -> Result<(), StoreError> {
    let values = [
        Value::text(scope.workspace),
        (&row.model_id).into(),
        (&row.status).into(),
        Value::opt_text(row.status_message.as_ref()),
        row.updated_at.into(),
        row.deleted_at.into(),
    ];
    tx.execute(&UPDATE, &values).map(|_| ())
}

/// Sets a param or tag.
pub fn set_pair(
    tx: &mut Tx,
    scope: &Scope,
    (model_id, kind): (&str, PairKind),
    pair: &Pair,
) -> Result<(), StoreError> {
    let values = [
        model_id.into(),
        Value::text(scope.workspace),
        kind.as_str().into(),
        (&pair.key).into(),
        (&pair.value).into(),
    ];
    tx.execute(&SET_PAIR, &values).map(|_| ())
}

/// Deletes a param or tag; true when there was one.
pub fn delete_pair(
    tx: &mut Tx,
    scope: &Scope,
    (model_id, kind): (&str, PairKind),
    key: &str,
) -> Result<bool, StoreError> {
    let workspace = Value::text(scope.workspace);
    let values = [workspace, model_id.into(), kind.as_str().into(), key.into()];
    Ok(tx.execute(&DELETE_PAIR, &values)? > 0)
}

/// All params or tags by key.
pub fn list_pairs(
    tx: &mut Tx,
    scope: &Scope,
    (model_id, kind): (&str, PairKind),
) -> Result<Vec<Pair>, StoreError> {
    let values = [Value::text(scope.workspace), model_id.into(), kind.as_str().into()];
    let read = |row: &Row| Ok(Pair { key: row.text("key")?, value: row.text("value")? });
    tx.query(&LIST_PAIRS, &values)?.iter().map(read).collect()
}

/// The params, or the tags, of many logged models, in the order of `ids`.
pub fn pairs_of_models(
    tx: &mut Tx,
    scope: &Scope,
    kind: PairKind,
    ids: &[String],
) -> Result<Vec<Vec<Pair>>, StoreError> {
    let only = match kind {
        PairKind::Param => " AND kind = 'param'",
        PairKind::Tag => " AND kind = 'tag'",
    };
    many::pairs(tx, scope, ("logged_model_pair", "model_id", only), ids)
}

pub(super) fn read(row: &Row) -> Result<LoggedModelRow, StoreError> {
    Ok(LoggedModelRow {
        model_id: row.text("model_id")?,
        experiment_id: row.text("experiment_id")?,
        name: row.text("name")?,
        artifact_uri: row.text("artifact_uri")?,
        status: row.text("status")?,
        status_message: row.opt_text("status_message")?,
        model_type: row.opt_text("model_type")?,
        source_run_id: row.opt_text("source_run_id")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        deleted_at: row.opt_time("deleted_at")?,
    })
}
