//! API tokens of people.

use viaduct_base::{Timestamp, TokenId, UserId, WorkspaceId};

use crate::columns::{columns, read_all};
use crate::{Scope, StoreError, Tx, Value, statement};

columns! {
    /// A token; its secret is kept as a hash only.
    pub struct TokenRow {
        /// Its id.
        id: TokenId,
        /// The workspace it opens.
        workspace_id: WorkspaceId,
        /// Whose it is.
        user_id: UserId,
        /// What people call it.
        name: String,
        /// The hash of its secret.
        secret_hash: String,
        /// When it was made.
        created_at: Timestamp,
        /// When it ends by itself.
        expires_at: Option<Timestamp>,
        /// When it was last used, to some minutes.
        used_at: Option<Timestamp>,
        /// When it was revoked.
        revoked_at: Option<Timestamp>,
    }
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO api_token (id, workspace_id, user_id, name, secret_hash, created_at, expires_at, \
     used_at, revoked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
);
statement!(FIND_BY_SECRET, platform, "SELECT * FROM api_token WHERE secret_hash = $1");
statement!(
    LIST,
    scoped,
    "SELECT * FROM api_token WHERE workspace_id = $1 AND user_id = $2 ORDER BY created_at, id"
);
statement!(FIND, scoped, "SELECT * FROM api_token WHERE workspace_id = $1 AND id = $2");
statement!(
    REVOKE,
    scoped,
    "UPDATE api_token SET revoked_at = $3 \
     WHERE workspace_id = $1 AND id = $2 AND revoked_at IS NULL"
);
statement!(SET_USED, platform, "UPDATE api_token SET used_at = $2 WHERE id = $1");

/// Adds a token.
pub fn insert(tx: &mut Tx, row: &TokenRow) -> Result<(), StoreError> {
    tx.execute(&INSERT, &row.values()).map(|_| ())
}

/// The token with this secret's hash, revoked and ended ones too.
pub fn find_by_secret(tx: &mut Tx, secret_hash: &str) -> Result<Option<TokenRow>, StoreError> {
    tx.query_one(&FIND_BY_SECRET, &[secret_hash.into()])?.as_ref().map(TokenRow::read).transpose()
}

/// The token of that id.
pub fn find(tx: &mut Tx, scope: &Scope, id: TokenId) -> Result<Option<TokenRow>, StoreError> {
    let row = tx.query_one(&FIND, &[scope.bind(), Value::text(id)])?;
    row.as_ref().map(TokenRow::read).transpose()
}

/// A person's tokens, oldest first.
pub fn list(tx: &mut Tx, scope: &Scope, user: UserId) -> Result<Vec<TokenRow>, StoreError> {
    read_all(tx.query(&LIST, &[scope.bind(), Value::text(user)])?, TokenRow::read)
}

/// Revokes a token; `false` when there is none to revoke.
pub fn revoke(tx: &mut Tx, scope: &Scope, id: TokenId, at: Timestamp) -> Result<bool, StoreError> {
    tx.execute(&REVOKE, &[scope.bind(), Value::text(id), at.into()]).map(|n| n == 1)
}

/// Remembers when a token was used.
pub fn set_used(tx: &mut Tx, id: TokenId, at: Timestamp) -> Result<(), StoreError> {
    tx.execute(&SET_USED, &[Value::text(id), at.into()]).map(|_| ())
}
