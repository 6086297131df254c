//! Who did what, append-only and chained.

use viaduct_base::{AuditId, ProjectId, Timestamp, WorkspaceId};

use crate::chain::{self, ChainName, Chained};
use crate::columns::{columns, read_all};
use crate::{Row, Scope, StoreError, Tx, Value, statement};

columns! {
    /// An entry.
    pub struct AuditRow {
        /// Its id.
        id: AuditId,
        /// Its workspace.
        workspace_id: WorkspaceId,
        /// The project it is about.
        project_id: Option<ProjectId>,
        /// When.
        at: Timestamp,
        /// The clock it was written under.
        clock: String,
        /// `user`, `token`, `anonymous` or `system`.
        actor_kind: String,
        /// Who, by id.
        actor_id: Option<String>,
        /// Who, by name.
        actor_name: String,
        /// What was done: `project.applied`.
        action: String,
        /// To what kind of thing.
        object_kind: String,
        /// To which thing.
        object_id: String,
        /// How it was before and after, as JSON.
        detail_json: String,
    }
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO audit (id, workspace_id, project_id, at, clock, actor_kind, actor_id, \
     actor_name, action, object_kind, object_id, detail_json, chain_seq, prev_hash, hash) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
);
statement!(
    LIST,
    scoped,
    "SELECT * FROM audit WHERE workspace_id = $1 AND chain_seq < $2 \
     ORDER BY chain_seq DESC LIMIT $3"
);
statement!(
    LIST_BY_PROJECT,
    scoped,
    "SELECT * FROM audit WHERE workspace_id = $1 AND project_id = $2 AND chain_seq < $3 \
     ORDER BY chain_seq DESC LIMIT $4"
);
statement!(
    LIST_BY_OBJECT,
    scoped,
    "SELECT * FROM audit WHERE workspace_id = $1 AND object_id = $2 AND chain_seq < $3 \
     ORDER BY chain_seq DESC LIMIT $4"
);

/// Appends an entry to the chain. Call it last in a transaction: it holds the chain's head until
/// the commit.
pub fn append(tx: &mut Tx, row: &AuditRow) -> Result<(), StoreError> {
    chain::append(tx, ChainName::Audit, &INSERT, AuditRow::COLUMNS, row.values()).map(|_| ())
}

/// The workspace's entries, newest first, below position `before` (`None`: from the newest).
pub fn list(
    tx: &mut Tx,
    scope: &Scope,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Chained<AuditRow>>, StoreError> {
    let values = [scope.bind(), before.unwrap_or(i64::MAX).into(), limit.into()];
    read_all(tx.query(&LIST, &values)?, read_chained)
}

/// As [`list`], about one project.
pub fn list_by_project(
    tx: &mut Tx,
    scope: &Scope,
    project: ProjectId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Chained<AuditRow>>, StoreError> {
    let before = before.unwrap_or(i64::MAX);
    let values = [scope.bind(), Value::text(project), before.into(), limit.into()];
    read_all(tx.query(&LIST_BY_PROJECT, &values)?, read_chained)
}

/// As [`list`], about one thing.
pub fn list_by_object(
    tx: &mut Tx,
    scope: &Scope,
    object_id: &str,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Chained<AuditRow>>, StoreError> {
    let before = before.unwrap_or(i64::MAX);
    let values = [scope.bind(), object_id.into(), before.into(), limit.into()];
    read_all(tx.query(&LIST_BY_OBJECT, &values)?, read_chained)
}

fn read_chained(row: &Row) -> Result<Chained<AuditRow>, StoreError> {
    Chained::read(row, AuditRow::read)
}
