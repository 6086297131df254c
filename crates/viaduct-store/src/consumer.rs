//! Consumers of endpoints, each with a key of its own.

use viaduct_base::{ConsumerId, EndpointId, Timestamp, WorkspaceId};

use crate::columns::{columns, read_all};
use crate::{Scope, StoreError, Tx, Value, statement};

columns! {
    /// A consumer; its key is kept as a hash only.
    pub struct ConsumerRow {
        /// Its id.
        id: ConsumerId,
        /// Its workspace.
        workspace_id: WorkspaceId,
        /// The endpoint it calls.
        endpoint_id: EndpointId,
        /// Its name, unique at the endpoint among those not revoked.
        name: String,
        /// The hash of its key.
        key_hash: String,
        /// When it was added.
        created_at: Timestamp,
        /// Who added it.
        created_by: Option<String>,
        /// When its key was revoked.
        revoked_at: Option<Timestamp>,
        /// Rows a second that it may ask for, lastingly.
        rate_per_second: Option<f64>,
        /// Rows that it may ask for at once.
        burst: Option<i64>,
        /// Rows a day that it may ask for.
        quota_per_day: Option<i64>,
    }
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO consumer (id, workspace_id, endpoint_id, name, key_hash, created_at, created_by, \
     revoked_at, rate_per_second, burst, quota_per_day) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
);
statement!(
    LIST,
    scoped,
    "SELECT * FROM consumer WHERE workspace_id = $1 AND endpoint_id = $2 \
     AND revoked_at IS NULL ORDER BY name"
);
statement!(
    LIST_ALL,
    platform,
    "SELECT * FROM consumer WHERE revoked_at IS NULL ORDER BY endpoint_id, name"
);
statement!(
    REVOKE,
    scoped,
    "UPDATE consumer SET revoked_at = $3 \
     WHERE workspace_id = $1 AND id = $2 AND revoked_at IS NULL"
);

/// Adds a consumer; a name that exists is [`StoreError::Unique`].
pub fn insert(tx: &mut Tx, row: &ConsumerRow) -> Result<(), StoreError> {
    tx.execute(&INSERT, &row.values()).map(|_| ())
}

/// The endpoint's consumers by name.
pub fn list(
    tx: &mut Tx,
    scope: &Scope,
    endpoint: EndpointId,
) -> Result<Vec<ConsumerRow>, StoreError> {
    read_all(tx.query(&LIST, &[scope.bind(), Value::text(endpoint)])?, ConsumerRow::read)
}

/// The consumers of all endpoints: for the data plane's snapshot.
pub fn list_all(tx: &mut Tx) -> Result<Vec<ConsumerRow>, StoreError> {
    read_all(tx.query(&LIST_ALL, &[])?, ConsumerRow::read)
}

/// Revokes a consumer's key; `false` when there is none to revoke.
pub fn revoke(
    tx: &mut Tx,
    scope: &Scope,
    id: ConsumerId,
    at: Timestamp,
) -> Result<bool, StoreError> {
    tx.execute(&REVOKE, &[scope.bind(), Value::text(id), at.into()]).map(|n| n == 1)
}
