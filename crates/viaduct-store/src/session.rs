//! Browser sessions.

use viaduct_base::{SessionId, Timestamp, UserId, WorkspaceId};

use crate::columns::columns;
use crate::{StoreError, Tx, Value, statement};

columns! {
    /// A session; its cookie's secret is kept as a hash only.
    pub struct SessionRow {
        /// Its id.
        id: SessionId,
        /// The workspace it opens.
        workspace_id: WorkspaceId,
        /// Whose it is.
        user_id: UserId,
        /// The hash of its secret.
        secret_hash: String,
        /// What forms must carry.
        csrf: String,
        /// When it began, by the machine's clock.
        created_at: Timestamp,
        /// When it ends by itself, by the machine's clock.
        expires_at: Timestamp,
        /// When it was ended.
        ended_at: Option<Timestamp>,
    }
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO session (id, workspace_id, user_id, secret_hash, csrf, created_at, expires_at, \
     ended_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
);
statement!(FIND_BY_SECRET, platform, "SELECT * FROM session WHERE secret_hash = $1");
statement!(END, platform, "UPDATE session SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL");
statement!(
    END_ALL,
    platform,
    "UPDATE session SET ended_at = $2 WHERE user_id = $1 AND ended_at IS NULL"
);
statement!(DELETE_OLD, platform, "DELETE FROM session WHERE expires_at < $1");

/// Adds a session.
pub fn insert(tx: &mut Tx, row: &SessionRow) -> Result<(), StoreError> {
    tx.execute(&INSERT, &row.values()).map(|_| ())
}

/// The session with this secret's hash, ended ones too.
pub fn find_by_secret(tx: &mut Tx, secret_hash: &str) -> Result<Option<SessionRow>, StoreError> {
    let row = tx.query_one(&FIND_BY_SECRET, &[secret_hash.into()])?;
    row.as_ref().map(SessionRow::read).transpose()
}

/// Ends a session.
pub fn end(tx: &mut Tx, id: SessionId, at: Timestamp) -> Result<(), StoreError> {
    tx.execute(&END, &[Value::text(id), at.into()]).map(|_| ())
}

/// Ends all sessions of a person: a new password, a disabled account.
pub fn end_all(tx: &mut Tx, user: UserId, at: Timestamp) -> Result<u64, StoreError> {
    tx.execute(&END_ALL, &[Value::text(user), at.into()])
}

/// Forgets sessions that ended by themselves before `before`.
pub fn delete_old(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    tx.execute(&DELETE_OLD, &[before.into()])
}
