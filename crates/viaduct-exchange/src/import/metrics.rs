//! Points of metrics, streamed.
//!
//! Why no note of progress is kept: a series is written in the order of step, time and value, so
//! when its last point is here all of it is.

use std::collections::{HashMap, HashSet};

use viaduct_base::Timestamp;
use viaduct_store::mlflow::metric::{self, MetricRow};
use viaduct_store::mlflow::run_parts;
use viaduct_store::{Row, Scope, Store, StoreError, Value};

use super::Work;
use crate::source::text;
use crate::{ExchangeError, Line};

/// Points of one transaction.
const BATCH: usize = 20_000;

const SELECT: &str = "run_uuid, key, value, \"timestamp\" AS at, step, \
     CASE WHEN is_nan THEN 1 ELSE 0 END AS is_nan";

/// Counts of points.
#[derive(Debug, Default)]
pub(super) struct Points {
    found: u64,
    brought: u64,
}

impl Points {
    pub(super) fn line(&self) -> Line {
        Line {
            what: "metric points",
            found: self.found,
            brought: self.brought,
            present: self.found - self.brought,
            skipped: 0,
        }
    }
}

/// What makes one point later than another.
type Order = (i64, i64, f64);

fn order(row: &MetricRow) -> Order {
    // Why: MLflow and we keep a NaN as 0 with a flag beside it.
    let value = if row.value.is_nan() { 0.0 } else { row.value.clamp(f64::MIN, f64::MAX) };
    (row.step, row.at.as_micros(), value)
}

impl Work<'_> {
    /// Brings the points of the runs in a range of ids.
    pub(super) fn bring_points(
        &mut self,
        (after, last): (&str, &str),
        owners: &[(String, String)],
        points: &mut Points,
    ) -> Result<(), ExchangeError> {
        let range: [Value; 2] = [after.into(), last.into()];
        let whole = self.whole_series(&range, owners)?;
        let ours: HashMap<&str, &str> =
            owners.iter().map(|(run, experiment)| (run.as_str(), experiment.as_str())).collect();
        let sql = format!(
            "SELECT {SELECT} FROM metrics WHERE run_uuid > $1 AND run_uuid <= $2 \
             ORDER BY run_uuid, key, step, \"timestamp\", value"
        );
        let mut pile = Pile { store: self.store, scope: self.scope, runs: Vec::new(), count: 0 };
        self.source.each(&sql, &range, |row| {
            let run_id = text(&row, "run_uuid")?;
            let Some(experiment_id) = ours.get(run_id.as_str()) else { return Ok(()) };
            points.found += 1;
            let point = read(&row)?;
            if whole.contains(&(run_id.clone(), point.key.clone())) {
                return Ok(());
            }
            points.brought += 1;
            pile.add(run_id, experiment_id, point)
        })?;
        pile.write()?;
        Ok(())
    }

    /// The series whose last point is here.
    fn whole_series(
        &mut self,
        range: &[Value],
        owners: &[(String, String)],
    ) -> Result<HashSet<(String, String)>, ExchangeError> {
        let ids: Vec<String> = owners.iter().map(|(run, _)| run.clone()).collect();
        let (scope, asked) = (self.scope, ids.clone());
        let here = self
            .store
            .read_blocking("latest_metrics", move |tx| run_parts::of_runs(tx, &scope, &asked))?;
        let mut latest: HashMap<(String, String), Order> = HashMap::new();
        for (id, parts) in ids.into_iter().zip(here) {
            for row in &parts.metrics {
                latest.insert((id.clone(), row.key.clone()), order(row));
            }
        }
        let mut whole = HashSet::new();
        let sql =
            format!("SELECT {SELECT} FROM latest_metrics WHERE run_uuid > $1 AND run_uuid <= $2");
        self.source.each(&sql, range, |row| {
            let series = (text(&row, "run_uuid")?, text(&row, "key")?);
            let there = order(&read(&row)?);
            if latest.get(&series).is_some_and(|here| *here >= there) {
                whole.insert(series);
            }
            Ok(())
        })?;
        Ok(whole)
    }
}

fn read(row: &Row) -> Result<MetricRow, StoreError> {
    let is_nan = row.opt_int("is_nan")?.unwrap_or_default() != 0;
    let millis = row.opt_int("at")?.unwrap_or_default();
    Ok(MetricRow {
        key: text(row, "key")?,
        value: if is_nan { f64::NAN } else { row.opt_real("value")?.unwrap_or(f64::NAN) },
        at: Timestamp::from_micros(millis.saturating_mul(1000)),
        step: row.opt_int("step")?.unwrap_or_default(),
    })
}

/// Points on their way, by run.
struct Pile<'a> {
    store: &'a Store,
    scope: Scope,
    runs: Vec<(String, String, Vec<MetricRow>)>,
    count: usize,
}

impl Pile<'_> {
    fn add(&mut self, run: String, experiment: &str, point: MetricRow) -> Result<(), StoreError> {
        match self.runs.last_mut() {
            Some((last, _, points)) if *last == run => points.push(point),
            _ => self.runs.push((run, experiment.to_owned(), vec![point])),
        }
        self.count += 1;
        if self.count >= BATCH { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), StoreError> {
        let (runs, scope) = (std::mem::take(&mut self.runs), self.scope);
        self.count = 0;
        self.store.write_blocking("import_metrics", move |tx| {
            runs.iter().try_for_each(|(run, experiment, points)| {
                metric::log_many(tx, &scope, (run, experiment), points)
            })
        })
    }
}
