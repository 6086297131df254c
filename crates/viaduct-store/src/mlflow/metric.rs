//! Metric points and the latest of each key.

use viaduct_base::Timestamp;

use crate::{Row, Scope, StoreError, Tx, Value, statement};

/// One point of a metric. `value` may be NaN or infinite; the table keeps NaN as a flag and the
/// infinities clamped to the largest finite numbers, as MLflow does.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricRow {
    /// The metric's key.
    pub key: String,
    /// The value.
    pub value: f64,
    /// When it was measured.
    pub at: Timestamp,
    /// At which step.
    pub step: i64,
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO metric (run_id, workspace_id, key, step, at, value, is_nan) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) \
     ON CONFLICT (run_id, key, step, at, value, is_nan) DO NOTHING"
);
// The later of two points by (step, at, value), as MLflow orders them.
statement!(
    UPSERT_LATEST,
    scoped,
    "INSERT INTO latest_metric (run_id, workspace_id, key, step, at, value, is_nan) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) \
     ON CONFLICT (run_id, key) DO UPDATE SET step = excluded.step, at = excluded.at, \
     value = excluded.value, is_nan = excluded.is_nan \
     WHERE (excluded.step, excluded.at, excluded.value) \
         > (latest_metric.step, latest_metric.at, latest_metric.value)"
);
statement!(
    LIST_LATEST,
    scoped,
    "SELECT key, step, at, value, is_nan FROM latest_metric \
     WHERE workspace_id = $1 AND run_id = $2 ORDER BY key"
);
statement!(
    HISTORY,
    scoped,
    "SELECT key, step, at, value, is_nan FROM metric \
     WHERE workspace_id = $1 AND run_id = $2 AND key = $3 \
     ORDER BY at, step, value LIMIT $4 OFFSET $5"
);

/// Logs a point; the same point twice is one.
pub fn log(tx: &mut Tx, scope: &Scope, run_id: &str, row: &MetricRow) -> Result<(), StoreError> {
    let is_nan = row.value.is_nan();
    let value = if is_nan { 0.0 } else { row.value.clamp(f64::MIN, f64::MAX) };
    let values = [
        run_id.into(),
        Value::text(scope.workspace),
        (&row.key).into(),
        row.step.into(),
        row.at.into(),
        value.into(),
        i64::from(is_nan).into(),
    ];
    tx.execute(&INSERT, &values)?;
    tx.execute(&UPSERT_LATEST, &values).map(|_| ())
}

/// The latest point of each key of a run.
pub fn list_latest(tx: &mut Tx, scope: &Scope, run_id: &str) -> Result<Vec<MetricRow>, StoreError> {
    let values = [Value::text(scope.workspace), run_id.into()];
    tx.query(&LIST_LATEST, &values)?.iter().map(read).collect()
}

/// A page of a metric's points in order of time.
pub fn history(
    tx: &mut Tx,
    scope: &Scope,
    (run_id, key): (&str, &str),
    (limit, offset): (i64, i64),
) -> Result<Vec<MetricRow>, StoreError> {
    let workspace = Value::text(scope.workspace);
    let values = [workspace, run_id.into(), key.into(), limit.into(), offset.into()];
    tx.query(&HISTORY, &values)?.iter().map(read).collect()
}

pub(super) fn read(row: &Row) -> Result<MetricRow, StoreError> {
    let value = if row.flag("is_nan")? { f64::NAN } else { row.real("value")? };
    Ok(MetricRow { key: row.text("key")?, value, at: row.time("at")?, step: row.int("step")? })
}
