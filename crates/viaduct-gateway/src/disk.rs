//! The copy on disk: the snapshot and the models that it names, enough to serve without the
//! database.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use viaduct_base::{Digest, Fault};

use crate::report::Local;
use crate::snapshot::{EndpointSnapshot, Snapshot};

const SNAPSHOT: &str = "snapshot.json";
const LOCAL: &str = "local.json";
const MODELS: &str = "models";

pub(crate) fn prepare(dir: &Path) -> Result<(), Fault> {
    fs::create_dir_all(dir.join(MODELS)).map_err(|e| fault(dir, e))
}

/// The snapshot of the last run; `None` on a first start.
pub(crate) fn read(dir: &Path) -> Result<Option<Snapshot>, Fault> {
    let Some(mut snapshot) = read_json::<Snapshot>(&dir.join(SNAPSHOT))? else { return Ok(None) };
    // Why: a restored backup may lie in another directory than the one it was taken from.
    for model in snapshot.endpoints.iter_mut().flat_map(EndpointSnapshot::models_mut) {
        let here = dir.join(MODELS).join(model.onnx.file_name().unwrap_or_default());
        if here.is_file() {
            model.onnx = here;
        }
    }
    Ok(Some(snapshot))
}

/// Replaces the snapshot as a whole; a crash leaves the old one or the new one.
pub(crate) fn write(dir: &Path, snapshot: &Snapshot) -> Result<(), Fault> {
    write_json(&dir.join(SNAPSHOT), snapshot)
}

/// What the gateway did by itself in the last run.
pub(crate) fn read_local(dir: &Path) -> Result<Local, Fault> {
    Ok(read_json(&dir.join(LOCAL))?.unwrap_or_default())
}

/// Replaces what the gateway did by itself, as [`write`] does the snapshot.
pub(crate) fn write_local(dir: &Path, local: &Local) -> Result<(), Fault> {
    write_json(&dir.join(LOCAL), local)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Fault> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(fault(path, e)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|e| fault(path, e))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Fault> {
    let json = serde_json::to_vec(value).map_err(|e| fault(path, e))?;
    replace(path, &json).map_err(|e| fault(path, e))
}

/// Copies a model file to a name made of its hash; the same bytes are stored once.
pub(crate) fn keep_model(dir: &Path, source: &Path) -> io::Result<PathBuf> {
    let bytes = fs::read(source)?;
    // The extension stays: a file that is no ONNX is recognised by it too.
    let extension = source.extension().unwrap_or_default().to_string_lossy();
    let kept = dir.join(MODELS).join(format!("{}.{extension}", Digest::of(&bytes)));
    if !kept.exists() {
        replace(&kept, &bytes)?;
    }
    Ok(kept)
}

/// Deletes model files that neither the snapshot names nor a request may still need. What cannot
/// be deleted is left.
pub(crate) fn drop_unnamed_models<'a>(
    dir: &Path,
    snapshot: &'a Snapshot,
    held: impl Iterator<Item = &'a PathBuf>,
) {
    let models = snapshot.endpoints.iter().flat_map(EndpointSnapshot::models);
    let named: HashSet<_> = models.map(|model| &model.onnx).chain(held).collect();
    let Ok(entries) = fs::read_dir(dir.join(MODELS)) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if !named.contains(&path) {
            let _ = fs::remove_file(path);
        }
    }
}

/// Why 0600: the snapshot holds hashes of keys and the salt of entity hashes.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

fn fault(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Fault {
    Fault::caused(format!("the gateway's copy `{}`", path.display()), source)
}
