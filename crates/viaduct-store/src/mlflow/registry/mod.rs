//! The registry: models, their versions, aliases and tags.

mod page;
mod tag;
mod version;

use viaduct_base::Timestamp;

pub use page::{ModelParts, VersionParts, of_models, of_versions};
pub use tag::{Tagged, delete_tag, list_tags, set_tag};
pub use version::{delete_version, find_version, insert_version, list_versions, update_version};

pub(super) use version::read_version;

use crate::{Row, Scope, StoreError, Tx, Value, statement};

/// A registered model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRow {
    /// Its name, unique in the workspace.
    pub name: String,
    /// What it is, for people.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The number of the next version.
    pub next_version: i64,
}

/// A version of a registered model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    /// The model.
    pub name: String,
    /// The number, from 1.
    pub version: i64,
    /// What it is, for people.
    pub description: Option<String>,
    /// Who registered it.
    pub user_name: String,
    /// `None`, `Staging`, `Production`, `Archived`: for clients of MLflow 2; means nothing here.
    pub current_stage: String,
    /// Where the client said that it comes from.
    pub source: String,
    /// Where its files are, below the artifact folder.
    pub storage_path: String,
    /// The run that made it.
    pub run_id: Option<String>,
    /// A link to that run elsewhere.
    pub run_link: Option<String>,
    /// The logged model that it is.
    pub model_id: Option<String>,
    /// `READY` and the like.
    pub status: String,
    /// Why it is not ready.
    pub status_message: Option<String>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// An alias of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasRow {
    /// The alias.
    pub alias: String,
    /// The version that it points at.
    pub version: i64,
    /// Since when.
    pub set_at: Timestamp,
}

statement!(
    INSERT_MODEL,
    scoped,
    "INSERT INTO registered_model (workspace_id, name, description, created_at, updated_at, \
     next_version) VALUES ($1, $2, $3, $4, $5, $6)"
);
statement!(
    FIND_MODEL,
    scoped,
    "SELECT * FROM registered_model WHERE workspace_id = $1 AND name = $2"
);
statement!(
    UPDATE_MODEL,
    scoped,
    "UPDATE registered_model SET description = $3, updated_at = $4 \
     WHERE workspace_id = $1 AND name = $2"
);
statement!(
    TAKE_VERSION,
    scoped,
    "UPDATE registered_model SET next_version = next_version + 1, updated_at = $3 \
     WHERE workspace_id = $1 AND name = $2 RETURNING next_version - 1 AS version"
);
statement!(
    RENAME_MODEL,
    scoped,
    "UPDATE registered_model SET name = $3, updated_at = $4 WHERE workspace_id = $1 AND name = $2"
);
statement!(
    RENAME_MODEL_TAGS,
    scoped,
    "UPDATE registered_model_tag SET name = $3 WHERE workspace_id = $1 AND name = $2"
);
statement!(
    RENAME_ALIASES,
    scoped,
    "UPDATE registered_model_alias SET name = $3 WHERE workspace_id = $1 AND name = $2"
);
statement!(
    RENAME_VERSIONS,
    scoped,
    "UPDATE model_version SET name = $3 WHERE workspace_id = $1 AND name = $2"
);
statement!(
    RENAME_VERSION_TAGS,
    scoped,
    "UPDATE model_version_tag SET name = $3 WHERE workspace_id = $1 AND name = $2"
);
statement!(
    DELETE_MODEL,
    scoped,
    "DELETE FROM registered_model WHERE workspace_id = $1 AND name = $2"
);
statement!(
    DELETE_MODEL_TAGS,
    scoped,
    "DELETE FROM registered_model_tag WHERE workspace_id = $1 AND name = $2"
);
statement!(
    DELETE_ALIASES,
    scoped,
    "DELETE FROM registered_model_alias WHERE workspace_id = $1 AND name = $2"
);
statement!(
    DELETE_VERSIONS,
    scoped,
    "DELETE FROM model_version WHERE workspace_id = $1 AND name = $2"
);
statement!(
    DELETE_VERSIONS_TAGS,
    scoped,
    "DELETE FROM model_version_tag WHERE workspace_id = $1 AND name = $2"
);
statement!(
    SET_ALIAS,
    scoped,
    "INSERT INTO registered_model_alias (workspace_id, name, alias, version, set_at) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (workspace_id, name, alias) \
     DO UPDATE SET version = excluded.version, set_at = excluded.set_at"
);
statement!(
    DELETE_ALIAS,
    scoped,
    "DELETE FROM registered_model_alias WHERE workspace_id = $1 AND name = $2 AND alias = $3"
);
statement!(
    LIST_ALIASES,
    scoped,
    "SELECT * FROM registered_model_alias WHERE workspace_id = $1 AND name = $2 ORDER BY alias"
);

fn named(scope: &Scope, name: &str) -> [Value; 2] {
    [Value::text(scope.workspace), name.into()]
}

/// Adds a registered model.
pub fn insert_model(tx: &mut Tx, scope: &Scope, row: &ModelRow) -> Result<(), StoreError> {
    let values = [
        Value::text(scope.workspace),
        (&row.name).into(),
        Value::opt_text(row.description.as_ref()),
        row.created_at.into(),
        row.updated_at.into(),
        row.next_version.into(),
    ];
    tx.execute(&INSERT_MODEL, &values).map(|_| ())
}

/// The registered model of that name.
pub fn find_model(tx: &mut Tx, scope: &Scope, name: &str) -> Result<Option<ModelRow>, StoreError> {
    tx.query_one(&FIND_MODEL, &named(scope, name))?.as_ref().map(read_model).transpose()
}

/// Writes a model's description.
pub fn update_model(tx: &mut Tx, scope: &Scope, row: &ModelRow) -> Result<(), StoreError> {
    let [workspace, name] = named(scope, &row.name);
    let values =
        [workspace, name, Value::opt_text(row.description.as_ref()), row.updated_at.into()];
    tx.execute(&UPDATE_MODEL, &values).map(|_| ())
}

/// Takes the number of a new version; `None` when there is no such model.
pub fn take_version(
    tx: &mut Tx,
    scope: &Scope,
    name: &str,
    now: Timestamp,
) -> Result<Option<i64>, StoreError> {
    let [workspace, name] = named(scope, name);
    let row = tx.query_one(&TAKE_VERSION, &[workspace, name, now.into()])?;
    row.map(|row| row.int("version")).transpose()
}

/// Gives a model another name, with everything under it.
pub fn rename_model(
    tx: &mut Tx,
    scope: &Scope,
    (from, to): (&str, &str),
    now: Timestamp,
) -> Result<(), StoreError> {
    let [workspace, name] = named(scope, from);
    let values = [workspace, name, to.into()];
    for statement in [&RENAME_MODEL_TAGS, &RENAME_ALIASES, &RENAME_VERSIONS, &RENAME_VERSION_TAGS] {
        tx.execute(statement, &values)?;
    }
    let [workspace, name, to] = values;
    tx.execute(&RENAME_MODEL, &[workspace, name, to, now.into()]).map(|_| ())
}

/// Deletes a model with versions, aliases and tags.
pub fn delete_model(tx: &mut Tx, scope: &Scope, name: &str) -> Result<(), StoreError> {
    let values = named(scope, name);
    for statement in [
        &DELETE_MODEL_TAGS,
        &DELETE_ALIASES,
        &DELETE_VERSIONS_TAGS,
        &DELETE_VERSIONS,
        &DELETE_MODEL,
    ] {
        tx.execute(statement, &values)?;
    }
    Ok(())
}

/// Points an alias at a version.
pub fn set_alias(tx: &mut Tx, scope: &Scope, name: &str, row: &AliasRow) -> Result<(), StoreError> {
    let [workspace, name] = named(scope, name);
    let values = [workspace, name, (&row.alias).into(), row.version.into(), row.set_at.into()];
    tx.execute(&SET_ALIAS, &values).map(|_| ())
}

/// Deletes an alias.
pub fn delete_alias(tx: &mut Tx, scope: &Scope, name: &str, alias: &str) -> Result<(), StoreError> {
    let [workspace, name] = named(scope, name);
    tx.execute(&DELETE_ALIAS, &[workspace, name, alias.into()]).map(|_| ())
}

/// A model's aliases by name.
pub fn list_aliases(tx: &mut Tx, scope: &Scope, name: &str) -> Result<Vec<AliasRow>, StoreError> {
    let read = |row: &Row| {
        Ok(AliasRow {
            alias: row.text("alias")?,
            version: row.int("version")?,
            set_at: row.time("set_at")?,
        })
    };
    tx.query(&LIST_ALIASES, &named(scope, name))?.iter().map(read).collect()
}

pub(super) fn read_model(row: &Row) -> Result<ModelRow, StoreError> {
    Ok(ModelRow {
        name: row.text("name")?,
        description: row.opt_text("description")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        next_version: row.int("next_version")?,
    })
}
