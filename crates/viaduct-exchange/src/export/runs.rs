//! Runs with everything that hangs on them.

use serde_json::Value as Json;
use viaduct_base::Digest;
use viaduct_store::mlflow::metric::{self, Point};
use viaduct_store::mlflow::run::{self, RunInputRow, RunModelRow, RunRow};
use viaduct_store::mlflow::run_parts::{self, RunParts};
use viaduct_store::{StoreError, Value};

use super::{Work, millis, number};
use crate::ExchangeError;

/// Runs that are read at once.
const BATCH: usize = 200;

/// A run with its parts and every point of its metrics.
struct Whole {
    row: RunRow,
    parts: RunParts,
    points: Vec<(String, Vec<Point>)>,
}

#[derive(Default)]
struct Counts {
    runs: u64,
    params: u64,
    tags: u64,
    points: u64,
    inputs: u64,
    models: u64,
}

impl Work<'_> {
    pub(super) fn runs(&mut self, experiments: &[String]) -> Result<(), ExchangeError> {
        let mut counts = Counts::default();
        self.watch.begin("experiments with runs", experiments.len() as u64);
        for experiment in experiments {
            let (scope, id) = (self.scope, experiment.clone());
            let rows = self
                .store
                .read_blocking("export_list_runs", move |tx| run::list(tx, &scope, &id))?;
            for batch in rows.chunks(BATCH) {
                for whole in self.read_whole(batch)? {
                    self.write_run(&whole, &mut counts)?;
                }
            }
            self.watch.advance(1);
        }
        self.wrote("runs", counts.runs);
        self.wrote("params", counts.params);
        self.wrote("tags", counts.tags);
        self.wrote("metric points", counts.points);
        self.wrote("dataset inputs", counts.inputs);
        self.wrote("model in/outputs", counts.models);
        Ok(())
    }

    fn read_whole(&self, rows: &[RunRow]) -> Result<Vec<Whole>, ExchangeError> {
        let (scope, rows) = (self.scope, rows.to_vec());
        Ok(self.store.read_blocking("export_runs", move |tx| {
            let ids: Vec<String> = rows.iter().map(|row| row.run_id.clone()).collect();
            let parts = run_parts::of_runs(tx, &scope, &ids)?;
            let mut all = Vec::with_capacity(rows.len());
            for (row, parts) in rows.iter().zip(parts) {
                let mut points = Vec::with_capacity(parts.metrics.len());
                for latest in &parts.metrics {
                    let series = (row.run_id.as_str(), latest.key.as_str());
                    points.push((latest.key.clone(), metric::points(tx, &scope, series)?));
                }
                all.push(Whole { row: row.clone(), parts, points });
            }
            Ok::<_, StoreError>(all)
        })?)
    }

    fn write_run(&mut self, whole: &Whole, counts: &mut Counts) -> Result<(), ExchangeError> {
        let row = &whole.row;
        self.db.execute(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, \
             status, start_time, end_time, source_version, lifecycle_stage, artifact_uri, \
             experiment_id, deleted_time) \
             VALUES ($1, $2, 'UNKNOWN', '', '', $3, $4, $5, $6, '', $7, $8, $9, $10)",
            &[
                (&row.run_id).into(),
                (&row.name).into(),
                (&row.user_name).into(),
                (&row.status).into(),
                millis(row.started_at),
                row.ended_at.map_or(Value::Null, millis),
                row.lifecycle.as_str().into(),
                (&row.artifact_uri).into(),
                number(&row.experiment_id)?,
                row.deleted_at.map_or(Value::Null, millis),
            ],
        )?;
        counts.runs += 1;
        for (sql, pairs) in [
            ("INSERT INTO params (run_uuid, key, value) VALUES ($1, $2, $3)", &whole.parts.params),
            ("INSERT INTO tags (run_uuid, key, value) VALUES ($1, $2, $3)", &whole.parts.tags),
        ] {
            for pair in pairs {
                let values = [(&row.run_id).into(), (&pair.key).into(), (&pair.value).into()];
                self.db.execute(sql, &values)?;
            }
        }
        counts.params += whole.parts.params.len() as u64;
        counts.tags += whole.parts.tags.len() as u64;
        self.write_metrics(whole, counts)?;
        for input in &whole.parts.inputs {
            self.write_input(row, input)?;
        }
        for model in &whole.parts.models {
            self.write_model(&row.run_id, model)?;
        }
        counts.inputs += whole.parts.inputs.len() as u64;
        counts.models += whole.parts.models.len() as u64;
        Ok(())
    }

    fn write_metrics(&mut self, whole: &Whole, counts: &mut Counts) -> Result<(), ExchangeError> {
        let run_id = &whole.row.run_id;
        for latest in &whole.parts.metrics {
            let (value, is_nan) = kept(latest.value);
            self.db.execute(
                "INSERT INTO latest_metrics (run_uuid, key, value, timestamp, step, is_nan) \
                 VALUES ($1, $2, $3, $4, $5, $6)",
                &[
                    run_id.into(),
                    (&latest.key).into(),
                    value,
                    millis(latest.at),
                    latest.step.into(),
                    is_nan,
                ],
            )?;
        }
        for (key, points) in &whole.points {
            for point in points {
                let (value, is_nan) = kept(point.value);
                let at = Value::Int(point.at.div_euclid(1000));
                // Why ignored: two points of one millisecond that differ by less are one there.
                counts.points += self.db.execute(
                    "INSERT OR IGNORE INTO metrics (run_uuid, key, value, timestamp, step, is_nan) \
                     VALUES ($1, $2, $3, $4, $5, $6)",
                    &[run_id.into(), key.into(), value, at, point.step.into(), is_nan],
                )?;
            }
        }
        Ok(())
    }

    fn write_input(&mut self, row: &RunRow, input: &RunInputRow) -> Result<(), ExchangeError> {
        let described: Json = serde_json::from_str(&input.dataset_json).unwrap_or_default();
        let text = |name: &str| described.get(name).and_then(Json::as_str);
        let dataset = id(&[&row.experiment_id, &input.name, &input.digest]);
        self.db.execute(
            "INSERT OR IGNORE INTO datasets (dataset_uuid, experiment_id, name, digest, \
             dataset_source_type, dataset_source, dataset_schema, dataset_profile) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            &[
                (&dataset).into(),
                number(&row.experiment_id)?,
                (&input.name).into(),
                (&input.digest).into(),
                text("source_type").unwrap_or_default().into(),
                text("source").unwrap_or_default().into(),
                text("schema").map_or(Value::Null, Value::from),
                text("profile").map_or(Value::Null, Value::from),
            ],
        )?;
        let used = id(&[&dataset, &row.run_id]);
        self.db.execute(
            "INSERT OR IGNORE INTO inputs (input_uuid, source_type, source_id, destination_type, \
             destination_id, step) VALUES ($1, 'DATASET', $2, 'RUN', $3, 0)",
            &[(&used).into(), (&dataset).into(), (&row.run_id).into()],
        )?;
        let tags: Json = serde_json::from_str(&input.tags_json).unwrap_or_default();
        for (name, value) in tags.as_object().into_iter().flatten() {
            self.db.execute(
                "INSERT OR IGNORE INTO input_tags (input_uuid, name, value) VALUES ($1, $2, $3)",
                &[(&used).into(), name.into(), value.as_str().unwrap_or_default().into()],
            )?;
        }
        Ok(())
    }

    fn write_model(&mut self, run_id: &str, model: &RunModelRow) -> Result<(), ExchangeError> {
        let (source, destination) = match model.direction.as_str() {
            "input" => ("RUN_INPUT", "MODEL_INPUT"),
            _ => ("RUN_OUTPUT", "MODEL_OUTPUT"),
        };
        self.db.execute(
            "INSERT OR IGNORE INTO inputs (input_uuid, source_type, source_id, destination_type, \
             destination_id, step) VALUES ($1, $2, $3, $4, $5, $6)",
            &[
                id(&[run_id, source, &model.model_id]).into(),
                source.into(),
                run_id.into(),
                destination.into(),
                (&model.model_id).into(),
                model.step.into(),
            ],
        )?;
        Ok(())
    }
}

/// A value and whether it is NaN, as MLflow's columns keep them.
pub(super) fn kept(value: f64) -> (Value, Value) {
    match value.is_nan() {
        true => (Value::Real(0.0), Value::Int(1)),
        false => (Value::Real(value.clamp(f64::MIN, f64::MAX)), Value::Int(0)),
    }
}

/// 32 hex digits that are the same for the same words.
fn id(words: &[&str]) -> String {
    let digest = Digest::of(words.join("\n").as_bytes());
    digest.as_str().chars().take(32).collect()
}
