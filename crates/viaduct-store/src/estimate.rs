//! Estimates of effects; computed anew, never changed.

use viaduct_base::{EstimateId, KpiId, ProjectId, Timestamp, TrialId};

use crate::columns::{columns, read_all, scoped};
use crate::{Scope, StoreError, Tx, Value, statement};

columns! {
    /// An estimate with its grade.
    pub struct EstimateRow {
        /// Its id.
        id: EstimateId,
        /// Its project.
        project_id: ProjectId,
        /// The KPI whose effect it is.
        kpi_id: Option<KpiId>,
        /// The trial it belongs to; `None` for a shadow comparison.
        trial_id: Option<TrialId>,
        /// `trial` or `shadow`.
        design: String,
        /// `A`, `B`, `C`, `S` or `D`; decided by the platform.
        grade: String,
        /// What the decision rule said, once it may speak.
        verdict: Option<String>,
        /// The effect; `None` before its one look.
        effect: Option<f64>,
        /// The lower end of its interval.
        lower: Option<f64>,
        /// The upper end of its interval.
        upper: Option<f64>,
        /// The interval's level.
        level: f64,
        /// Units with the model.
        n_model: i64,
        /// Units without it.
        n_control: i64,
        /// The effect's unit.
        unit: String,
        /// `live`, `simulated` or `replayed`.
        provenance: String,
        /// The first moment of what was compared.
        window_from: Option<Timestamp>,
        /// The last moment of what was compared.
        window_to: Option<Timestamp>,
        /// Everything else, as JSON.
        body_json: String,
        /// When it was computed.
        computed_at: Timestamp,
    }
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO estimate (workspace_id, id, project_id, kpi_id, trial_id, design, grade, \
     verdict, effect, lower, upper, level, n_model, n_control, unit, provenance, window_from, \
     window_to, body_json, computed_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, \
     $19, $20)"
);
statement!(FIND, scoped, "SELECT * FROM estimate WHERE workspace_id = $1 AND id = $2");
statement!(
    LIST,
    scoped,
    "SELECT * FROM estimate WHERE workspace_id = $1 AND project_id = $2 \
     ORDER BY computed_at DESC, id DESC LIMIT $3"
);
statement!(
    LATEST,
    scoped,
    "SELECT * FROM estimate WHERE workspace_id = $1 AND project_id = $2 AND design = $3 \
     ORDER BY computed_at DESC, id DESC LIMIT 1"
);
statement!(
    LATEST_BY_TRIAL,
    scoped,
    "SELECT * FROM estimate WHERE workspace_id = $1 AND project_id = $2 AND trial_id = $3 \
     ORDER BY computed_at DESC, id DESC LIMIT 1"
);

/// Adds an estimate.
pub fn insert(tx: &mut Tx, scope: &Scope, row: &EstimateRow) -> Result<(), StoreError> {
    tx.execute(&INSERT, &scoped(scope, row.values())).map(|_| ())
}

/// The estimate of that id.
pub fn find(tx: &mut Tx, scope: &Scope, id: EstimateId) -> Result<Option<EstimateRow>, StoreError> {
    let row = tx.query_one(&FIND, &[scope.bind(), Value::text(id)])?;
    row.as_ref().map(EstimateRow::read).transpose()
}

/// The project's estimates, newest first.
pub fn list(
    tx: &mut Tx,
    scope: &Scope,
    project: ProjectId,
    limit: i64,
) -> Result<Vec<EstimateRow>, StoreError> {
    let values = [scope.bind(), Value::text(project), limit.into()];
    read_all(tx.query(&LIST, &values)?, EstimateRow::read)
}

/// The project's newest estimate of a design.
pub fn latest(
    tx: &mut Tx,
    scope: &Scope,
    project: ProjectId,
    design: &str,
) -> Result<Option<EstimateRow>, StoreError> {
    let row = tx.query_one(&LATEST, &[scope.bind(), Value::text(project), design.into()])?;
    row.as_ref().map(EstimateRow::read).transpose()
}

/// The trial's newest estimate.
pub fn latest_by_trial(
    tx: &mut Tx,
    scope: &Scope,
    project: ProjectId,
    trial: TrialId,
) -> Result<Option<EstimateRow>, StoreError> {
    let values = [scope.bind(), Value::text(project), Value::text(trial)];
    tx.query_one(&LATEST_BY_TRIAL, &values)?.as_ref().map(EstimateRow::read).transpose()
}
