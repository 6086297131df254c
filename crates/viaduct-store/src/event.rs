//! The outbox: events written in the transaction of what they announce.

use viaduct_base::{EventId, ProjectId, Timestamp, WorkspaceId};

use crate::columns::{columns, read_all};
use crate::{Scope, StoreError, Tx, Value, statement};

columns! {
    /// An event.
    pub struct EventRow {
        /// Its id.
        id: EventId,
        /// Its workspace.
        workspace_id: WorkspaceId,
        /// The project it is about.
        project_id: Option<ProjectId>,
        /// What happened, in the past tense: `project.stage_changed`.
        kind: String,
        /// To which thing.
        object_id: String,
        /// The particulars as JSON.
        body_json: String,
        /// When it happened.
        made_at: Timestamp,
    }
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO event (id, workspace_id, project_id, kind, object_id, body_json, made_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)"
);
// The condition stands outside too: PostgreSQL checks it again on a row that another claimer
// changed in between, and then leaves it out.
statement!(
    CLAIM,
    platform,
    "UPDATE event SET lease_token = $1, lease_until = $3 WHERE id IN \
     (SELECT id FROM event WHERE published_at IS NULL \
     AND (lease_until IS NULL OR lease_until < $2) ORDER BY id LIMIT $4) \
     AND published_at IS NULL AND (lease_until IS NULL OR lease_until < $2) RETURNING *"
);
statement!(
    SET_PUBLISHED,
    platform,
    "UPDATE event SET published_at = $3, lease_token = NULL, lease_until = NULL \
     WHERE id = $1 AND lease_token = $2 AND published_at IS NULL"
);
statement!(COUNT_WAITING, platform, "SELECT count(*) AS n FROM event WHERE published_at IS NULL");
statement!(
    LIST_BY_PROJECT,
    scoped,
    "SELECT * FROM event WHERE workspace_id = $1 AND project_id = $2 ORDER BY id DESC LIMIT $3"
);

/// Writes an event; it is published once the transaction is committed.
pub fn insert(tx: &mut Tx, row: &EventRow) -> Result<(), StoreError> {
    tx.execute(&INSERT, &row.values()).map(|_| ())
}

/// Takes up to `limit` unpublished events for `token` until `until`, oldest first.
pub fn claim(
    tx: &mut Tx,
    token: &str,
    now: Timestamp,
    until: Timestamp,
    limit: i64,
) -> Result<Vec<EventRow>, StoreError> {
    let values = [token.into(), now.into(), until.into(), limit.into()];
    let mut rows = read_all(tx.query(&CLAIM, &values)?, EventRow::read)?;
    rows.sort_by_key(|row| row.id);
    Ok(rows)
}

/// Marks an event as published; `false` when its lease belongs to somebody else by now.
pub fn set_published(
    tx: &mut Tx,
    id: EventId,
    token: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    tx.execute(&SET_PUBLISHED, &[Value::text(id), token.into(), at.into()]).map(|n| n == 1)
}

/// How many events wait to be published.
pub fn count_waiting(tx: &mut Tx) -> Result<i64, StoreError> {
    tx.query_one(&COUNT_WAITING, &[])?.map_or(Ok(0), |row| row.int("n"))
}

/// The project's events, newest first.
pub fn list_by_project(
    tx: &mut Tx,
    scope: &Scope,
    project: ProjectId,
    limit: i64,
) -> Result<Vec<EventRow>, StoreError> {
    let values = [scope.bind(), Value::text(project), limit.into()];
    read_all(tx.query(&LIST_BY_PROJECT, &values)?, EventRow::read)
}
