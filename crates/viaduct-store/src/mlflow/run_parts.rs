//! What hangs on runs, read for a page of them at once.

use viaduct_base::Timestamp;

use super::Pair;
use super::many::{self, text};
use super::metric::MetricRow;
use super::run::{RunInputRow, RunModelRow};
use crate::{Cells, Scope, StoreError, Tx};

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
    let parts = of_runs(tx, scope, &[run_id.to_owned()])?;
    Ok(parts.into_iter().next().unwrap_or_default())
}

/// The parts of many runs, in the order of `run_ids`.
pub fn of_runs(
    tx: &mut Tx,
    scope: &Scope,
    run_ids: &[String],
) -> Result<Vec<RunParts>, StoreError> {
    let (mut asked, mut kinds) = (Vec::new(), Vec::new());
    for (add, what, order) in KINDS {
        let what = format!("run_id, {what}");
        asked.extend(many::asking(scope, (&what, "run_id", "", order), run_ids));
        kinds.resize(asked.len(), add);
    }
    let mut all = vec![RunParts::default(); run_ids.len()];
    let places = many::places_of(run_ids);
    tx.visit_all(&asked, |question, cells| {
        let at = cells.text(0)?.and_then(|id| places.get(id));
        match (kinds.get(question), at.and_then(|at| all.get_mut(*at))) {
            (Some(add), Some(parts)) => add(parts, cells),
            _ => Ok(()),
        }
    })?;
    Ok(all)
}

type Add = fn(&mut RunParts, &dyn Cells) -> Result<(), StoreError>;

/// How each part is added, what it is read from, and in which order.
const KINDS: [(Add, &str, &str); 5] = [
    (add_metric, "key, value, at, step, is_nan FROM latest_metric", "key"),
    (
        |parts, cells| pair(cells).map(|pair| parts.params.push(pair)),
        "key, value FROM param",
        "key",
    ),
    (
        |parts, cells| pair(cells).map(|pair| parts.tags.push(pair)),
        "key, value FROM run_tag",
        "key",
    ),
    (add_input, "name, digest, dataset_json, tags_json FROM run_input", "position"),
    (add_model, "model_id, direction, step FROM run_model", "model_id"),
];

fn pair(cells: &dyn Cells) -> Result<Pair, StoreError> {
    Ok(Pair { key: text(cells, 1)?, value: text(cells, 2)? })
}

fn add_metric(parts: &mut RunParts, cells: &dyn Cells) -> Result<(), StoreError> {
    let is_nan = cells.int(5)? == Some(1);
    parts.metrics.push(MetricRow {
        key: text(cells, 1)?,
        value: if is_nan { f64::NAN } else { cells.real(2)?.unwrap_or_default() },
        at: Timestamp::from_micros(cells.int(3)?.unwrap_or_default()),
        step: cells.int(4)?.unwrap_or_default(),
    });
    Ok(())
}

fn add_input(parts: &mut RunParts, cells: &dyn Cells) -> Result<(), StoreError> {
    parts.inputs.push(RunInputRow {
        name: text(cells, 1)?,
        digest: text(cells, 2)?,
        dataset_json: text(cells, 3)?,
        tags_json: text(cells, 4)?,
    });
    Ok(())
}

fn add_model(parts: &mut RunParts, cells: &dyn Cells) -> Result<(), StoreError> {
    parts.models.push(RunModelRow {
        model_id: text(cells, 1)?,
        direction: text(cells, 2)?,
        step: cells.int(3)?.unwrap_or_default(),
    });
    Ok(())
}
