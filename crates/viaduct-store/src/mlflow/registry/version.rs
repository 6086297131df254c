//! Versions of registered models.

use super::{VersionRow, named};
use crate::{Row, Scope, StoreError, Tx, Value, statement};

statement!(
    INSERT_VERSION,
    scoped,
    "INSERT INTO model_version (workspace_id, name, version, description, user_name, \
     current_stage, source, storage_path, run_id, run_link, model_id, status, status_message, \
     created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
);
statement!(
    FIND_VERSION,
    scoped,
    "SELECT * FROM model_version WHERE workspace_id = $1 AND name = $2 AND version = $3"
);
statement!(
    LIST_VERSIONS,
    scoped,
    "SELECT * FROM model_version WHERE workspace_id = $1 AND name = $2 ORDER BY version DESC"
);
statement!(
    UPDATE_VERSION,
    scoped,
    "UPDATE model_version SET description = $4, current_stage = $5, updated_at = $6 \
     WHERE workspace_id = $1 AND name = $2 AND version = $3"
);
statement!(
    DELETE_VERSION,
    scoped,
    "DELETE FROM model_version WHERE workspace_id = $1 AND name = $2 AND version = $3"
);
statement!(
    DELETE_ALIASES_OF_VERSION,
    scoped,
    "DELETE FROM registered_model_alias WHERE workspace_id = $1 AND name = $2 AND version = $3"
);
statement!(
    DELETE_VERSION_TAGS,
    scoped,
    "DELETE FROM model_version_tag WHERE workspace_id = $1 AND name = $2 AND version = $3"
);

/// Adds a version under a number taken by [`take_version`].
pub fn insert_version(tx: &mut Tx, scope: &Scope, row: &VersionRow) -> Result<(), StoreError> {
    let [workspace, name] = named(scope, &row.name);
    let values = [
        workspace,
        name,
        row.version.into(),
        Value::opt_text(row.description.as_ref()),
        (&row.user_name).into(),
        (&row.current_stage).into(),
        (&row.source).into(),
        (&row.storage_path).into(),
        Value::opt_text(row.run_id.as_ref()),
        Value::opt_text(row.run_link.as_ref()),
        Value::opt_text(row.model_id.as_ref()),
        (&row.status).into(),
        Value::opt_text(row.status_message.as_ref()),
        row.created_at.into(),
        row.updated_at.into(),
    ];
    tx.execute(&INSERT_VERSION, &values).map(|_| ())
}

/// The version of that number.
pub fn find_version(
    tx: &mut Tx,
    scope: &Scope,
    (name, version): (&str, i64),
) -> Result<Option<VersionRow>, StoreError> {
    let [workspace, name] = named(scope, name);
    let row = tx.query_one(&FIND_VERSION, &[workspace, name, version.into()])?;
    row.as_ref().map(read_version).transpose()
}

/// A model's versions, newest first.
pub fn list_versions(
    tx: &mut Tx,
    scope: &Scope,
    name: &str,
) -> Result<Vec<VersionRow>, StoreError> {
    tx.query(&LIST_VERSIONS, &named(scope, name))?.iter().map(read_version).collect()
}

/// Writes a version's description and stage.
pub fn update_version(tx: &mut Tx, scope: &Scope, row: &VersionRow) -> Result<(), StoreError> {
    let [workspace, name] = named(scope, &row.name);
    let values = [
        workspace,
        name,
        row.version.into(),
        Value::opt_text(row.description.as_ref()),
        (&row.current_stage).into(),
        row.updated_at.into(),
    ];
    tx.execute(&UPDATE_VERSION, &values).map(|_| ())
}

/// Deletes a version with its tags and the aliases that point at it.
pub fn delete_version(
    tx: &mut Tx,
    scope: &Scope,
    (name, version): (&str, i64),
) -> Result<(), StoreError> {
    let [workspace, name] = named(scope, name);
    let values = [workspace, name, version.into()];
    for statement in [&DELETE_ALIASES_OF_VERSION, &DELETE_VERSION_TAGS, &DELETE_VERSION] {
        tx.execute(statement, &values)?;
    }
    Ok(())
}

pub(in crate::mlflow) fn read_version(row: &Row) -> Result<VersionRow, StoreError> {
    Ok(VersionRow {
        name: row.text("name")?,
        version: row.int("version")?,
        description: row.opt_text("description")?,
        user_name: row.text("user_name")?,
        current_stage: row.text("current_stage")?,
        source: row.text("source")?,
        storage_path: row.text("storage_path")?,
        run_id: row.opt_text("run_id")?,
        run_link: row.opt_text("run_link")?,
        model_id: row.opt_text("model_id")?,
        status: row.text("status")?,
        status_message: row.opt_text("status_message")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}
