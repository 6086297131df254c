//! Who changed what on a run, model, alias or tag, and when.

use viaduct_base::Timestamp;

use crate::{Row, Scope, StoreError, Tx, statement};

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    /// Its id; ids of later changes are greater.
    pub id: String,
    /// Of what: `run:<id>`, `experiment:<id>`, `logged_model:<id>`, `model:<name>`.
    pub subject: String,
    /// When.
    pub at: Timestamp,
    /// `user`, `token`, `anonymous` or `system`.
    pub actor_kind: String,
    /// Who, by name.
    pub actor_name: String,
    /// What was done: `tags.set`.
    pub verb: String,
    /// What it was before and what it is after, as JSON.
    pub change_json: String,
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO change (id, workspace_id, subject, at, actor_kind, actor_name, verb, change_json) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
);
statement!(
    LIST,
    scoped,
    "SELECT * FROM change WHERE workspace_id = $1 AND subject = $2 AND id < $3 \
     ORDER BY id DESC LIMIT $4"
);
statement!(
    RENAME,
    scoped,
    "UPDATE change SET subject = $3 WHERE workspace_id = $1 AND subject = $2"
);

/// Adds a change.
pub fn insert(tx: &mut Tx, scope: &Scope, row: &ChangeRow) -> Result<(), StoreError> {
    let values = [
        (&row.id).into(),
        scope.bind(),
        (&row.subject).into(),
        row.at.into(),
        (&row.actor_kind).into(),
        (&row.actor_name).into(),
        (&row.verb).into(),
        (&row.change_json).into(),
    ];
    tx.defer(&INSERT, &values)
}

/// A subject's changes, newest first, before the change `before` if one is named.
pub fn list(
    tx: &mut Tx,
    scope: &Scope,
    (subject, before): (&str, Option<&str>),
    limit: i64,
) -> Result<Vec<ChangeRow>, StoreError> {
    // Why `g`: ids are hex digits, and it is greater than any of them.
    let values = [scope.bind(), subject.into(), before.unwrap_or("g").into(), limit.into()];
    tx.query(&LIST, &values)?.iter().map(read).collect()
}

/// A subject's changes follow it to its new name.
pub fn rename(tx: &mut Tx, scope: &Scope, (from, to): (&str, &str)) -> Result<(), StoreError> {
    tx.execute(&RENAME, &[scope.bind(), from.into(), to.into()]).map(|_| ())
}

fn read(row: &Row) -> Result<ChangeRow, StoreError> {
    Ok(ChangeRow {
        id: row.text("id")?,
        subject: row.text("subject")?,
        at: row.time("at")?,
        actor_kind: row.text("actor_kind")?,
        actor_name: row.text("actor_name")?,
        verb: row.text("verb")?,
        change_json: row.text("change_json")?,
    })
}
