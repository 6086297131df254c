//! Dated KPI values that people bring.

use viaduct_base::{Day, KpiId, ProjectId, Timestamp};

use crate::columns::{columns, read_all, scoped};
use crate::{Scope, StoreError, Tx, Value, statement};

columns! {
    /// One day of one arm.
    pub struct HistoryRow {
        /// The project.
        project_id: ProjectId,
        /// The KPI.
        kpi_id: KpiId,
        /// The day.
        day: Day,
        /// The arm; empty before there were arms.
        arm: String,
        /// The value of the day.
        value: f64,
        /// How many units stand behind it.
        n: i64,
        /// Where it came from.
        source: String,
        /// When it was brought.
        recorded_at: Timestamp,
    }
}

// A day brought again replaces what was brought before; whether it may is the use case's question.
statement!(
    PUT,
    scoped,
    "INSERT INTO kpi_history (workspace_id, project_id, kpi_id, day, arm, value, n, source, \
     recorded_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
     ON CONFLICT (kpi_id, arm, day) DO UPDATE SET value = excluded.value, n = excluded.n, \
     source = excluded.source, recorded_at = excluded.recorded_at"
);
statement!(
    LIST,
    scoped,
    "SELECT * FROM kpi_history WHERE workspace_id = $1 AND kpi_id = $2 ORDER BY day, arm"
);

/// Writes a day, over an earlier value of the same day and arm.
pub fn put(tx: &mut Tx, scope: &Scope, row: &HistoryRow) -> Result<(), StoreError> {
    tx.execute(&PUT, &scoped(scope, row.values())).map(|_| ())
}

/// The KPI's history in order of days.
pub fn list(tx: &mut Tx, scope: &Scope, kpi: KpiId) -> Result<Vec<HistoryRow>, StoreError> {
    read_all(tx.query(&LIST, &[scope.bind(), Value::text(kpi)])?, HistoryRow::read)
}
