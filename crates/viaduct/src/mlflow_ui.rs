//! Finds the pages that an installed `mlflow` brings, without importing it.
//!
//! The first `mlflow` or `python3` on `PATH` that has them counts. An interpreter is only asked
//! where its `mlflow` lies: from the root folder and without `PYTHON*` variables, so that no file
//! of the working directory runs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use viaduct_api::mlflow::ui::Found;

/// Where the pages lie in the package.
const BUILD: &str = "server/js/build";
/// Asks an interpreter for the package's folder; finding is not importing.
const ASK: &str = "import importlib.util as u\ns = u.find_spec('mlflow')\nprint(s.origin if s and s.origin else '')";
/// How long an interpreter may think.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many of them are asked.
const ASKED_MAX: usize = 4;

/// Searches on a thread of its own and tells what it found; a named folder is taken as it is.
pub(crate) fn search(named: Option<PathBuf>, tell: watch::Sender<Found>) {
    tokio::task::spawn_blocking(move || {
        let found = match named {
            Some(folder) => holds_pages(&folder).then_some(folder),
            None => std::env::var_os("PATH").and_then(|path| on_path(&path)),
        };
        match &found {
            Some(folder) => {
                tracing::info!(folder = %folder.display(), "MLflow's pages are at /mlflow/")
            }
            None => tracing::debug!("no MLflow pages: `pip install mlflow`, or `--mlflow-ui PATH`"),
        }
        // Why ignored: nobody listens once the server is gone.
        let _ = tell.send(found.map_or(Found::Nowhere, Found::At));
    });
}

/// Whether this folder is a build of MLflow's pages.
pub(crate) fn holds_pages(folder: &Path) -> bool {
    folder.join("index.html").is_file() && folder.join("static").is_dir()
}

fn on_path(path: &OsStr) -> Option<PathBuf> {
    let mut asked: Vec<PathBuf> = Vec::new();
    for folder in std::env::split_paths(path).filter(|folder| folder.is_absolute()) {
        for name in ["mlflow", "python3"] {
            let program = folder.join(name);
            let python = match name {
                "mlflow" => interpreter_of(&program),
                _ => program.is_file().then_some(program),
            };
            let Some(python) = python.filter(|python| !asked.contains(python)) else { continue };
            if asked.len() == ASKED_MAX {
                return None;
            }
            let pages = package(&python).map(|package| package.join(BUILD));
            if let Some(pages) = pages.filter(|pages| holds_pages(pages)) {
                return Some(pages);
            }
            asked.push(python);
        }
    }
    None
}

/// The Python that a script of `pip` starts; its path stands in the first lines.
fn interpreter_of(script: &Path) -> Option<PathBuf> {
    let text = std::fs::read(script).ok()?;
    let head = String::from_utf8_lossy(&text[..text.len().min(1024)]).into_owned();
    let mut lines = head.lines();
    let first = lines.next()?.strip_prefix("#!")?.trim();
    // Why: a path too long for `#!` stands behind `exec` in the second line.
    let named = if first == "/bin/sh" { lines.next()? } else { first };
    let program = named.split(['"', '\'', ' ']).find(|word| word.starts_with('/'))?;
    let is_python = Path::new(program).file_name()?.to_str()?.starts_with("python");
    is_python.then(|| PathBuf::from(program)).filter(|program| program.is_file())
}

/// The folder of the interpreter's `mlflow`.
fn package(python: &Path) -> Option<PathBuf> {
    let asked = Command::new(python)
        .args(["-E", "-c", ASK])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let child = asked.ok()?;
    let said = ended(child)?;
    let origin = Path::new(said.trim());
    let package = origin.parent().filter(|_| origin.is_absolute())?;
    Some(package.to_owned())
}

/// What a program printed that ends well and in time.
fn ended(mut child: Child) -> Option<String> {
    let end = Instant::now() + PATIENCE;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => {
                let output = child.wait_with_output().ok()?;
                return status.success().then(|| String::from_utf8(output.stdout).ok())?;
            }
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
            _ => {
                // Why ignored: one that ended meanwhile needs no killing.
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn script(path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn the_first_interpreter_with_pages_counts() {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| dir.path().join(name);
        for name in ["bare", "full", "package/server/js/build/static"] {
            std::fs::create_dir_all(place(name)).unwrap();
        }
        let build = place("package").join(BUILD);
        std::fs::write(build.join("index.html"), "").unwrap();
        script(&place("bare/python3"), "#!/bin/sh\necho ''\n");
        let said = format!("#!/bin/sh\necho {}\n", place("package/__init__.py").display());
        script(&place("full/python3"), &said);
        let path = std::env::join_paths([place("bare"), place("full")]).unwrap();
        assert_eq!(on_path(&path), Some(build.clone()));
        let path = std::env::join_paths([place("bare")]).unwrap();
        assert_eq!(on_path(&path), None);
        // A console script leads to its own interpreter, wherever that is.
        std::fs::rename(place("full/python3"), place("full/python3.12")).unwrap();
        let python = place("full/python3.12");
        script(&place("bare/mlflow"), &format!("#!{}\nimport sys\n", python.display()));
        assert_eq!(on_path(&path), Some(build.clone()));
        let long = format!("#!/bin/sh\n'''exec' \"{}\" \"$0\" \"$@\"\n' '''\n", python.display());
        script(&place("bare/mlflow"), &long);
        assert_eq!(on_path(&path), Some(build));
    }

    #[test]
    fn one_that_fails_or_is_no_python_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        script(&dir.path().join("python3"), "#!/bin/sh\nexit 3\n");
        script(&dir.path().join("mlflow"), "#!/bin/sh\necho hello\n");
        assert_eq!(on_path(dir.path().as_os_str()), None);
        assert_eq!(interpreter_of(&dir.path().join("nothing")), None);
    }
}
