//! M2: trains the model again from what its run carries, in an empty folder and environment.

use std::path::Path;

use serde::Deserialize;
use viaduct_app::App;
use viaduct_app::mlflow::resolve::{ResolvedVersion, resolve_version, run_artifact};
use viaduct_base::{Digest, Error, Fault, Kind, ProjectId, Refusal};
use viaduct_blob::{BlobPath, Blobs};
use viaduct_cluster::{Finished, Workload, run_local};
use viaduct_domain::manifest::{ModelRef, Pick};
use viaduct_store::Scope;

use super::ground;
use crate::measure::{Reproduction, reproduction};

/// Largest file that a run may carry into the rerun.
const FILE_BYTES_MAX: u64 = 512 << 20;
/// Largest metric file of a rerun: it holds one number.
const METRIC_BYTES_MAX: u64 = 1 << 20;
/// Where the rerun writes its metric when the recipe does not say.
const METRIC_FILE: &str = "metric.json";

/// `viaduct/train.json`.
#[derive(Debug, Deserialize)]
struct Recipe {
    command: Vec<String>,
    #[serde(default)]
    inputs: Vec<Input>,
    metric: Metric,
}

#[derive(Debug, Deserialize)]
struct Input {
    path: String,
    sha256: String,
}

#[derive(Debug, Deserialize)]
struct Metric {
    name: String,
    value: f64,
    file: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Measured {
    value: f64,
}

/// Runs the recipe and writes what came of it as a fact.
pub(super) async fn run(app: &App, id: ProjectId, asked_by: String) -> Result<(), Error> {
    let rows = ground::rows(app, id).await?;
    let Some(bound) = &rows.gate.binding else {
        return Err(
            Refusal::new(Kind::NotFound, "no model version stands behind the endpoint").into()
        );
    };
    let scope = Scope::of(app.workspace());
    let reference = ModelRef {
        name: bound.model_name.clone(),
        pick: Pick::Version(u64::try_from(bound.version).unwrap_or_default()),
    };
    let version = app
        .store()
        .read("resolve_version", move |tx| resolve_version(tx, &scope, &reference))
        .await
        .map_err(Error::from)?
        .ok_or_else(|| Refusal::new(Kind::NotFound, "the bound version is gone"))?;
    let inner = app.clone();
    let ran = tokio::task::spawn_blocking(move || rerun(&inner, &version, asked_by));
    let done = ran.await.map_err(|e| Fault::caused("rerun a training", e))??;
    let subjects = |kind| rows.subjects.get(&kind).map(|subject| subject.id.clone());
    let made = reproduction(&done, &subjects, app.clock_kind());
    app.record_measurements(id, made).await.map(|_| ())
}

fn rerun(app: &App, version: &ResolvedVersion, asked_by: String) -> Result<Reproduction, Error> {
    let Some(reproduce) = app.settings().reproduce.clone() else {
        return Err(Refusal::new(
            Kind::InvalidInput,
            "no interpreter may rerun trainings here: set `[reproduce] python` in the configuration",
        )
        .into());
    };
    let folder = tempfile::tempdir().map_err(|e| Fault::caused("a folder to rerun in", e))?;
    let (recipe, digest) = match lay_out(app.blobs(), version, folder.path()) {
        Ok(laid) => laid,
        Err(why) => return Ok(failed(asked_by, why, String::new())),
    };
    let mut words = recipe.command.iter();
    if !matches!(words.next().map(String::as_str), Some("python" | "python3")) {
        let why = "the recipe's command does not begin with `python`".to_owned();
        return Ok(failed(asked_by, why, digest));
    }
    let file = recipe.metric.file.as_deref().unwrap_or(METRIC_FILE);
    // Why: a figure that came with the source would pass for one that the rerun computed.
    if let Err(why) = remove(folder.path(), file) {
        return Ok(failed(asked_by, why, digest));
    }
    let workload = Workload {
        program: reproduce.python,
        arguments: words.cloned().collect(),
        folder: folder.path().to_owned(),
        environment: vec![
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("HOME".into(), folder.path().display().to_string()),
            ("LANG".into(), "C.UTF-8".into()),
            ("PYTHONDONTWRITEBYTECODE".into(), "1".into()),
        ],
        time_limit: reproduce.time_limit,
        memory_limit_mib: reproduce.memory_limit_mib,
    };
    let finished = run_local(&workload).map_err(|e| Fault::caused("rerun a training", e))?;
    let (again, why) = match measured(&finished, folder.path(), file) {
        Ok(value) => (value, None),
        Err(why) => (f64::NAN, Some(why)),
    };
    Ok(Reproduction {
        metric: recipe.metric.name,
        recorded: recipe.metric.value,
        again,
        failed: why,
        asked_by,
        digest,
    })
}

fn failed(asked_by: String, why: String, digest: String) -> Reproduction {
    let (recorded, again) = (f64::NAN, f64::NAN);
    Reproduction { metric: String::new(), recorded, again, failed: Some(why), asked_by, digest }
}

/// Puts `viaduct/source/**` at the folder's root and each input at its path, checked by its hash.
fn lay_out(
    blobs: &Blobs,
    version: &ResolvedVersion,
    folder: &Path,
) -> Result<(Recipe, String), String> {
    let artifact = |path: &str| {
        run_artifact(version, path).ok_or_else(|| "the version's run is not known".to_owned())
    };
    let read = |path: &BlobPath, what: &str| -> Result<Vec<u8>, String> {
        let bytes = blobs.read(path, FILE_BYTES_MAX).map_err(|e| e.to_string())?;
        bytes.ok_or_else(|| format!("the run carries no `{what}`"))
    };
    let recipe_bytes = read(&artifact("viaduct/train.json")?, "viaduct/train.json")?;
    let recipe: Recipe = serde_json::from_slice(&recipe_bytes)
        .map_err(|e| format!("`viaduct/train.json` does not read: {e}"))?;
    let mut all = Digest::of(&recipe_bytes).to_string();
    let source = artifact("viaduct/source")?;
    let files = blobs.walk(&source).map_err(|e| e.to_string())?;
    if files.is_empty() {
        return Err("the run carries no `viaduct/source`".to_owned());
    }
    for entry in files {
        let bytes = read(&entry.path, "viaduct/source")?;
        let below = entry.path.as_str().strip_prefix(source.as_str()).unwrap_or_default();
        write(folder, below.trim_start_matches('/'), &bytes)?;
        all.push_str(Digest::of(&bytes).as_str());
    }
    for input in &recipe.inputs {
        let path = format!("viaduct/inputs/{}", input.path);
        let bytes = read(&artifact(&path)?, &path)?;
        let found = Digest::of(&bytes);
        if !found.as_str().eq_ignore_ascii_case(&input.sha256) {
            return Err(format!(
                "`{}` is not the file that the recipe names: its sha256 is {found}",
                input.path
            ));
        }
        write(folder, &input.path, &bytes)?;
        all.push_str(found.as_str());
    }
    Ok((recipe, Digest::of(all.as_bytes()).to_string()))
}

/// Writes below the folder; the path is checked as a blob's is, so it has no way out.
fn write(folder: &Path, path: &str, bytes: &[u8]) -> Result<(), String> {
    let safe: BlobPath = path.parse().map_err(|e: viaduct_blob::InvalidBlobPath| e.to_string())?;
    let target = folder.join(safe.as_str());
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent).map_err(|e| e.to_string())?;
    }
    std::fs::write(target, bytes).map_err(|e| e.to_string())
}

/// Takes a file away that was laid out, so that what stands there later is new.
fn remove(folder: &Path, file: &str) -> Result<(), String> {
    let safe: BlobPath = file.parse().map_err(|e: viaduct_blob::InvalidBlobPath| e.to_string())?;
    match std::fs::remove_file(folder.join(safe.as_str())) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(format!("`{file}`: {e}")),
        _ => Ok(()),
    }
}

/// Reads what the rerun wrote. Only a file, and a small one: a link or a pipe could name anything
/// on this machine, and have no end.
fn read_written(folder: &Path, file: &str) -> Result<Vec<u8>, String> {
    let safe: BlobPath = file.parse().map_err(|e: viaduct_blob::InvalidBlobPath| e.to_string())?;
    let none = |e: std::io::Error| format!("the rerun wrote no `{file}`: {e}");
    let root = folder.canonicalize().map_err(none)?;
    let path = root.join(safe.as_str());
    let is_inside = path.canonicalize().map_err(none)? == path;
    let about = std::fs::symlink_metadata(&path).map_err(none)?;
    if !is_inside || !about.is_file() || about.len() > METRIC_BYTES_MAX {
        return Err(format!(
            "`{file}` of the rerun is no file of at most {METRIC_BYTES_MAX} bytes"
        ));
    }
    std::fs::read(path).map_err(none)
}

fn measured(finished: &Finished, folder: &Path, file: &str) -> Result<f64, String> {
    if finished.timed_out {
        return Err("the rerun did not end within its time limit".to_owned());
    }
    if !finished.succeeded() {
        let last = finished.stderr.lines().last().unwrap_or_default();
        return Err(format!("the rerun failed: {}", last.chars().take(300).collect::<String>()));
    }
    let text = read_written(folder, file)?;
    let read: Measured = serde_json::from_slice(&text)
        .map_err(|e| format!("`{file}` of the rerun does not read: {e}"))?;
    Ok(read.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_small_file_that_the_rerun_wrote_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("metric.json"), "{}").unwrap();
        assert_eq!(read_written(folder.path(), "metric.json").unwrap(), b"{}");
        remove(folder.path(), "metric.json").unwrap();
        remove(folder.path(), "metric.json").unwrap();
        assert!(read_written(folder.path(), "metric.json").is_err());
        std::os::unix::fs::symlink("/dev/zero", at("metric.json")).unwrap();
        assert!(read_written(folder.path(), "metric.json").is_err());
        std::os::unix::fs::symlink("/etc", at("out")).unwrap();
        assert!(read_written(folder.path(), "out/hostname").is_err());
        std::fs::write(at("large"), vec![b' '; METRIC_BYTES_MAX as usize + 1]).unwrap();
        assert!(read_written(folder.path(), "large").is_err());
        assert!(read_written(folder.path(), "../large").is_err());
    }
}
