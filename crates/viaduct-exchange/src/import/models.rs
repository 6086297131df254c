//! Logged models (MLflow 3).

use std::collections::HashMap;
use std::sync::Arc;

use viaduct_base::Timestamp;
use viaduct_store::mlflow::logged_model::{self, LoggedModelRow, PairKind};
use viaduct_store::mlflow::metric::MetricRow;
use viaduct_store::mlflow::model_metric::{self, ModelMetricRow};
use viaduct_store::mlflow::{Pair, transfer};
use viaduct_store::{Row, StoreError};

use super::Work;
use super::runs::missing;
use crate::source::{moment, opt_text, pair, text};
use crate::{ExchangeError, Line};

/// Models of one transaction.
const BATCH: usize = 500;

/// A logged model with its parts.
struct Model {
    row: LoggedModelRow,
    params: Vec<Pair>,
    tags: Vec<Pair>,
    metrics: Vec<ModelMetricRow>,
}

impl Work<'_> {
    pub(super) fn bring_logged_models(&mut self) -> Result<(), ExchangeError> {
        if !self.source.has("logged_models", "model_id") {
            return Ok(());
        }
        let all = self.source.count("logged_models", "1 = 1")?;
        let models = Arc::new(self.read_models()?);
        self.watch.begin("logged models", models.len() as u64);
        let mut line = Line { what: "logged models", found: all, ..Line::default() };
        line.skipped = all.saturating_sub(models.len() as u64);
        for start in (0..models.len()).step_by(BATCH) {
            let (batch, scope) = (Arc::clone(&models), self.scope);
            let new = self.store.write_blocking("import_logged_models", move |tx| {
                let mut new = 0_u64;
                for model in batch.iter().skip(start).take(BATCH) {
                    let id = model.row.model_id.as_str();
                    if !transfer::has_logged_model(tx, &scope, id)? {
                        logged_model::insert(tx, &scope, &model.row)?;
                        new += 1;
                    }
                    for (kind, pairs) in
                        [(PairKind::Param, &model.params), (PairKind::Tag, &model.tags)]
                    {
                        let here = logged_model::list_pairs(tx, &scope, (id, kind))?;
                        for pair in missing(pairs, &here) {
                            logged_model::set_pair(tx, &scope, (id, kind), &pair)?;
                        }
                    }
                    for point in &model.metrics {
                        model_metric::insert(tx, &scope, &model.row.experiment_id, point)?;
                    }
                }
                Ok::<_, StoreError>(new)
            })?;
            line.brought += new;
            self.watch.advance(BATCH.min(models.len() - start) as u64);
        }
        line.present = models.len() as u64 - line.brought;
        self.report.add(line);
        Ok(())
    }

    fn read_models(&mut self) -> Result<Vec<Model>, ExchangeError> {
        let mut models = Vec::new();
        let (files, wanted) = (self.files.clone(), self.experiments.clone());
        self.source.each(
            "SELECT model_id, CAST(experiment_id AS TEXT) AS experiment_id, name, \
             artifact_location, creation_timestamp_ms, last_updated_timestamp_ms, status, \
             lifecycle_stage, model_type, source_run_id, status_message FROM logged_models \
             ORDER BY model_id",
            &[],
            |row| {
                let mut model = read(&row)?;
                if wanted.contains(&model.row.experiment_id) {
                    model.row.artifact_uri = files.uri(&model.row.artifact_uri);
                    models.push(model);
                }
                Ok(())
            },
        )?;
        let places: HashMap<String, usize> =
            models.iter().enumerate().map(|(at, m)| (m.row.model_id.clone(), at)).collect();
        for (table, is_param) in [("param", true), ("tag", false)] {
            let sql = format!(
                "SELECT model_id, {table}_key AS key, {table}_value AS value \
                 FROM logged_model_{table}s"
            );
            self.source.each(&sql, &[], |row| {
                let at = places.get(&text(&row, "model_id")?);
                if let Some(model) = at.and_then(|at| models.get_mut(*at)) {
                    let pairs = if is_param { &mut model.params } else { &mut model.tags };
                    pairs.push(pair(&row)?);
                }
                Ok(())
            })?;
        }
        if self.source.has("logged_model_metrics", "model_id") {
            self.source.each(
                "SELECT model_id, run_id, metric_name, metric_timestamp_ms, metric_step, \
                 metric_value, dataset_name, dataset_digest FROM logged_model_metrics",
                &[],
                |row| {
                    let at = places.get(&text(&row, "model_id")?);
                    if let Some(model) = at.and_then(|at| models.get_mut(*at)) {
                        model.metrics.push(read_metric(&row)?);
                    }
                    Ok(())
                },
            )?;
        }
        Ok(models)
    }
}

fn read(row: &Row) -> Result<Model, StoreError> {
    let updated_at = moment(row, "last_updated_timestamp_ms")?;
    let status = match row.opt_int("status")? {
        Some(1) => "LOGGED_MODEL_PENDING",
        Some(2) => "LOGGED_MODEL_READY",
        Some(3) => "LOGGED_MODEL_UPLOAD_FAILED",
        _ => "LOGGED_MODEL_STATUS_UNSPECIFIED",
    };
    let is_deleted = text(row, "lifecycle_stage")? == "deleted";
    Ok(Model {
        row: LoggedModelRow {
            model_id: text(row, "model_id")?,
            experiment_id: text(row, "experiment_id")?,
            name: text(row, "name")?,
            artifact_uri: text(row, "artifact_location")?,
            status: status.to_owned(),
            status_message: opt_text(row, "status_message")?,
            model_type: opt_text(row, "model_type")?,
            source_run_id: opt_text(row, "source_run_id")?,
            created_at: moment(row, "creation_timestamp_ms")?,
            updated_at,
            deleted_at: is_deleted.then_some(updated_at),
        },
        params: Vec::new(),
        tags: Vec::new(),
        metrics: Vec::new(),
    })
}

fn read_metric(row: &Row) -> Result<ModelMetricRow, StoreError> {
    let millis = row.opt_int("metric_timestamp_ms")?.unwrap_or_default();
    Ok(ModelMetricRow {
        model_id: text(row, "model_id")?,
        run_id: text(row, "run_id")?,
        metric: MetricRow {
            key: text(row, "metric_name")?,
            value: row.opt_real("metric_value")?.unwrap_or(f64::NAN),
            at: Timestamp::from_micros(millis.saturating_mul(1000)),
            step: row.opt_int("metric_step")?.unwrap_or_default(),
        },
        dataset_name: opt_text(row, "dataset_name")?,
        dataset_digest: opt_text(row, "dataset_digest")?,
    })
}
