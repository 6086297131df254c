//! What only imports and exports ask: deleted ones are things too, and numbers that were given.

use super::logged_model::LoggedModelRow;
use super::registry::ModelRow;
use crate::{Row, Scope, StoreError, Tx, statement};

statement!(
    HAS_LOGGED_MODEL,
    scoped,
    "SELECT model_id FROM logged_model WHERE workspace_id = $1 AND model_id = $2"
);
statement!(
    LIST_LOGGED_MODELS,
    scoped,
    "SELECT * FROM logged_model WHERE workspace_id = $1 ORDER BY model_id"
);
statement!(
    LIST_REGISTERED_MODELS,
    scoped,
    "SELECT * FROM registered_model WHERE workspace_id = $1 ORDER BY name"
);
statement!(
    RAISE_NEXT_VERSION,
    scoped,
    "UPDATE registered_model SET next_version = $3 \
     WHERE workspace_id = $1 AND name = $2 AND next_version < $3"
);

/// Whether there is a logged model of that id, deleted or not.
pub fn has_logged_model(tx: &mut Tx, scope: &Scope, id: &str) -> Result<bool, StoreError> {
    Ok(tx.query_one(&HAS_LOGGED_MODEL, &[scope.bind(), id.into()])?.is_some())
}

/// Every logged model, deleted ones included, by id.
pub fn list_logged_models(tx: &mut Tx, scope: &Scope) -> Result<Vec<LoggedModelRow>, StoreError> {
    tx.query(&LIST_LOGGED_MODELS, &[scope.bind()])?.iter().map(read).collect()
}

/// Every registered model by name.
pub fn list_registered_models(tx: &mut Tx, scope: &Scope) -> Result<Vec<ModelRow>, StoreError> {
    let read = |row: &Row| {
        Ok(ModelRow {
            name: row.text("name")?,
            description: row.opt_text("description")?,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
            next_version: row.int("next_version")?,
        })
    };
    tx.query(&LIST_REGISTERED_MODELS, &[scope.bind()])?.iter().map(read).collect()
}

/// Sees to it that the next version of a model gets at least that number.
pub fn raise_next_version(
    tx: &mut Tx,
    scope: &Scope,
    name: &str,
    at_least: i64,
) -> Result<(), StoreError> {
    let values = [scope.bind(), name.into(), at_least.into()];
    tx.execute(&RAISE_NEXT_VERSION, &values).map(|_| ())
}

fn read(row: &Row) -> Result<LoggedModelRow, StoreError> {
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
