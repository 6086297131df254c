//! KPIs of projects, and the freezing of their baselines.

use viaduct_base::{Day, KpiId, ProjectId, Timestamp};

use crate::columns::{columns, read_all, scoped, won};
use crate::{Scope, StoreError, Tx, Value, statement};

columns! {
    /// A KPI.
    pub struct KpiRow {
        /// Its id.
        id: KpiId,
        /// Its project.
        project_id: ProjectId,
        /// Its name, unique in the project.
        name: String,
        /// Whether it is the project's primary KPI.
        is_primary: bool,
        /// Its checked part of the project file as JSON.
        spec_json: String,
        /// When it was added.
        created_at: Timestamp,
        /// When it was last changed.
        updated_at: Timestamp,
        /// When the project file stopped naming it.
        removed_at: Option<Timestamp>,
        /// When its baseline was frozen.
        frozen_at: Option<Timestamp>,
        /// Who froze it.
        frozen_by: Option<String>,
        /// The hash of the frozen points.
        frozen_hash: Option<String>,
        /// The first frozen day.
        frozen_first_day: Option<Day>,
        /// The last frozen day.
        frozen_last_day: Option<Day>,
        /// How many points were frozen.
        frozen_points: Option<i64>,
        /// For compare-and-set; 1 when new.
        revision: i64,
    }
}

/// A baseline to be frozen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// The hash of its points.
    pub hash: String,
    /// Its first day.
    pub first_day: Day,
    /// Its last day.
    pub last_day: Day,
    /// How many points it has.
    pub points: i64,
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO kpi (workspace_id, id, project_id, name, is_primary, spec_json, created_at, \
     updated_at, removed_at, frozen_at, frozen_by, frozen_hash, frozen_first_day, \
     frozen_last_day, frozen_points, revision) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
);
statement!(FIND, scoped, "SELECT * FROM kpi WHERE workspace_id = $1 AND id = $2");
statement!(
    FIND_BY_NAME,
    scoped,
    "SELECT * FROM kpi WHERE workspace_id = $1 AND project_id = $2 AND name = $3"
);
statement!(
    LIST,
    scoped,
    "SELECT * FROM kpi WHERE workspace_id = $1 AND project_id = $2 AND removed_at IS NULL \
     ORDER BY is_primary DESC, name"
);
// The same KPI measured by several projects is how a double claim is found.
statement!(
    LIST_NAMED,
    scoped,
    "SELECT * FROM kpi WHERE workspace_id = $1 AND name = $2 AND removed_at IS NULL ORDER BY id"
);
statement!(
    UPDATE_SPEC,
    scoped,
    "UPDATE kpi SET is_primary = $4, spec_json = $5, removed_at = $6, updated_at = $7, \
     revision = revision + 1 WHERE workspace_id = $1 AND id = $2 AND revision = $3"
);
// Frozen once: the condition makes a second freeze lose, whoever asks.
statement!(
    FREEZE,
    scoped,
    "UPDATE kpi SET frozen_at = $4, frozen_by = $5, frozen_hash = $6, frozen_first_day = $7, \
     frozen_last_day = $8, frozen_points = $9, updated_at = $4, revision = revision + 1 \
     WHERE workspace_id = $1 AND id = $2 AND revision = $3 AND frozen_at IS NULL"
);

/// Adds a KPI.
pub fn insert(tx: &mut Tx, scope: &Scope, row: &KpiRow) -> Result<(), StoreError> {
    tx.execute(&INSERT, &scoped(scope, row.values())).map(|_| ())
}

/// The KPI of that id.
pub fn find(tx: &mut Tx, scope: &Scope, id: KpiId) -> Result<Option<KpiRow>, StoreError> {
    tx.query_one(&FIND, &[scope.bind(), Value::text(id)])?.as_ref().map(KpiRow::read).transpose()
}

/// The project's KPI of that name, a removed one too: the file may name it again.
pub fn find_by_name(
    tx: &mut Tx,
    scope: &Scope,
    project: ProjectId,
    name: &str,
) -> Result<Option<KpiRow>, StoreError> {
    let row = tx.query_one(&FIND_BY_NAME, &[scope.bind(), Value::text(project), name.into()])?;
    row.as_ref().map(KpiRow::read).transpose()
}

/// The project's KPIs, the primary one first.
pub fn list(tx: &mut Tx, scope: &Scope, project: ProjectId) -> Result<Vec<KpiRow>, StoreError> {
    read_all(tx.query(&LIST, &[scope.bind(), Value::text(project)])?, KpiRow::read)
}

/// The KPIs of that name in all projects of the workspace.
pub fn list_named(tx: &mut Tx, scope: &Scope, name: &str) -> Result<Vec<KpiRow>, StoreError> {
    read_all(tx.query(&LIST_NAMED, &[scope.bind(), name.into()])?, KpiRow::read)
}

/// Writes `is_primary`, `spec_json`, `removed_at` and `updated_at` of `row`, which was read at its
/// `revision`.
pub fn update_spec(tx: &mut Tx, scope: &Scope, row: &KpiRow) -> Result<(), StoreError> {
    let values = [
        scope.bind(),
        Value::text(row.id),
        row.revision.into(),
        row.is_primary.into(),
        (&row.spec_json).into(),
        row.removed_at.into(),
        row.updated_at.into(),
    ];
    won(tx.execute(&UPDATE_SPEC, &values)?, "KPI", row.id)
}

/// Freezes the baseline; a frozen one stays as it is and the caller gets a conflict.
pub fn freeze(
    tx: &mut Tx,
    scope: &Scope,
    id: KpiId,
    revision: i64,
    freeze: &Freeze,
) -> Result<(), StoreError> {
    let values = [
        scope.bind(),
        Value::text(id),
        revision.into(),
        freeze.at.into(),
        (&freeze.by).into(),
        (&freeze.hash).into(),
        freeze.first_day.into(),
        freeze.last_day.into(),
        freeze.points.into(),
    ];
    won(tx.execute(&FREEZE, &values)?, "KPI", id)
}
