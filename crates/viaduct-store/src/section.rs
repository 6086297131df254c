//! Sections of a project's file, and since when each has been as it is.

use viaduct_base::{ProjectId, Timestamp};

use crate::{Row, Scope, StoreError, Tx, Value, statement};

/// A section as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionRow {
    /// Its key in the file.
    pub section: String,
    /// The hash of its content.
    pub hash: String,
    /// Since when it has had this content.
    pub since: Timestamp,
}

// The moment moves only when the content does.
statement!(
    PUT,
    scoped,
    "INSERT INTO project_section (project_id, workspace_id, section, hash, since) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (project_id, section) \
     DO UPDATE SET hash = excluded.hash, since = excluded.since \
     WHERE project_section.hash <> excluded.hash"
);
statement!(
    LIST,
    scoped,
    "SELECT section, hash, since FROM project_section \
     WHERE workspace_id = $1 AND project_id = $2 ORDER BY section"
);

/// Notes a section's content; an unchanged one keeps its moment.
pub fn put(
    tx: &mut Tx,
    scope: &Scope,
    project: ProjectId,
    row: &SectionRow,
) -> Result<(), StoreError> {
    let values = [
        Value::text(project),
        Value::text(scope.workspace),
        (&row.section).into(),
        (&row.hash).into(),
        row.since.into(),
    ];
    tx.execute(&PUT, &values).map(|_| ())
}

/// A project's sections by key.
pub fn list(tx: &mut Tx, scope: &Scope, project: ProjectId) -> Result<Vec<SectionRow>, StoreError> {
    let read = |row: &Row| {
        Ok(SectionRow {
            section: row.text("section")?,
            hash: row.text("hash")?,
            since: row.time("since")?,
        })
    };
    let values = [Value::text(scope.workspace), Value::text(project)];
    tx.query(&LIST, &values)?.iter().map(read).collect()
}
