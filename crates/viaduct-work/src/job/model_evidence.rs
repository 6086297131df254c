//! Reads what the bound version's run carries, and scores its test rows with the registered ONNX.

use std::sync::Arc;

use viaduct_app::App;
use viaduct_app::mlflow::resolve::{
    ModelFiles, ResolvedVersion, read_model, resolve_version, run_artifact,
};
use viaduct_base::{Digest, Error, Fault};
use viaduct_blob::Blobs;
use viaduct_domain::contract::{Contract, LogicalType};
use viaduct_domain::manifest::{ModelRef, Pick, Task as SpecTask};
use viaduct_infer::{LoadOptions, Model, Runtime};
use viaduct_store::Scope;

use super::Cache;
use super::ground::Rows;
use crate::evidence::leakage;
use crate::evidence::model::{BASELINES, TimeSplit, baseline_predictions, compare};
use crate::evidence::table::{BadTable, Table};
use crate::measure::{ModelEvidence, Probe};

/// Largest table that is read.
const TABLE_BYTES_MAX: u64 = 256 << 20;
/// Rows scored at once.
const BATCH: usize = 1_000;

/// The bound version's evidence; `None` when nothing is bound or its files are not there.
pub(super) async fn of(
    app: &App,
    rows: &Rows,
    cache: &Cache,
) -> Result<Option<Arc<ModelEvidence>>, Error> {
    let Some(bound) = rows.gate.binding.clone() else { return Ok(None) };
    let contract = rows.project.spec.contract.clone();
    let hash = contract.as_ref().map(|c| c.hash().to_string()).unwrap_or_default();
    let key = format!("{}/{}@{hash}", bound.model_name, bound.version);
    if let Some(found) = cache.lock().unwrap_or_else(|e| e.into_inner()).get(&key) {
        return Ok(Some(Arc::clone(found)));
    }
    let scope = Scope::of(app.workspace());
    let reference = ModelRef {
        name: bound.model_name.clone(),
        pick: Pick::Version(u64::try_from(bound.version).unwrap_or_default()),
    };
    let version = app
        .store()
        .read("resolve_version", move |tx| resolve_version(tx, &scope, &reference))
        .await
        .map_err(Error::from)?;
    let Some(version) = version else { return Ok(None) };
    let (app, task) = (app.clone(), rows.project.spec.charter.task);
    let read = tokio::task::spawn_blocking(move || evidence(&app, &version, contract, task));
    let found = read.await.map_err(|e| Fault::caused("score a model", e))??;
    let Some((evidence, complete)) = found else { return Ok(None) };
    let evidence = Arc::new(evidence);
    if complete {
        // Why only then: artifacts of a run may still be on their way.
        cache.lock().unwrap_or_else(|e| e.into_inner()).insert(key, Arc::clone(&evidence));
    }
    Ok(Some(evidence))
}

fn evidence(
    app: &App,
    version: &ResolvedVersion,
    contract: Option<Contract>,
    task: SpecTask,
) -> Result<Option<(ModelEvidence, bool)>, Error> {
    let files = match read_model(app.blobs(), version) {
        Ok(files) => files,
        Err(reason) => {
            tracing::info!(model = %version.name, version = version.version, "{reason}");
            return Ok(None);
        }
    };
    let runtime = match app.runtime() {
        Ok(runtime) => runtime,
        // Why no failure: everything that needs no model is measured all the same.
        Err(reason) => {
            tracing::warn!(model = %version.name, version = version.version, "{reason}");
            return Ok(None);
        }
    };
    let model = match load(&runtime, &files) {
        Ok(model) => model,
        Err(reason) => {
            tracing::warn!(model = %version.name, version = version.version, "{reason}");
            return Ok(None);
        }
    };
    let inputs = if files.inputs.is_empty() { model.features() } else { files.inputs.clone() };
    let probe = contract.and_then(|contract| {
        probe(app.blobs(), version, &model, &contract, task)
            .inspect_err(|reason| {
                tracing::info!(model = %version.name, version = version.version, "{reason}");
            })
            .ok()
    });
    let complete = probe.is_some();
    Ok(Some((ModelEvidence { version: version.version, inputs, probe }, complete)))
}

fn load(runtime: &Runtime, files: &ModelFiles) -> Result<Model, String> {
    let features = Some(files.inputs.clone()).filter(|inputs| !inputs.is_empty());
    runtime
        .load(&files.onnx, LoadOptions { features, classes: None })
        .map_err(|error| error.to_string())
}

fn probe(
    blobs: &Blobs,
    version: &ResolvedVersion,
    model: &Model,
    contract: &Contract,
    task: SpecTask,
) -> Result<Probe, String> {
    let read = |path: &str| -> Result<Table, String> {
        let missing =
            || format!("the run of `{}/{}` has no `{path}`", version.name, version.version);
        let blob = run_artifact(version, path).ok_or_else(missing)?;
        let bytes = blobs.read(&blob, TABLE_BYTES_MAX).map_err(|e| e.to_string())?;
        Table::read(path, &bytes.ok_or_else(missing)?).map_err(|e| e.to_string())
    };
    let (train, test) = (read("viaduct/train.csv")?, read("viaduct/test.csv")?);
    let baselines = read("viaduct/baselines.csv")?;
    // Why: a row given twice would count as two, and narrow the interval for nothing.
    test.require_unique("row_id").map_err(|e| e.to_string())?;
    let truth = test.numbers("y").map_err(|e| e.to_string())?;
    let scores = score(model, contract, &test, task)?;
    let mut beats = Vec::new();
    for column in BASELINES {
        // Why not from the file: the constant is what the training rows say, whoever wrote the file.
        let predicted = match column {
            "constant" => constant(&train, test.len()),
            _ => baseline_predictions(&baselines, &test, column),
        };
        let Ok(predicted) = predicted else { continue };
        if let Ok(estimate) = compare(&truth, &scores, &predicted) {
            beats.push((column.to_owned(), estimate));
        }
    }
    let all = format!("{} {} {}", train.digest, test.digest, baselines.digest);
    Ok(Probe {
        beats,
        split: TimeSplit::of(&train, &test).ok(),
        id_overlap: leakage::id_overlap(&train, &test).ok(),
        feature_aucs: leakage::feature_aucs(&train, &test, above(task, &truth)).unwrap_or_default(),
        rows: test.len() as u64,
        digest: Digest::of(all.as_bytes()).to_string(),
    })
}

/// The mean of `y` in training, for every test row.
fn constant(train: &Table, rows: usize) -> Result<Vec<f64>, BadTable> {
    let truth = train.numbers("y")?;
    let mean = truth.iter().sum::<f64>() / truth.len().max(1) as f64;
    Ok(vec![mean; rows])
}

/// Above which `y` a row counts as positive for the single-feature AUC: 0.5 for two classes, the
/// median for an amount.
fn above(task: SpecTask, truth: &[f64]) -> f64 {
    match task {
        SpecTask::BinaryClassification => 0.5,
        SpecTask::Regression => viaduct_stats::quantile(truth, 0.5).unwrap_or(f64::INFINITY),
    }
}

/// The model's prediction for each test row, by the same door as a request: through the contract.
fn score(
    model: &Model,
    contract: &Contract,
    test: &Table,
    task: SpecTask,
) -> Result<Vec<f64>, String> {
    let numeric = |name: &str| {
        contract.field(name).is_some_and(|field| {
            matches!(field.logical_type, LogicalType::Number | LogicalType::Integer)
        })
    };
    let mut scores = Vec::with_capacity(test.len());
    for start in (0..test.len()).step_by(BATCH) {
        let mut rows = Vec::with_capacity(BATCH);
        for index in start..(start + BATCH).min(test.len()) {
            let record = test.record(index, &numeric);
            let row = contract.check_row(&record).map_err(|errors| {
                let first = errors.first().map(|e| format!("{}: {}", e.pointer, e.detail));
                format!(
                    "row {} of `{}` does not meet the contract: {}",
                    index + 1,
                    test.file,
                    first.unwrap_or_default()
                )
            })?;
            rows.push(row);
        }
        for output in model.predict(&rows).map_err(|e| e.to_string())? {
            let value = match task {
                SpecTask::BinaryClassification => output.probability,
                SpecTask::Regression => output.value,
            };
            let value = value.filter(|v| v.is_finite());
            scores.push(value.ok_or("the model gives no finite prediction for a test row")?);
        }
    }
    Ok(scores)
}
