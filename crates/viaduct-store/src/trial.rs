//! Trials: comparisons of arms with a plan registered before the first exposure.

use viaduct_base::{EndpointId, KpiId, ProjectId, Timestamp, TrialId, WorkspaceId};

use crate::columns::{columns, read_all, won};
use crate::{Scope, StoreError, Tx, Value, statement};

columns! {
    /// A trial.
    pub struct TrialRow {
        /// Its id.
        id: TrialId,
        /// Its workspace.
        workspace_id: WorkspaceId,
        /// Its project.
        project_id: ProjectId,
        /// The endpoint it splits.
        endpoint_id: EndpointId,
        /// The KPI it compares.
        kpi_id: KpiId,
        /// Its name, unique in the project.
        name: String,
        /// The registered plan as JSON.
        plan_json: String,
        /// The plan's hash.
        plan_hash: String,
        /// What entities are hashed with to find their arm.
        salt: String,
        /// The clock it runs under.
        clock: String,
        /// When the plan was registered.
        registered_at: Timestamp,
        /// Who registered it.
        registered_by: Option<String>,
        /// When exposure starts.
        starts_at: Timestamp,
        /// When exposure ends.
        ends_at: Timestamp,
        /// The one look: when all outcomes of exposed units have matured.
        looks_at: Timestamp,
        /// When it was stopped before its end.
        stopped_at: Option<Timestamp>,
        /// Why it was stopped.
        stopped_why: Option<String>,
        /// For compare-and-set; 1 when new.
        revision: i64,
    }
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO trial (id, workspace_id, project_id, endpoint_id, kpi_id, name, plan_json, \
     plan_hash, salt, clock, registered_at, registered_by, starts_at, ends_at, looks_at, \
     stopped_at, stopped_why, revision) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)"
);
statement!(FIND, scoped, "SELECT * FROM trial WHERE workspace_id = $1 AND id = $2");
statement!(
    FIND_BY_NAME,
    scoped,
    "SELECT * FROM trial WHERE workspace_id = $1 AND project_id = $2 AND name = $3"
);
statement!(
    LIST,
    scoped,
    "SELECT * FROM trial WHERE workspace_id = $1 AND project_id = $2 \
     ORDER BY registered_at DESC, id DESC"
);
// The data plane's snapshot holds the trials of all workspaces; ended ones too, for their holdout.
statement!(
    LIST_ALL,
    platform,
    "SELECT * FROM trial WHERE stopped_at IS NULL ORDER BY project_id, registered_at, id"
);
statement!(
    STOP,
    scoped,
    "UPDATE trial SET stopped_at = $4, stopped_why = $5, revision = revision + 1 \
     WHERE workspace_id = $1 AND id = $2 AND revision = $3 AND stopped_at IS NULL"
);

/// Registers a trial; a name that exists is [`StoreError::Unique`]. The plan never changes.
pub fn insert(tx: &mut Tx, row: &TrialRow) -> Result<(), StoreError> {
    tx.execute(&INSERT, &row.values()).map(|_| ())
}

/// The trial of that id.
pub fn find(tx: &mut Tx, scope: &Scope, id: TrialId) -> Result<Option<TrialRow>, StoreError> {
    let row = tx.query_one(&FIND, &[scope.bind(), Value::text(id)])?;
    row.as_ref().map(TrialRow::read).transpose()
}

/// The project's trial of that name.
pub fn find_by_name(
    tx: &mut Tx,
    scope: &Scope,
    project: ProjectId,
    name: &str,
) -> Result<Option<TrialRow>, StoreError> {
    let row = tx.query_one(&FIND_BY_NAME, &[scope.bind(), Value::text(project), name.into()])?;
    row.as_ref().map(TrialRow::read).transpose()
}

/// The project's trials, newest first.
pub fn list(tx: &mut Tx, scope: &Scope, project: ProjectId) -> Result<Vec<TrialRow>, StoreError> {
    read_all(tx.query(&LIST, &[scope.bind(), Value::text(project)])?, TrialRow::read)
}

/// All trials that were not stopped: for the data plane's snapshot and for analysis.
pub fn list_all(tx: &mut Tx) -> Result<Vec<TrialRow>, StoreError> {
    read_all(tx.query(&LIST_ALL, &[])?, TrialRow::read)
}

/// Stops a trial before its end.
pub fn stop(
    tx: &mut Tx,
    scope: &Scope,
    id: TrialId,
    revision: i64,
    why: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let values = [scope.bind(), Value::text(id), revision.into(), at.into(), why.into()];
    won(tx.execute(&STOP, &values)?, "trial", id)
}
