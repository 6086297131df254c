//! People who can sign in.

use viaduct_base::{Timestamp, UserId, WorkspaceId};

use crate::columns::{columns, read_all, won};
use crate::{Scope, StoreError, Tx, Value, statement};

columns! {
    /// A person.
    pub struct UserRow {
        /// Their id.
        id: UserId,
        /// The workspace they belong to.
        workspace_id: WorkspaceId,
        /// Their name, unique on the platform.
        name: String,
        /// Their role, as the domain prints it.
        role: String,
        /// The argon2 hash; `None` for people who only use tokens.
        password_hash: Option<String>,
        /// When they were added.
        created_at: Timestamp,
        /// Who added them.
        created_by: Option<UserId>,
        /// When they last signed in.
        signed_in_at: Option<Timestamp>,
        /// When they were disabled.
        disabled_at: Option<Timestamp>,
        /// For compare-and-set; 1 when new.
        revision: i64,
    }
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO user_account (id, workspace_id, name, role, password_hash, created_at, \
     created_by, signed_in_at, disabled_at, revision) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
);
statement!(COUNT, platform, "SELECT count(*) AS n FROM user_account");
statement!(FIND_BY_NAME, platform, "SELECT * FROM user_account WHERE name = $1");
statement!(FIND_BY_ID, platform, "SELECT * FROM user_account WHERE id = $1");
statement!(LIST, scoped, "SELECT * FROM user_account WHERE workspace_id = $1 ORDER BY name");
statement!(
    SET_PASSWORD,
    scoped,
    "UPDATE user_account SET password_hash = $4, revision = revision + 1 \
     WHERE workspace_id = $1 AND id = $2 AND revision = $3"
);
statement!(
    SET_DISABLED,
    scoped,
    "UPDATE user_account SET disabled_at = $4, revision = revision + 1 \
     WHERE workspace_id = $1 AND id = $2 AND revision = $3"
);
statement!(
    SET_SIGNED_IN,
    scoped,
    "UPDATE user_account SET signed_in_at = $3 WHERE workspace_id = $1 AND id = $2"
);

/// Adds a person; a name that exists is [`StoreError::Unique`].
pub fn insert(tx: &mut Tx, row: &UserRow) -> Result<(), StoreError> {
    tx.execute(&INSERT, &row.values()).map(|_| ())
}

/// How many people there are; disabled ones count, so that disabling all does not open the doors.
pub fn count(tx: &mut Tx) -> Result<i64, StoreError> {
    tx.query_one(&COUNT, &[])?.map_or(Ok(0), |row| row.int("n"))
}

/// The person of that name, in whatever workspace: for signing in.
pub fn find_by_name(tx: &mut Tx, name: &str) -> Result<Option<UserRow>, StoreError> {
    tx.query_one(&FIND_BY_NAME, &[name.into()])?.as_ref().map(UserRow::read).transpose()
}

/// The person behind a session or a token.
pub fn find_by_id(tx: &mut Tx, id: UserId) -> Result<Option<UserRow>, StoreError> {
    tx.query_one(&FIND_BY_ID, &[Value::text(id)])?.as_ref().map(UserRow::read).transpose()
}

/// The workspace's people by name.
pub fn list(tx: &mut Tx, scope: &Scope) -> Result<Vec<UserRow>, StoreError> {
    read_all(tx.query(&LIST, &[scope.bind()])?, UserRow::read)
}

/// Sets the password's hash.
pub fn set_password(
    tx: &mut Tx,
    scope: &Scope,
    id: UserId,
    revision: i64,
    password_hash: &str,
) -> Result<(), StoreError> {
    let values = [scope.bind(), Value::text(id), revision.into(), password_hash.into()];
    won(tx.execute(&SET_PASSWORD, &values)?, "user", id)
}

/// Disables a person, or lets them in again with `None`.
pub fn set_disabled(
    tx: &mut Tx,
    scope: &Scope,
    id: UserId,
    revision: i64,
    at: Option<Timestamp>,
) -> Result<(), StoreError> {
    let values = [scope.bind(), Value::text(id), revision.into(), at.into()];
    won(tx.execute(&SET_DISABLED, &values)?, "user", id)
}

/// Remembers a sign-in; evidence of an active owner.
pub fn set_signed_in(
    tx: &mut Tx,
    scope: &Scope,
    id: UserId,
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(&SET_SIGNED_IN, &[scope.bind(), Value::text(id), at.into()]).map(|_| ())
}
