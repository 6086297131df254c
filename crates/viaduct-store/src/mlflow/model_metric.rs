//! Metrics of logged models: what a run measured of a model, on which dataset.

use viaduct_base::Timestamp;

use super::many::{self, opt_text, text};
use super::metric::MetricRow;
use crate::{Cells, Scope, StoreError, Tx, statement};

/// A point of a metric of a logged model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelMetricRow {
    /// The logged model.
    pub model_id: String,
    /// The run that measured it.
    pub run_id: String,
    /// The point.
    pub metric: MetricRow,
    /// The dataset's name.
    pub dataset_name: Option<String>,
    /// The dataset's digest.
    pub dataset_digest: Option<String>,
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO logged_model_metric (model_id, workspace_id, experiment_id, run_id, key, step, at, \
     value, is_nan, dataset_name, dataset_digest) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
     ON CONFLICT (model_id, key, at, step, run_id) DO NOTHING"
);

/// Adds a point; one of the same key, time, step and run stays as it is.
pub fn insert(
    tx: &mut Tx,
    scope: &Scope,
    experiment_id: &str,
    row: &ModelMetricRow,
) -> Result<(), StoreError> {
    let metric = &row.metric;
    let is_nan = metric.value.is_nan();
    let value = if is_nan { 0.0 } else { metric.value.clamp(f64::MIN, f64::MAX) };
    let values = [
        (&row.model_id).into(),
        scope.bind(),
        experiment_id.into(),
        (&row.run_id).into(),
        (&metric.key).into(),
        metric.step.into(),
        metric.at.into(),
        value.into(),
        is_nan.into(),
        (&row.dataset_name).into(),
        (&row.dataset_digest).into(),
    ];
    tx.execute(&INSERT, &values).map(|_| ())
}

/// The metrics of many logged models, in the order of `ids`.
pub fn of_models(
    tx: &mut Tx,
    scope: &Scope,
    ids: &[String],
) -> Result<Vec<Vec<ModelMetricRow>>, StoreError> {
    let mut all = vec![Vec::new(); ids.len()];
    let what = "model_id, run_id, key, step, at, value, is_nan, dataset_name, dataset_digest \
                FROM logged_model_metric";
    let order = "key, at, step, run_id";
    many::rows(tx, scope, (what, "model_id", "", order), ids, |at, cells| {
        let row = read(cells)?;
        if let Some(rows) = all.get_mut(at) {
            Vec::push(rows, row);
        }
        Ok(())
    })?;
    Ok(all)
}

fn read(cells: &dyn Cells) -> Result<ModelMetricRow, StoreError> {
    let is_nan = cells.int(6)? == Some(1);
    Ok(ModelMetricRow {
        model_id: text(cells, 0)?,
        run_id: text(cells, 1)?,
        metric: MetricRow {
            key: text(cells, 2)?,
            step: cells.int(3)?.unwrap_or_default(),
            at: Timestamp::from_micros(cells.int(4)?.unwrap_or_default()),
            value: if is_nan { f64::NAN } else { cells.real(5)?.unwrap_or_default() },
        },
        dataset_name: opt_text(cells, 7)?,
        dataset_digest: opt_text(cells, 8)?,
    })
}
