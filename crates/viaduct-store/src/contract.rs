//! Versions of data contracts; a version never changes.

use viaduct_base::{ContractId, ProjectId, Timestamp};

use crate::columns::{columns, read_all, scoped};
use crate::{Scope, StoreError, Tx, Value, statement};

columns! {
    /// One version of a contract.
    pub struct ContractRow {
        /// Its id.
        id: ContractId,
        /// Its project.
        project_id: ProjectId,
        /// The contract's name.
        name: String,
        /// Its version, from 1.
        version: i64,
        /// The whole document as JSON.
        document_json: String,
        /// The document's hash.
        hash: String,
        /// When it was added.
        created_at: Timestamp,
        /// Who added it.
        created_by: Option<String>,
    }
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO contract (workspace_id, id, project_id, name, version, document_json, hash, \
     created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
);
statement!(FIND, scoped, "SELECT * FROM contract WHERE workspace_id = $1 AND id = $2");
statement!(
    LIST,
    scoped,
    "SELECT * FROM contract WHERE workspace_id = $1 AND project_id = $2 AND name = $3 \
     ORDER BY version DESC"
);
statement!(
    LATEST,
    scoped,
    "SELECT * FROM contract WHERE workspace_id = $1 AND project_id = $2 AND name = $3 \
     ORDER BY version DESC LIMIT 1"
);

/// Adds a version; two writers of the same version get [`StoreError::Unique`].
pub fn insert(tx: &mut Tx, scope: &Scope, row: &ContractRow) -> Result<(), StoreError> {
    tx.execute(&INSERT, &scoped(scope, row.values())).map(|_| ())
}

/// The version of that id.
pub fn find(tx: &mut Tx, scope: &Scope, id: ContractId) -> Result<Option<ContractRow>, StoreError> {
    let row = tx.query_one(&FIND, &[scope.bind(), Value::text(id)])?;
    row.as_ref().map(ContractRow::read).transpose()
}

/// The newest version.
pub fn latest(
    tx: &mut Tx,
    scope: &Scope,
    project: ProjectId,
    name: &str,
) -> Result<Option<ContractRow>, StoreError> {
    let row = tx.query_one(&LATEST, &[scope.bind(), Value::text(project), name.into()])?;
    row.as_ref().map(ContractRow::read).transpose()
}

/// All versions, newest first.
pub fn list(
    tx: &mut Tx,
    scope: &Scope,
    project: ProjectId,
    name: &str,
) -> Result<Vec<ContractRow>, StoreError> {
    let values = [scope.bind(), Value::text(project), name.into()];
    read_all(tx.query(&LIST, &values)?, ContractRow::read)
}
