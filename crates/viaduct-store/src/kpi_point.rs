//! KPI values that the platform computes every day.

use viaduct_base::{Day, KpiId, ProjectId, Timestamp};

use crate::columns::{columns, read_all, scoped};
use crate::{Scope, StoreError, Tx, Value, statement};

columns! {
    /// One day of one arm.
    pub struct PointRow {
        /// The project.
        project_id: ProjectId,
        /// The KPI.
        kpi_id: KpiId,
        /// The day.
        day: Day,
        /// The arm; `all` for all together.
        arm: String,
        /// The value; `None` when the day had none.
        value: Option<f64>,
        /// How many units stand behind it.
        n: i64,
        /// The clock it was computed under.
        clock: String,
        /// When it was computed.
        computed_at: Timestamp,
    }
}

// Late and corrected outcomes change a day, so it is computed again.
statement!(
    PUT,
    scoped,
    "INSERT INTO kpi_point (workspace_id, project_id, kpi_id, day, arm, value, n, clock, \
     computed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
     ON CONFLICT (kpi_id, arm, day) DO UPDATE SET value = excluded.value, n = excluded.n, \
     clock = excluded.clock, computed_at = excluded.computed_at"
);
statement!(
    LIST,
    scoped,
    "SELECT * FROM kpi_point WHERE workspace_id = $1 AND kpi_id = $2 AND day >= $3 AND day <= $4 \
     ORDER BY day, arm"
);

/// Writes a day, over an earlier computation of the same day and arm.
pub fn put(tx: &mut Tx, scope: &Scope, row: &PointRow) -> Result<(), StoreError> {
    tx.execute(&PUT, &scoped(scope, row.values())).map(|_| ())
}

/// The KPI's points from `first` to `last`, both included.
pub fn list(
    tx: &mut Tx,
    scope: &Scope,
    kpi: KpiId,
    first: Day,
    last: Day,
) -> Result<Vec<PointRow>, StoreError> {
    let values = [scope.bind(), Value::text(kpi), first.into(), last.into()];
    read_all(tx.query(&LIST, &values)?, PointRow::read)
}
