//! Points of metrics and the latest of each key.
//!
//! A point is first a row of `metric`; when many of one series stand there, they are packed into
//! one row of `metric_chunk`. Whoever reads sees one series.

mod chunk;
mod history;
mod sample;

use std::collections::BTreeMap;

use viaduct_base::Timestamp;

pub use chunk::Point;
pub use history::{Part, history, points};
pub use sample::sample;

use super::many::{places, put};
use crate::{Row, Scope, StoreError, Tx, Value, statement};

/// Points of one series in one call that are packed at once.
const PACKED_AT_ONCE: usize = 16;
/// Points of one series that stand as rows before they are packed.
const OPEN_MAX: i64 = 512;
/// Of so many points that are put, one asks whether its series is to be packed.
const ASKING: u64 = 32;

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

impl MetricRow {
    fn point(&self) -> Point {
        Point { at: self.at.as_micros(), step: self.step, value: self.value }
    }
}

statement!(
    LIST_LATEST,
    scoped,
    "SELECT key, step, at, value, is_nan FROM latest_metric \
     WHERE workspace_id = $1 AND run_id = $2 ORDER BY key"
);
statement!(
    INSERT_CHUNK,
    scoped,
    "INSERT INTO metric_chunk (run_id, workspace_id, key, chunk, points, first_at, last_at, packed) \
     VALUES ($1, $2, $3, (SELECT COALESCE(MAX(chunk), 0) + 1 FROM metric_chunk \
     WHERE run_id = $1 AND key = $3), $4, $5, $6, $7)"
);
statement!(
    LIST_OPEN,
    scoped,
    "SELECT at, step, value, is_nan FROM metric \
     WHERE workspace_id = $1 AND run_id = $2 AND key = $3"
);
statement!(
    DELETE_OPEN,
    scoped,
    "DELETE FROM metric WHERE workspace_id = $1 AND run_id = $2 AND key = $3"
);
statement!(
    CLOSE,
    scoped,
    "UPDATE latest_metric SET open_points = 0 \
     WHERE workspace_id = $1 AND run_id = $2 AND key = $3"
);
statement!(
    EXPERIMENT_OF_RUN,
    scoped,
    "SELECT experiment_id FROM run WHERE workspace_id = $1 AND run_id = $2"
);

/// Logs a point; the same point twice is one.
pub fn log(tx: &mut Tx, scope: &Scope, run_id: &str, row: &MetricRow) -> Result<(), StoreError> {
    let values = [scope.bind(), run_id.into()];
    let experiment = tx.query_one(&EXPERIMENT_OF_RUN, &values)?;
    let experiment = experiment.map(|row| row.text("experiment_id")).transpose()?;
    let owner = (run_id, experiment.as_deref().unwrap_or_default());
    log_many(tx, scope, owner, std::slice::from_ref(row))
}

/// Logs points of a run of an experiment; the same point twice is one.
pub fn log_many(
    tx: &mut Tx,
    scope: &Scope,
    owner: (&str, &str),
    rows: &[MetricRow],
) -> Result<(), StoreError> {
    let mut series: BTreeMap<&str, Vec<Point>> = BTreeMap::new();
    for row in rows {
        series.entry(&row.key).or_default().push(row.point());
    }
    // Why this first: it locks the series, so that no two callers pack it at the same time.
    let full = put_latest(tx, scope, owner, &series)?;
    let mut open = Vec::new();
    for (key, points) in series {
        if points.len() >= PACKED_AT_ONCE {
            insert_chunk(tx, scope, (owner.0, key), points)?;
        } else {
            open.extend(points.into_iter().map(|point| (key, point)));
        }
    }
    insert_open(tx, scope, owner.0, &open)?;
    full.iter().try_for_each(|key| close(tx, scope, (owner.0, key)))
}

fn insert_open(
    tx: &mut Tx,
    scope: &Scope,
    run_id: &str,
    points: &[(&str, Point)],
) -> Result<(), StoreError> {
    let text = |rows| {
        format!(
            "INSERT INTO metric (run_id, workspace_id, key, step, at, value, is_nan) VALUES {} \
             ON CONFLICT (run_id, key, step, at, value, is_nan) DO NOTHING",
            places(rows, 7)
        )
    };
    put(tx, points, text, |tx, sql, piece| {
        let mut values: Vec<Value> = vec![run_id.into(), scope.bind()];
        for (key, point) in piece {
            let (value, is_nan) = point.kept();
            values.extend([(*key).into(), point.step.into(), point.at.into(), value.into()]);
            values.push(is_nan.into());
        }
        tx.defer_compiled(sql, &values)
    })
}

/// The later of two points by (step, at, value), as MLflow orders them. Answers the keys of which
/// enough points stand open to be packed.
fn put_latest(
    tx: &mut Tx,
    scope: &Scope,
    (run_id, experiment_id): (&str, &str),
    series: &BTreeMap<&str, Vec<Point>>,
) -> Result<Vec<String>, StoreError> {
    let mut full = Vec::new();
    let latest: Vec<(&str, Point, i64)> = series
        .iter()
        .filter_map(|(key, points)| {
            let later = |a: &Point, b: &Point| {
                (a.step, a.at).cmp(&(b.step, b.at)).then(a.kept().0.total_cmp(&b.kept().0))
            };
            let last = points.iter().copied().max_by(later)?;
            let open = if points.len() >= PACKED_AT_ONCE { 0 } else { points.len() as i64 };
            Some((*key, last, open))
        })
        .collect();
    put(tx, &latest, upsert_latest, |tx, sql, piece| {
        let mut values: Vec<Value> = vec![run_id.into(), scope.bind()];
        for (key, point, open) in piece {
            let (value, is_nan) = point.kept();
            values.extend([(*key).into(), point.step.into(), point.at.into(), value.into()]);
            values.extend([is_nan.into(), experiment_id.into(), (*open).into()]);
        }
        // Why not each time: nobody needs to wait for the others.
        if !piece.iter().any(|(_, point, _)| asks(point)) {
            return tx.defer_compiled(sql, &values);
        }
        let sql = format!("{sql} RETURNING key, open_points");
        tx.visit_compiled(&sql, &values, |cells| {
            if cells.int(1)?.unwrap_or_default() >= OPEN_MAX {
                full.extend(cells.text(0)?.map(str::to_owned));
            }
            Ok(())
        })
    })?;
    Ok(full)
}

/// Whether a point is one of those that ask: evenly spread over steps and times, and always the
/// same ones.
fn asks(point: &Point) -> bool {
    // Knuth's multiplicative hashing (The Art of Computer Programming, vol. 3, 6.4): steps that
    // follow each other fall evenly. The second factor is a prime of the same kind (xxHash's).
    let mixed = (point.step as u64)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add((point.at as u64).wrapping_mul(0xC2B2_AE3D_27D4_EB4F));
    mixed < u64::MAX / ASKING
}

fn upsert_latest(rows: usize) -> String {
    const LATER: &str = "CASE WHEN (excluded.step, excluded.at, excluded.value) \
         > (latest_metric.step, latest_metric.at, latest_metric.value) THEN";
    let set: Vec<String> = ["step", "at", "value", "is_nan"]
        .iter()
        .map(|c| format!("{c} = {LATER} excluded.{c} ELSE latest_metric.{c} END"))
        .collect();
    format!(
        "INSERT INTO latest_metric (run_id, workspace_id, key, step, at, value, is_nan, \
         experiment_id, open_points) VALUES {} ON CONFLICT (run_id, key) DO UPDATE SET {}, \
         open_points = latest_metric.open_points + excluded.open_points",
        places(rows, 9),
        set.join(", ")
    )
}

fn insert_chunk(
    tx: &mut Tx,
    scope: &Scope,
    (run_id, key): (&str, &str),
    mut points: Vec<Point>,
) -> Result<(), StoreError> {
    chunk::settle(&mut points);
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Ok(()) };
    let values = [
        run_id.into(),
        scope.bind(),
        key.into(),
        (points.len() as i64).into(),
        first.at.into(),
        last.at.into(),
        chunk::pack(&points).into(),
    ];
    tx.defer(&INSERT_CHUNK, &values)
}

/// Packs the points of a series that stand as rows.
fn close(tx: &mut Tx, scope: &Scope, series: (&str, &str)) -> Result<(), StoreError> {
    let values = [scope.bind(), series.0.into(), series.1.into()];
    let mut points = Vec::new();
    tx.visit(&LIST_OPEN, &values, |cells| {
        points.push(history::open_point(cells)?);
        Ok(())
    })?;
    insert_chunk(tx, scope, series, points)?;
    tx.defer(&DELETE_OPEN, &values)?;
    tx.defer(&CLOSE, &values)
}

/// The latest point of each key of a run.
pub fn list_latest(tx: &mut Tx, scope: &Scope, run_id: &str) -> Result<Vec<MetricRow>, StoreError> {
    let values = [Value::text(scope.workspace), run_id.into()];
    tx.query(&LIST_LATEST, &values)?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<MetricRow, StoreError> {
    let value = if row.flag("is_nan")? { f64::NAN } else { row.real("value")? };
    Ok(MetricRow { key: row.text("key")?, value, at: row.time("at")?, step: row.int("step")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_ask_often_enough_however_they_are_numbered() {
        let steps = [(1, 0), (1, 1_000), (0, 1_000), (0, 1_000_000), (10, 0), (3, 16_667)];
        for (step, at) in steps {
            let mut silent = 0;
            for place in 0..20_000_i64 {
                let start = 1_790_000_000_000_000;
                let point = Point { at: start + place * at, step: place * step, value: 0.0 };
                silent = if asks(&point) { 0 } else { silent + 1 };
                assert!(silent < OPEN_MAX, "{step} {at}: nobody asks for {silent} points");
            }
        }
    }
}
