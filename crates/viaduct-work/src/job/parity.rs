//! Whether an ONNX version says what its original says: rows go through the original, in a process
//! of its own, and through the runtime. On rows that float32 cannot hold exactly some may differ;
//! the report says how many.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use viaduct_app::App;
use viaduct_app::mlflow::parity::ParityInputs;
use viaduct_base::{Error, Fault};
use viaduct_cluster::{SIDECAR_PROGRAM, Workload, run_local};
use viaduct_domain::output::{Cell, ModelOutput, TypedRow};
use viaduct_infer::LoadOptions;

/// Below this two numbers are the same; above 1 they are measured against the original's.
const TOLERANCE: f64 = 1e-5;
const TIME_LIMIT: Duration = Duration::from_secs(900);
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct Report {
    /// `equal`, `differs` or `not_checked`.
    verdict: &'static str,
    /// Why nothing was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The original's name in its run.
    #[serde(skip_serializing_if = "Option::is_none")]
    original: Option<String>,
    rows: usize,
    rows_that_differ: usize,
    share_that_differs: f64,
    labels_that_differ: usize,
    largest_difference: f64,
    tolerance: f64,
}

/// What the original said, row by row.
#[derive(Debug, Default, Deserialize)]
struct Said {
    rows: Vec<Map<String, Value>>,
    #[serde(default)]
    classes: Vec<String>,
    probabilities: Option<Vec<Vec<Option<f64>>>>,
    label: Option<Vec<String>>,
    value: Option<Vec<Option<f64>>>,
}

/// Compares, and keeps the report with the version.
pub(super) async fn run(app: &App, model: &str, version: i64) -> Result<(), Error> {
    let Some(inputs) = app.parity_inputs(model, version).await? else { return Ok(()) };
    let inner = app.clone();
    let compared = tokio::task::spawn_blocking(move || compare(&inner, &inputs)).await;
    let report = compared.map_err(|e| Fault::caused("compare a model with its original", e))?;
    let mut report =
        serde_json::to_value(report).map_err(|e| Fault::caused("write a parity report", e))?;
    report["checked_at"] = json!(app.now().to_string());
    app.record_parity(model, version, report).await
}

fn compare(app: &App, inputs: &ParityInputs) -> Report {
    let original = inputs.original.as_ref().map(|(name, _)| name.clone());
    match compared(app, inputs) {
        Ok(report) => Report { original, ..report },
        Err(reason) => {
            Report { verdict: "not_checked", reason: Some(reason), original, ..Report::default() }
        }
    }
}

fn compared(app: &App, inputs: &ParityInputs) -> Result<Report, String> {
    let Some((_, folder)) = &inputs.original else {
        return Err("its run has no other model that Python can load: log the original in the \
                    same run, before the ONNX is registered"
            .into());
    };
    let sidecars = app.settings().sidecars.as_deref();
    let options = sidecars.ok_or("no `sidecar.python` is configured")?.options();
    let place = tempfile::tempdir().map_err(|e| e.to_string())?;
    let program = place.path().join("sidecar.py");
    std::fs::write(&program, SIDECAR_PROGRAM).map_err(|e| e.to_string())?;
    let out = place.path().join("said.json");
    let on_disk = |path: &viaduct_blob::BlobPath| {
        let path = app.blobs().local_folder(path).map_err(|e| e.to_string())?;
        Ok::<_, String>(std::path::absolute(&path).unwrap_or(path).display().to_string())
    };
    let test = match &inputs.test {
        Some(path) => app.blobs().local_file(path).map_err(|e| e.to_string())?,
        None => None,
    };
    let test = test.map(|path| std::path::absolute(&path).unwrap_or(path));
    let finished = run_local(&Workload {
        program: options.python.clone(),
        arguments: vec![
            program.display().to_string(),
            "replay".into(),
            on_disk(folder)?,
            on_disk(&inputs.folder)?,
            test.map(|path| path.display().to_string()).unwrap_or_default(),
            out.display().to_string(),
        ],
        folder: place.path().to_owned(),
        environment: vec![
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("HOME".into(), place.path().display().to_string()),
            ("LANG".into(), "C.UTF-8".into()),
            ("OMP_NUM_THREADS".into(), "1".into()),
            ("OPENBLAS_NUM_THREADS".into(), "1".into()),
            ("MLFLOW_DISABLE_TELEMETRY".into(), "true".into()),
        ],
        time_limit: TIME_LIMIT,
        memory_limit_mib: options.memory_limit_mib,
    });
    let finished = finished.map_err(|e| e.to_string())?;
    if !finished.succeeded() {
        let last = finished.stderr.lines().last().unwrap_or("it ended without a word");
        return Err(format!("the original failed: {}", last.chars().take(500).collect::<String>()));
    }
    let said = read(&out)?;
    let runtime = app.runtime().map_err(|e| e.to_string())?;
    let features = Some(inputs.files.inputs.clone()).filter(|names| !names.is_empty());
    let options = LoadOptions { features, classes: None };
    let model = runtime.load(&inputs.files.onnx, options).map_err(|e| e.to_string())?;
    let rows = typed(&said.rows);
    let found = model.predict(&rows).map_err(|e| format!("the ONNX failed: {e}"))?;
    Ok(report(&said, &found))
}

/// Reads what the original wrote. Only a file: a link could name anything on this machine.
fn read(out: &Path) -> Result<Said, String> {
    let about = std::fs::symlink_metadata(out).map_err(|e| e.to_string())?;
    if !about.is_file() || about.len() > ANSWER_BYTES_MAX {
        return Err("the original wrote no answer of a sensible size".into());
    }
    let bytes = std::fs::read(out).map_err(|e| e.to_string())?;
    serde_json::from_slice(&bytes).map_err(|e| format!("the original's answer: {e}"))
}

fn typed(rows: &[Map<String, Value>]) -> Vec<TypedRow> {
    let Some(first) = rows.first() else { return Vec::new() };
    let names: Vec<Arc<str>> = first.keys().map(|name| Arc::from(name.as_str())).collect();
    let cell = |value: Option<&Value>| match value {
        Some(Value::Bool(flag)) => Cell::Bool(*flag),
        Some(Value::String(text)) => Cell::Text(text.clone()),
        Some(Value::Number(number)) => match number.as_i64() {
            Some(whole) => Cell::I64(whole),
            None => Cell::F64(number.as_f64().unwrap_or(f64::NAN)),
        },
        _ => Cell::Null,
    };
    rows.iter()
        .map(|row| {
            let cells = names.iter().map(|name| (Arc::clone(name), cell(row.get(&**name))));
            TypedRow {
                cells: cells.collect(),
                ignored: Vec::new(),
                outside: Vec::new(),
                defaulted: Vec::new(),
            }
        })
        .collect()
}

fn report(said: &Said, found: &[ModelOutput]) -> Report {
    let mut report = Report { rows: found.len(), tolerance: TOLERANCE, ..Report::default() };
    if found.len() != said.rows.len() || found.is_empty() {
        report.verdict = "not_checked";
        report.reason = Some(format!("{} answers for {} rows", found.len(), said.rows.len()));
        return report;
    }
    for (row, output) in found.iter().enumerate() {
        let apart = pairs(said, row, output).fold(0.0, |most, (a, b)| apart(a, b).max(most));
        let label = said.label.as_ref().and_then(|labels| labels.get(row));
        let other = label.is_some() && output.text("label").as_ref() != label;
        report.labels_that_differ += usize::from(other);
        report.rows_that_differ += usize::from(other || apart > TOLERANCE);
        report.largest_difference = apart.max(report.largest_difference);
    }
    report.share_that_differs = report.rows_that_differ as f64 / report.rows as f64;
    report.verdict = if report.rows_that_differ == 0 { "equal" } else { "differs" };
    report
}

/// The original's numbers of a row, each with the ONNX's; NaN where that has none.
fn pairs<'a>(
    said: &'a Said,
    row: usize,
    output: &'a ModelOutput,
) -> impl Iterator<Item = (f64, f64)> + 'a {
    let number = |number: &Option<f64>| number.unwrap_or(f64::NAN);
    let by_class = said.probabilities.as_ref().and_then(|all| all.get(row)).into_iter();
    let by_class = by_class.flatten().zip(&said.classes).map(move |(p, class)| {
        (number(p), output.probabilities.get(class).copied().unwrap_or(f64::NAN))
    });
    let value = said.value.as_ref().and_then(|all| all.get(row));
    by_class.chain(value.map(|v| (number(v), output.value.unwrap_or(f64::NAN))))
}

/// How far apart two numbers are; a missing one is as far as can be.
fn apart(original: f64, found: f64) -> f64 {
    match (original.is_nan(), found.is_nan()) {
        (true, true) => 0.0,
        (false, false) => (original - found).abs() / original.abs().max(1.0),
        _ => f64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Said {
        serde_json::from_value(json!({
            "rows": [{"a": 1.5}, {"a": null}], "classes": ["no", "yes"],
            "probabilities": [[0.25, 0.75], [0.5, 0.5]], "label": ["yes", "no"],
        }))
        .unwrap()
    }

    fn output(label: &str, yes: f64) -> ModelOutput {
        let by_class = [("no".to_owned(), 1.0 - yes), ("yes".to_owned(), yes)];
        ModelOutput::classifier(label.into(), yes, by_class.into_iter().collect())
    }

    #[test]
    fn equal_within_the_tolerance_and_not_beyond() {
        let equal = report(&said(), &[output("yes", 0.750_001), output("no", 0.5)]);
        assert_eq!((equal.verdict, equal.rows_that_differ), ("equal", 0));
        let other = report(&said(), &[output("yes", 0.75), output("yes", 0.6)]);
        assert_eq!((other.verdict, other.rows_that_differ), ("differs", 1));
        assert_eq!((other.labels_that_differ, other.share_that_differs), (1, 0.5));
        assert!((other.largest_difference - 0.1).abs() < 1e-9);
    }

    #[test]
    fn a_number_that_is_missing_differs() {
        let found = [output("yes", f64::NAN), output("no", 0.5)];
        assert_eq!(report(&said(), &found).rows_that_differ, 1);
        assert_eq!(report(&said(), &[output("yes", 0.75)]).verdict, "not_checked");
        assert_eq!(report(&Said::default(), &[]).verdict, "not_checked");
    }

    #[test]
    fn rows_keep_their_types() {
        let rows = typed(&said().rows);
        assert_eq!(rows[0].cells[0].1, Cell::F64(1.5));
        assert_eq!(rows[1].cells[0].1, Cell::Null);
    }
}
