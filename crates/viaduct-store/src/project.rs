//! Projects: charter, tier, stage and state.

use viaduct_base::{ProjectId, Timestamp, UserId, WorkspaceId};

use crate::columns::{columns, read_all, scoped, won};
use crate::{Scope, StoreError, Tx, Value, statement};

columns! {
    /// A project to be added; it starts in the first stage, clear.
    pub struct NewProject {
        /// Its id.
        id: ProjectId,
        /// Its name, unique in the workspace among those not removed.
        name: String,
        /// What people read.
        title: String,
        /// `T1`, `T2` or `T3`.
        tier: String,
        /// When it entered its stage: now.
        stage_since: Timestamp,
        /// The checked project file as JSON.
        spec_json: String,
        /// The project file as it was submitted.
        manifest: String,
        /// The clock it lives under: `system` or `simulated`.
        clock: String,
        /// When it was added.
        created_at: Timestamp,
        /// Who added it.
        created_by: Option<UserId>,
        /// When it was last changed: now.
        updated_at: Timestamp,
    }
}

columns! {
    /// A project.
    pub struct ProjectRow {
        /// Its id.
        id: ProjectId,
        /// Its workspace.
        workspace_id: WorkspaceId,
        /// Its name.
        name: String,
        /// What people read.
        title: String,
        /// `T1`, `T2` or `T3`.
        tier: String,
        /// `concept`, `pilot`, `department`, `enterprise`, `shelved` or `retired`.
        stage: String,
        /// When it entered its stage.
        stage_since: Timestamp,
        /// `clear`, `under_review` or `frozen`.
        state: String,
        /// Why it was shelved.
        cause: Option<String>,
        /// What was said when it was shelved, retired or frozen.
        note: Option<String>,
        /// The checked project file as JSON.
        spec_json: String,
        /// The project file as it was submitted.
        manifest: String,
        /// The clock it lives under.
        clock: String,
        /// When it was added.
        created_at: Timestamp,
        /// Who added it.
        created_by: Option<UserId>,
        /// When it was last changed.
        updated_at: Timestamp,
        /// When it was removed.
        removed_at: Option<Timestamp>,
        /// For compare-and-set.
        revision: i64,
    }
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO project (workspace_id, id, name, title, tier, stage_since, spec_json, manifest, \
     clock, created_at, created_by, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
);
statement!(FIND, scoped, "SELECT * FROM project WHERE workspace_id = $1 AND id = $2");
statement!(
    FIND_BY_NAME,
    scoped,
    "SELECT * FROM project WHERE workspace_id = $1 AND name = $2 AND removed_at IS NULL"
);
statement!(
    LIST,
    scoped,
    "SELECT * FROM project WHERE workspace_id = $1 AND removed_at IS NULL ORDER BY name"
);
// Collectors and schedules walk all workspaces; each row brings the scope for what follows.
statement!(
    LIST_ALL,
    platform,
    "SELECT * FROM project WHERE removed_at IS NULL ORDER BY workspace_id, name"
);
statement!(
    UPDATE_SPEC,
    scoped,
    "UPDATE project SET title = $4, tier = $5, spec_json = $6, manifest = $7, updated_at = $8, \
     revision = revision + 1 \
     WHERE workspace_id = $1 AND id = $2 AND revision = $3 AND removed_at IS NULL"
);
// The one statement that writes a project's stage; a test counts them.
statement!(
    CHANGE_STAGE,
    scoped,
    "UPDATE project SET stage = $4, stage_since = $5, state = $6, cause = $7, note = $8, \
     updated_at = $5, revision = revision + 1 \
     WHERE workspace_id = $1 AND id = $2 AND revision = $3 AND removed_at IS NULL"
);
statement!(
    CHANGE_STATE,
    scoped,
    "UPDATE project SET state = $4, note = $5, updated_at = $6, revision = revision + 1 \
     WHERE workspace_id = $1 AND id = $2 AND revision = $3 AND removed_at IS NULL"
);
statement!(
    REMOVE,
    scoped,
    "UPDATE project SET removed_at = $4, updated_at = $4, revision = revision + 1 \
     WHERE workspace_id = $1 AND id = $2 AND revision = $3 AND removed_at IS NULL"
);

/// Which project, as read: the pair that compare-and-set compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// The project.
    pub id: ProjectId,
    /// Its revision when it was read.
    pub revision: i64,
}

impl ProjectRow {
    /// The pair that compare-and-set compares.
    pub fn at(&self) -> At {
        At { id: self.id, revision: self.revision }
    }
}

/// What `apply` may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecChange {
    /// The new title.
    pub title: String,
    /// The new tier.
    pub tier: String,
    /// The new checked file as JSON.
    pub spec_json: String,
    /// The new file.
    pub manifest: String,
    /// When.
    pub at: Timestamp,
}

/// A change of stage, decided by the domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageChange {
    /// The new stage.
    pub stage: String,
    /// The state that goes with it.
    pub state: String,
    /// Why, for a shelved project.
    pub cause: Option<String>,
    /// What was said.
    pub note: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// Adds a project; a name that exists is [`StoreError::Unique`].
pub fn insert(tx: &mut Tx, scope: &Scope, row: &NewProject) -> Result<(), StoreError> {
    tx.execute(&INSERT, &scoped(scope, row.values())).map(|_| ())
}

/// The project of that id, a removed one too.
pub fn find(tx: &mut Tx, scope: &Scope, id: ProjectId) -> Result<Option<ProjectRow>, StoreError> {
    let row = tx.query_one(&FIND, &[scope.bind(), Value::text(id)])?;
    row.as_ref().map(ProjectRow::read).transpose()
}

/// The project of that name.
pub fn find_by_name(
    tx: &mut Tx,
    scope: &Scope,
    name: &str,
) -> Result<Option<ProjectRow>, StoreError> {
    let row = tx.query_one(&FIND_BY_NAME, &[scope.bind(), name.into()])?;
    row.as_ref().map(ProjectRow::read).transpose()
}

/// The workspace's projects by name.
pub fn list(tx: &mut Tx, scope: &Scope) -> Result<Vec<ProjectRow>, StoreError> {
    read_all(tx.query(&LIST, &[scope.bind()])?, ProjectRow::read)
}

/// The projects of all workspaces: for collectors and schedules.
pub fn list_all(tx: &mut Tx) -> Result<Vec<ProjectRow>, StoreError> {
    read_all(tx.query(&LIST_ALL, &[])?, ProjectRow::read)
}

/// Writes what an applied file changes.
pub fn update_spec(
    tx: &mut Tx,
    scope: &Scope,
    at: At,
    change: &SpecChange,
) -> Result<(), StoreError> {
    let values = [
        scope.bind(),
        Value::text(at.id),
        at.revision.into(),
        (&change.title).into(),
        (&change.tier).into(),
        (&change.spec_json).into(),
        (&change.manifest).into(),
        change.at.into(),
    ];
    won(tx.execute(&UPDATE_SPEC, &values)?, "project", at.id)
}

/// Writes a new stage. Nothing else in the store does.
pub fn change_stage(
    tx: &mut Tx,
    scope: &Scope,
    at: At,
    change: &StageChange,
) -> Result<(), StoreError> {
    let values = [
        scope.bind(),
        Value::text(at.id),
        at.revision.into(),
        (&change.stage).into(),
        change.at.into(),
        (&change.state).into(),
        (&change.cause).into(),
        (&change.note).into(),
    ];
    won(tx.execute(&CHANGE_STAGE, &values)?, "project", at.id)
}

/// Writes a new state; the stage stays.
pub fn change_state(
    tx: &mut Tx,
    scope: &Scope,
    at: At,
    state: &str,
    note: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let values = [
        scope.bind(),
        Value::text(at.id),
        at.revision.into(),
        state.into(),
        note.into(),
        now.into(),
    ];
    won(tx.execute(&CHANGE_STATE, &values)?, "project", at.id)
}

/// Removes a project; its evidence stays.
pub fn remove(tx: &mut Tx, scope: &Scope, at: At, now: Timestamp) -> Result<(), StoreError> {
    let values = [scope.bind(), Value::text(at.id), at.revision.into(), now.into()];
    won(tx.execute(&REMOVE, &values)?, "project", at.id)
}
