//! Logged models and the registry.

use viaduct_store::mlflow::logged_model::{self, PairKind};
use viaduct_store::mlflow::registry::{self, ModelRow, Tagged, VersionRow};
use viaduct_store::mlflow::{model_metric, transfer};
use viaduct_store::{StoreError, Value};

use super::{WORKSPACE, Work, millis, number, uri};
use crate::ExchangeError;

/// Logged models that are read at once.
const BATCH: usize = 500;

impl Work<'_> {
    pub(super) fn logged_models(&mut self) -> Result<(), ExchangeError> {
        let scope = self.scope;
        let rows = self.store.read_blocking("export_list_logged_models", move |tx| {
            transfer::list_logged_models(tx, &scope)
        })?;
        self.watch.begin("logged models", rows.len() as u64);
        for batch in rows.chunks(BATCH) {
            let ids: Vec<String> = batch.iter().map(|row| row.model_id.clone()).collect();
            let (params, tags, metrics) =
                self.store.read_blocking("export_logged_models", move |tx| {
                    Ok::<_, StoreError>((
                        logged_model::pairs_of_models(tx, &scope, PairKind::Param, &ids)?,
                        logged_model::pairs_of_models(tx, &scope, PairKind::Tag, &ids)?,
                        model_metric::of_models(tx, &scope, &ids)?,
                    ))
                })?;
            for (((row, params), tags), metrics) in batch.iter().zip(params).zip(tags).zip(metrics)
            {
                self.write_logged_model(row)?;
                let experiment = number(&row.experiment_id)?;
                for (table, pairs) in [("param", params), ("tag", tags)] {
                    let sql = format!(
                        "INSERT INTO logged_model_{table}s (model_id, experiment_id, {table}_key, \
                         {table}_value) VALUES ($1, $2, $3, $4)"
                    );
                    for pair in pairs {
                        let (key, value) = (pair.key.into(), pair.value.into());
                        self.db.execute(
                            &sql,
                            &[(&row.model_id).into(), experiment.clone(), key, value],
                        )?;
                    }
                }
                for point in metrics {
                    self.write_model_metric(&experiment, &point)?;
                }
            }
            self.watch.advance(batch.len() as u64);
        }
        self.wrote("logged models", rows.len() as u64);
        Ok(())
    }

    fn write_logged_model(
        &mut self,
        row: &logged_model::LoggedModelRow,
    ) -> Result<(), ExchangeError> {
        let status = match row.status.as_str() {
            "LOGGED_MODEL_PENDING" => 1,
            "LOGGED_MODEL_READY" => 2,
            "LOGGED_MODEL_UPLOAD_FAILED" => 3,
            _ => 0,
        };
        let lifecycle = if row.deleted_at.is_some() { "deleted" } else { "active" };
        self.db.execute(
            "INSERT INTO logged_models (model_id, experiment_id, name, artifact_location, \
             creation_timestamp_ms, last_updated_timestamp_ms, status, lifecycle_stage, model_type, \
             source_run_id, status_message) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            &[
                (&row.model_id).into(),
                number(&row.experiment_id)?,
                (&row.name).into(),
                (&row.artifact_uri).into(),
                millis(row.created_at),
                millis(row.updated_at),
                status.into(),
                lifecycle.into(),
                (&row.model_type).into(),
                (&row.source_run_id).into(),
                (&row.status_message).into(),
            ],
        )?;
        Ok(())
    }

    fn write_model_metric(
        &mut self,
        experiment: &Value,
        point: &model_metric::ModelMetricRow,
    ) -> Result<(), ExchangeError> {
        let value = match point.metric.value.is_nan() {
            true => Value::Null,
            false => Value::Real(point.metric.value),
        };
        self.db.execute(
            "INSERT OR IGNORE INTO logged_model_metrics (model_id, metric_name, \
             metric_timestamp_ms, metric_step, metric_value, experiment_id, run_id, dataset_uuid, \
             dataset_name, dataset_digest) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, $8, $9)",
            &[
                (&point.model_id).into(),
                (&point.metric.key).into(),
                millis(point.metric.at),
                point.metric.step.into(),
                value,
                experiment.clone(),
                (&point.run_id).into(),
                (&point.dataset_name).into(),
                (&point.dataset_digest).into(),
            ],
        )?;
        Ok(())
    }

    pub(super) fn registered_models(&mut self) -> Result<(), ExchangeError> {
        let scope = self.scope;
        let rows = self.store.read_blocking("export_models", move |tx| {
            transfer::list_registered_models(tx, &scope)
        })?;
        self.watch.begin("registered models", rows.len() as u64);
        let (mut versions, mut aliases) = (0, 0);
        for row in &rows {
            let name = row.name.clone();
            let (tags, here, named) = self.store.read_blocking("export_model", move |tx| {
                let mut versions = Vec::new();
                for version in registry::list_versions(tx, &scope, &name)? {
                    let tagged = Tagged::Version(&name, version.version);
                    let tags = registry::list_tags(tx, &scope, tagged)?;
                    versions.push((version, tags));
                }
                Ok::<_, StoreError>((
                    registry::list_tags(tx, &scope, Tagged::Model(&name))?,
                    versions,
                    registry::list_aliases(tx, &scope, &name)?,
                ))
            })?;
            self.write_registered_model(row)?;
            for tag in tags {
                self.db.execute(
                    "INSERT INTO registered_model_tags (name, key, value, workspace) \
                     VALUES ($1, $2, $3, $4)",
                    &[(&row.name).into(), tag.key.into(), tag.value.into(), WORKSPACE.into()],
                )?;
            }
            for (version, tags) in &here {
                self.write_version(version)?;
                for tag in tags {
                    self.db.execute(
                        "INSERT INTO model_version_tags (name, version, key, value, workspace) \
                         VALUES ($1, $2, $3, $4, $5)",
                        &[
                            (&row.name).into(),
                            version.version.into(),
                            (&tag.key).into(),
                            (&tag.value).into(),
                            WORKSPACE.into(),
                        ],
                    )?;
                }
            }
            for alias in &named {
                self.db.execute(
                    "INSERT INTO registered_model_aliases (name, alias, version, workspace) \
                     VALUES ($1, $2, $3, $4)",
                    &[
                        (&row.name).into(),
                        (&alias.alias).into(),
                        alias.version.into(),
                        WORKSPACE.into(),
                    ],
                )?;
            }
            versions += here.len() as u64;
            aliases += named.len() as u64;
            self.watch.advance(1);
        }
        self.wrote("registered models", rows.len() as u64);
        self.wrote("model versions", versions);
        self.wrote("aliases", aliases);
        Ok(())
    }

    fn write_registered_model(&mut self, row: &ModelRow) -> Result<(), ExchangeError> {
        self.db.execute(
            "INSERT INTO registered_models (name, creation_time, last_updated_time, description, \
             workspace) VALUES ($1, $2, $3, $4, $5)",
            &[
                (&row.name).into(),
                millis(row.created_at),
                millis(row.updated_at),
                (&row.description).into(),
                WORKSPACE.into(),
            ],
        )?;
        Ok(())
    }

    fn write_version(&mut self, row: &VersionRow) -> Result<(), ExchangeError> {
        self.db.execute(
            "INSERT INTO model_versions (name, version, creation_time, last_updated_time, \
             description, user_id, current_stage, source, run_id, status, status_message, run_link, \
             storage_location, workspace) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            &[
                (&row.name).into(),
                row.version.into(),
                millis(row.created_at),
                millis(row.updated_at),
                (&row.description).into(),
                (&row.user_name).into(),
                (&row.current_stage).into(),
                (&row.source).into(),
                (&row.run_id).into(),
                (&row.status).into(),
                (&row.status_message).into(),
                (&row.run_link).into(),
                uri(&row.storage_path).into(),
                WORKSPACE.into(),
            ],
        )?;
        Ok(())
    }
}
