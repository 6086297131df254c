//! Endpoints: stable names that answer predictions.

use viaduct_base::{ContractId, EndpointId, ProjectId, Timestamp, WorkspaceId};

use crate::columns::{columns, read_all, won};
use crate::{Scope, StoreError, Tx, Value, statement};

columns! {
    /// An endpoint.
    pub struct EndpointRow {
        /// Its id.
        id: EndpointId,
        /// Its workspace.
        workspace_id: WorkspaceId,
        /// Its project; `None` for an unowned one.
        project_id: Option<ProjectId>,
        /// Its name, unique in the workspace among those not removed.
        name: String,
        /// Its checked part of the project file as JSON.
        spec_json: String,
        /// The registered model it is bound to.
        model_name: String,
        /// The alias of that model.
        model_alias: String,
        /// The contract of its input.
        contract_id: Option<ContractId>,
        /// When it was added.
        created_at: Timestamp,
        /// When it was last changed.
        updated_at: Timestamp,
        /// When it was removed.
        removed_at: Option<Timestamp>,
        /// For compare-and-set; 1 when new.
        revision: i64,
    }
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO endpoint (id, workspace_id, project_id, name, spec_json, model_name, \
     model_alias, contract_id, created_at, updated_at, removed_at, revision) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
);
statement!(FIND, scoped, "SELECT * FROM endpoint WHERE workspace_id = $1 AND id = $2");
statement!(
    FIND_BY_NAME,
    scoped,
    "SELECT * FROM endpoint WHERE workspace_id = $1 AND name = $2 AND removed_at IS NULL"
);
statement!(
    LIST,
    scoped,
    "SELECT * FROM endpoint WHERE workspace_id = $1 AND removed_at IS NULL ORDER BY name"
);
statement!(
    LIST_BY_PROJECT,
    scoped,
    "SELECT * FROM endpoint WHERE workspace_id = $1 AND project_id = $2 AND removed_at IS NULL \
     ORDER BY name"
);
// The data plane's snapshot holds the endpoints of all workspaces.
statement!(
    LIST_ALL,
    platform,
    "SELECT * FROM endpoint WHERE removed_at IS NULL ORDER BY workspace_id, name"
);
statement!(
    HOLD,
    scoped,
    "UPDATE endpoint SET updated_at = updated_at WHERE workspace_id = $1 AND id = $2"
);
statement!(
    UPDATE,
    scoped,
    "UPDATE endpoint SET project_id = $4, spec_json = $5, model_name = $6, model_alias = $7, \
     contract_id = $8, updated_at = $9, removed_at = $10, revision = revision + 1 \
     WHERE workspace_id = $1 AND id = $2 AND revision = $3"
);

/// Adds an endpoint; a name that exists is [`StoreError::Unique`].
pub fn insert(tx: &mut Tx, row: &EndpointRow) -> Result<(), StoreError> {
    tx.execute(&INSERT, &row.values()).map(|_| ())
}

/// The endpoint of that id, a removed one too.
pub fn find(tx: &mut Tx, scope: &Scope, id: EndpointId) -> Result<Option<EndpointRow>, StoreError> {
    let row = tx.query_one(&FIND, &[scope.bind(), Value::text(id)])?;
    row.as_ref().map(EndpointRow::read).transpose()
}

/// The endpoint of that name.
pub fn find_by_name(
    tx: &mut Tx,
    scope: &Scope,
    name: &str,
) -> Result<Option<EndpointRow>, StoreError> {
    let row = tx.query_one(&FIND_BY_NAME, &[scope.bind(), name.into()])?;
    row.as_ref().map(EndpointRow::read).transpose()
}

/// The workspace's endpoints by name.
pub fn list(tx: &mut Tx, scope: &Scope) -> Result<Vec<EndpointRow>, StoreError> {
    read_all(tx.query(&LIST, &[scope.bind()])?, EndpointRow::read)
}

/// The project's endpoints by name.
pub fn list_by_project(
    tx: &mut Tx,
    scope: &Scope,
    project: ProjectId,
) -> Result<Vec<EndpointRow>, StoreError> {
    let rows = tx.query(&LIST_BY_PROJECT, &[scope.bind(), Value::text(project)])?;
    read_all(rows, EndpointRow::read)
}

/// The endpoints of all workspaces: for the data plane's snapshot.
pub fn list_all(tx: &mut Tx) -> Result<Vec<EndpointRow>, StoreError> {
    read_all(tx.query(&LIST_ALL, &[])?, EndpointRow::read)
}

/// Keeps other transactions from the endpoint until this one ends. Why an update: a row is locked by
/// it on both databases.
pub fn hold(tx: &mut Tx, scope: &Scope, id: EndpointId) -> Result<(), StoreError> {
    tx.execute(&HOLD, &[scope.bind(), Value::text(id)]).map(|_| ())
}

/// Writes everything of `row` but its id, name and birth; `row` was read at its `revision`.
pub fn update(tx: &mut Tx, scope: &Scope, row: &EndpointRow) -> Result<(), StoreError> {
    let values = [
        scope.bind(),
        Value::text(row.id),
        row.revision.into(),
        Value::opt_text(row.project_id),
        (&row.spec_json).into(),
        (&row.model_name).into(),
        (&row.model_alias).into(),
        Value::opt_text(row.contract_id),
        row.updated_at.into(),
        row.removed_at.into(),
    ];
    won(tx.execute(&UPDATE, &values)?, "endpoint", row.id)
}
