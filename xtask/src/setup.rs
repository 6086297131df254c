//! `cargo xtask setup`: what tests and demo need and the repository does not hold.
//!
//! Debian's packages (only as root, only when missing) and packages of PyPI. Running it again
//! costs a moment.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::run::{on_path, output, program, root, run, succeeds};

/// How much to bring in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The Python environment.
    Python,
    /// That, PostgreSQL and a browser.
    Everything,
}

const REQUIREMENTS: [&str; 2] =
    ["examples/term-deposit/requirements.txt", "tests/e2e/requirements.txt"];
/// The oldest that the pinned packages take.
const PYTHON_MIN: (u32, u32) = (3, 11);

pub(crate) fn setup(wanted: Wanted) -> Outcome {
    if wanted == Wanted::Everything {
        debian_packages()?;
    }
    python_environment()
}

/// The interpreter of the environment.
pub(crate) fn python() -> PathBuf {
    root().join(".venv/bin/python")
}

fn debian_packages() -> Outcome {
    let mut missing = Vec::new();
    if !has_postgres() {
        missing.push("postgresql");
    }
    if !on_path("chromium") && !on_path("chromium-browser") && !on_path("google-chrome") {
        missing.push("chromium");
    }
    if missing.is_empty() {
        return Ok(());
    }
    apt_install(&missing)
}

fn apt_install(packages: &[&str]) -> Outcome {
    let names = packages.join(" ");
    let mend = format!("install {names} yourself, as in `apt-get install -y {names}`");
    if !on_path("apt-get") || !is_root() {
        return Err(format!("{names} missing, and this is not root on Debian: {mend}"));
    }
    run(program("apt-get").args(["-qq", "update"]))?;
    let mut install = program("apt-get");
    install.args(["-qq", "install", "-y", "--no-install-recommends"]).args(packages);
    // Why no cluster: tests start their own; Debian's would only take a port and memory.
    install.env("DEBIAN_FRONTEND", "noninteractive").env("PG_CREATECLUSTER_CONF", "/dev/null");
    run(install.stdout(std::process::Stdio::null())).map_err(|e| format!("{e}; {mend}"))
}

fn is_root() -> bool {
    output(program("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn has_postgres() -> bool {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    on_path("initdb") || versions.into_iter().any(|v| v.path().join("bin/initdb").is_file())
}

fn python_environment() -> Outcome {
    let wanted = wanted_packages()?;
    let venv = root().join(".venv");
    let stamp = venv.join("requirements.stamp");
    if fs::read_to_string(&stamp).is_ok_and(|text| text == wanted) && python().is_file() {
        return Ok(());
    }
    if !python().is_file() {
        make_environment(&venv)?;
    }
    let mut install = program(python());
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    for file in existing_requirements() {
        install.arg("-r").arg(file);
    }
    // Why again: what pip already has stays in its cache, and a registry may hiccup.
    if run(&mut install).is_err() {
        run(&mut install)?;
    }
    fs::write(&stamp, wanted).map_err(|e| format!("`{}` cannot be written: {e}", stamp.display()))
}

fn existing_requirements() -> Vec<PathBuf> {
    REQUIREMENTS.iter().map(|file| root().join(file)).filter(|path| path.is_file()).collect()
}

fn wanted_packages() -> Outcome<String> {
    let mut text = String::new();
    for path in existing_requirements() {
        text += &fs::read_to_string(&path)
            .map_err(|e| format!("`{}` cannot be read: {e}", path.display()))?;
    }
    Ok(text)
}

fn make_environment(venv: &Path) -> Outcome {
    let python = system_python()?;
    let has_pip = succeeds(program(&python).args(["-c", "import ensurepip, venv"]));
    if !has_pip {
        apt_install(&["python3-venv"])?;
    }
    run(program(&python).args(["-m", "venv"]).arg(venv))
}

pub(crate) fn system_python() -> Outcome<String> {
    let names = ["python3.12", "python3.13", "python3.11", "python3"];
    let (major, minor) = PYTHON_MIN;
    let fits = format!("import sys; sys.exit(sys.version_info < ({major}, {minor}))");
    names
        .iter()
        .find(|name| succeeds(program(name).args(["-c", &fits])))
        .map(|name| (*name).to_owned())
        .ok_or_else(|| format!("no Python {major}.{minor} or newer on PATH: install one"))
}
