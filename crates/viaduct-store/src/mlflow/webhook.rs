//! Webhooks of the registry: who is told of what.

use viaduct_base::Timestamp;

use crate::columns::{columns, read_all, scoped};
use crate::{Scope, StoreError, Tx, statement};

columns! {
    /// A webhook.
    pub struct WebhookRow {
        /// Its id.
        webhook_id: String,
        /// Its name.
        name: String,
        /// Where it is delivered to.
        url: String,
        /// What it is for, for people.
        description: Option<String>,
        /// Of what it tells, as a JSON list of words: `model_version.created`.
        events_json: String,
        /// `ACTIVE` or `DISABLED`.
        status: String,
        /// The secret that deliveries are signed with, sealed.
        sealed_secret: Option<String>,
        /// When it was made.
        created_at: Timestamp,
        /// When it was changed.
        updated_at: Timestamp,
    }
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO webhook (workspace_id, webhook_id, name, url, description, events_json, status, \
     sealed_secret, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
);
statement!(FIND, scoped, "SELECT * FROM webhook WHERE workspace_id = $1 AND webhook_id = $2");
statement!(
    LIST,
    scoped,
    "SELECT * FROM webhook WHERE workspace_id = $1 ORDER BY created_at DESC, webhook_id DESC"
);
statement!(
    UPDATE,
    scoped,
    "UPDATE webhook SET name = $3, url = $4, description = $5, events_json = $6, status = $7, \
     sealed_secret = $8, created_at = $9, updated_at = $10 \
     WHERE workspace_id = $1 AND webhook_id = $2"
);
statement!(DELETE, scoped, "DELETE FROM webhook WHERE workspace_id = $1 AND webhook_id = $2");

/// Writes a new webhook.
pub fn insert(tx: &mut Tx, scope: &Scope, row: &WebhookRow) -> Result<(), StoreError> {
    tx.execute(&INSERT, &scoped(scope, row.values())).map(|_| ())
}

/// The webhook of that id.
pub fn find(tx: &mut Tx, scope: &Scope, id: &str) -> Result<Option<WebhookRow>, StoreError> {
    tx.query_one(&FIND, &[scope.bind(), id.into()])?.as_ref().map(WebhookRow::read).transpose()
}

/// All webhooks, newest first.
pub fn list(tx: &mut Tx, scope: &Scope) -> Result<Vec<WebhookRow>, StoreError> {
    read_all(tx.query(&LIST, &[scope.bind()])?, WebhookRow::read)
}

/// Writes what a webhook is now.
pub fn update(tx: &mut Tx, scope: &Scope, row: &WebhookRow) -> Result<(), StoreError> {
    tx.execute(&UPDATE, &scoped(scope, row.values())).map(|_| ())
}

/// Forgets a webhook with its secret; `false` when there is none.
pub fn delete(tx: &mut Tx, scope: &Scope, id: &str) -> Result<bool, StoreError> {
    tx.execute(&DELETE, &[scope.bind(), id.into()]).map(|n| n == 1)
}
