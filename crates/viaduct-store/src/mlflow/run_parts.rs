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
    let mut all = vec![RunParts::default(); run_ids.len()];
    let metrics = ("key, value, at, step, is_nan FROM latest_metric", "key");
    each(tx, scope, metrics, (run_ids, &mut all), |parts, cells| {
        parts.metrics.push(metric(cells)?);
        Ok(())
    })?;
    each(tx, scope, ("key, value FROM param", "key"), (run_ids, &mut all), |parts, cells| {
        parts.params.push(pair(cells)?);
        Ok(())
    })?;
    each(tx, scope, ("key, value FROM run_tag", "key"), (run_ids, &mut all), |parts, cells| {
        parts.tags.push(pair(cells)?);
        Ok(())
    })?;
    let inputs = ("name, digest, dataset_json, tags_json FROM run_input", "position");
    each(tx, scope, inputs, (run_ids, &mut all), |parts, cells| {
        parts.inputs.push(input(cells)?);
        Ok(())
    })?;
    let models = ("model_id, direction, step FROM run_model", "model_id");
    each(tx, scope, models, (run_ids, &mut all), |parts, cells| {
        parts.models.push(model(cells)?);
        Ok(())
    })?;
    Ok(all)
}

fn each(
    tx: &mut Tx,
    scope: &Scope,
    (what, order): (&str, &str),
    (ids, parts): (&[String], &mut [RunParts]),
    add: impl Fn(&mut RunParts, &dyn Cells) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let what = format!("run_id, {what}");
    many::rows(tx, scope, (&what, "run_id", "", order), ids, |at, cells| {
        parts.get_mut(at).map_or(Ok(()), |parts| add(parts, cells))
    })
}

fn pair(cells: &dyn Cells) -> Result<Pair, StoreError> {
    Ok(Pair { key: text(cells, 1)?, value: text(cells, 2)? })
}

fn metric(cells: &dyn Cells) -> Result<MetricRow, StoreError> {
    let is_nan = cells.int(5)? == Some(1);
    Ok(MetricRow {
        key: text(cells, 1)?,
        value: if is_nan { f64::NAN } else { cells.real(2)?.unwrap_or_default() },
        at: Timestamp::from_micros(cells.int(3)?.unwrap_or_default()),
        step: cells.int(4)?.unwrap_or_default(),
    })
}

fn input(cells: &dyn Cells) -> Result<RunInputRow, StoreError> {
    Ok(RunInputRow {
        name: text(cells, 1)?,
        digest: text(cells, 2)?,
        dataset_json: text(cells, 3)?,
        tags_json: text(cells, 4)?,
    })
}

fn model(cells: &dyn Cells) -> Result<RunModelRow, StoreError> {
    Ok(RunModelRow {
        model_id: text(cells, 1)?,
        direction: text(cells, 2)?,
        step: cells.int(3)?.unwrap_or_default(),
    })
}
