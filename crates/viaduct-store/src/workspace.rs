//! Workspaces: business units, the isolation boundary.

use viaduct_base::{Timestamp, WorkspaceId};

use crate::engine::{Engine, Failure, Text};
use crate::{Row, StoreError, Tx, Value, statement};

/// The name of the workspace that every installation has.
pub const DEFAULT: &str = "default";

/// A workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceRow {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name, unique on the platform.
    pub name: String,
    /// What people read.
    pub title: String,
    /// Random text that entity hashes are salted with; never shown.
    pub salt: String,
    /// When it was made.
    pub created_at: Timestamp,
}

statement!(
    INSERT,
    platform,
    "INSERT INTO workspace (id, name, title, salt, created_at) VALUES ($1, $2, $3, $4, $5)"
);
statement!(
    INSERT_DEFAULT,
    platform,
    "INSERT INTO workspace (id, name, title, salt, created_at) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (name) DO NOTHING"
);
statement!(FIND_BY_NAME, platform, "SELECT * FROM workspace WHERE name = $1");
statement!(LIST, platform, "SELECT * FROM workspace ORDER BY name");

/// Makes the `default` workspace when there is none; part of opening.
pub(crate) fn ensure_default(engine: &mut dyn Engine, now: Timestamp) -> Result<(), Failure> {
    let salt = format!("{:032x}", rand::random::<u128>());
    let values = [
        Value::text(WorkspaceId::new(now)),
        DEFAULT.into(),
        "Default".into(),
        salt.into(),
        now.into(),
    ];
    engine.execute(Text::Known(&INSERT_DEFAULT), &values).map(|_| ())
}

/// Adds a workspace.
pub fn insert(tx: &mut Tx, row: &WorkspaceRow) -> Result<(), StoreError> {
    let values = [
        Value::text(row.id),
        (&row.name).into(),
        (&row.title).into(),
        (&row.salt).into(),
        row.created_at.into(),
    ];
    tx.execute(&INSERT, &values).map(|_| ())
}

/// The workspace of that name.
pub fn find_by_name(tx: &mut Tx, name: &str) -> Result<Option<WorkspaceRow>, StoreError> {
    tx.query_one(&FIND_BY_NAME, &[name.into()])?.as_ref().map(read).transpose()
}

/// All workspaces by name.
pub fn list(tx: &mut Tx) -> Result<Vec<WorkspaceRow>, StoreError> {
    tx.query(&LIST, &[])?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<WorkspaceRow, StoreError> {
    Ok(WorkspaceRow {
        id: row.parse("id")?,
        name: row.text("name")?,
        title: row.text("title")?,
        salt: row.text("salt")?,
        created_at: row.time("created_at")?,
    })
}
