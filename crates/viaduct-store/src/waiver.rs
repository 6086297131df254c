//! Waivers: dated exemptions from one criterion.

use viaduct_base::{ProjectId, Timestamp, WaiverId};

use crate::columns::{columns, read_all, scoped, won};
use crate::{Scope, StoreError, Tx, Value, statement};

columns! {
    /// A waiver.
    pub struct WaiverRow {
        /// Its id.
        id: WaiverId,
        /// Its project.
        project_id: ProjectId,
        /// The criterion.
        criterion: String,
        /// Why.
        reason: String,
        /// What is done instead.
        compensation: String,
        /// Who asked.
        requested_by: String,
        /// When they asked.
        requested_at: Timestamp,
        /// When it ends by itself.
        expires_at: Timestamp,
        /// Who approved it, from outside the project.
        approved_by: Option<String>,
        /// When it was approved.
        approved_at: Option<Timestamp>,
        /// When it was ended early.
        ended_at: Option<Timestamp>,
        /// For compare-and-set; 1 when new.
        revision: i64,
    }
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO waiver (workspace_id, id, project_id, criterion, reason, compensation, \
     requested_by, requested_at, expires_at, approved_by, approved_at, ended_at, revision) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
);
statement!(FIND, scoped, "SELECT * FROM waiver WHERE workspace_id = $1 AND id = $2");
statement!(
    LIST,
    scoped,
    "SELECT * FROM waiver WHERE workspace_id = $1 AND project_id = $2 \
     ORDER BY requested_at DESC, id DESC"
);
statement!(
    LIST_ALL,
    scoped,
    "SELECT * FROM waiver WHERE workspace_id = $1 ORDER BY requested_at DESC, id DESC"
);
statement!(
    APPROVE,
    scoped,
    "UPDATE waiver SET approved_by = $4, approved_at = $5, revision = revision + 1 \
     WHERE workspace_id = $1 AND id = $2 AND revision = $3 AND approved_at IS NULL"
);
statement!(
    END,
    scoped,
    "UPDATE waiver SET ended_at = $4, revision = revision + 1 \
     WHERE workspace_id = $1 AND id = $2 AND revision = $3 AND ended_at IS NULL"
);

/// Asks for a waiver.
pub fn insert(tx: &mut Tx, scope: &Scope, row: &WaiverRow) -> Result<(), StoreError> {
    tx.execute(&INSERT, &scoped(scope, row.values())).map(|_| ())
}

/// The waiver of that id.
pub fn find(tx: &mut Tx, scope: &Scope, id: WaiverId) -> Result<Option<WaiverRow>, StoreError> {
    let row = tx.query_one(&FIND, &[scope.bind(), Value::text(id)])?;
    row.as_ref().map(WaiverRow::read).transpose()
}

/// The project's waivers, newest first, expired and ended ones too.
pub fn list(tx: &mut Tx, scope: &Scope, project: ProjectId) -> Result<Vec<WaiverRow>, StoreError> {
    read_all(tx.query(&LIST, &[scope.bind(), Value::text(project)])?, WaiverRow::read)
}

/// The workspace's waivers: the debt register.
pub fn list_all(tx: &mut Tx, scope: &Scope) -> Result<Vec<WaiverRow>, StoreError> {
    read_all(tx.query(&LIST_ALL, &[scope.bind()])?, WaiverRow::read)
}

/// Approves a waiver once.
pub fn approve(
    tx: &mut Tx,
    scope: &Scope,
    id: WaiverId,
    revision: i64,
    by: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let values = [scope.bind(), Value::text(id), revision.into(), by.into(), at.into()];
    won(tx.execute(&APPROVE, &values)?, "waiver", id)
}

/// Ends a waiver early: its debt is paid.
pub fn end(
    tx: &mut Tx,
    scope: &Scope,
    id: WaiverId,
    revision: i64,
    at: Timestamp,
) -> Result<(), StoreError> {
    let values = [scope.bind(), Value::text(id), revision.into(), at.into()];
    won(tx.execute(&END, &values)?, "waiver", id)
}
