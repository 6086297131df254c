//! What hangs on runs, read for a page of them at once.

use std::collections::BTreeMap;

use super::Pair;
use super::metric::{self, MetricRow};
use super::pair;
use super::run::{self, RunInputRow, RunModelRow};
use crate::{Row, Scope, StoreError, Tx, Value};

/// Runs asked for in one statement: both engines take more placeholders, none gains by it.
const RUNS_PER_STATEMENT: usize = 500;

/// What hangs on a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunParts {
    /// The latest point of each metric, by key.
    pub metrics: Vec<MetricRow>,
    /// Params by key.
    pub params: Vec<Pair>,
    /// Tags by key.
    pub tags: Vec<Pair>,
    /// Datasets that it read.
    pub inputs: Vec<RunInputRow>,
    /// Models that it read or made.
    pub models: Vec<RunModelRow>,
}

/// The parts of one run.
pub fn of_run(tx: &mut Tx, scope: &Scope, run_id: &str) -> Result<RunParts, StoreError> {
    Ok(RunParts {
        metrics: metric::list_latest(tx, scope, run_id)?,
        params: pair::list_params(tx, scope, run_id)?,
        tags: pair::list_run_tags(tx, scope, run_id)?,
        inputs: run::list_inputs(tx, scope, run_id)?,
        models: run::list_models(tx, scope, run_id)?,
    })
}

/// The parts of many runs, by run.
pub fn of_runs(
    tx: &mut Tx,
    scope: &Scope,
    run_ids: &[String],
) -> Result<BTreeMap<String, RunParts>, StoreError> {
    let mut parts: BTreeMap<String, RunParts> = BTreeMap::new();
    for ids in run_ids.chunks(RUNS_PER_STATEMENT) {
        for row in rows(tx, scope, ids, ("latest_metric", "key"))? {
            parts.entry(row.text("run_id")?).or_default().metrics.push(metric::read(&row)?);
        }
        for row in rows(tx, scope, ids, ("param", "key"))? {
            parts.entry(row.text("run_id")?).or_default().params.push(pair::read(&row)?);
        }
        for row in rows(tx, scope, ids, ("run_tag", "key"))? {
            parts.entry(row.text("run_id")?).or_default().tags.push(pair::read(&row)?);
        }
        for row in rows(tx, scope, ids, ("run_input", "position"))? {
            parts.entry(row.text("run_id")?).or_default().inputs.push(run::read_input(&row)?);
        }
        for row in rows(tx, scope, ids, ("run_model", "model_id"))? {
            parts.entry(row.text("run_id")?).or_default().models.push(run::read_model(&row)?);
        }
    }
    Ok(parts)
}

fn rows(
    tx: &mut Tx,
    scope: &Scope,
    ids: &[String],
    (table, order): (&'static str, &'static str),
) -> Result<Vec<Row>, StoreError> {
    let mut values = vec![scope.bind()];
    values.extend(ids.iter().map(Value::from));
    let places: Vec<String> = (2..=values.len()).map(|n| format!("${n}")).collect();
    let sql = format!(
        "SELECT * FROM {table} WHERE workspace_id = $1 AND run_id IN ({}) ORDER BY run_id, {order}",
        places.join(", ")
    );
    tx.query_compiled(&sql, &values)
}
