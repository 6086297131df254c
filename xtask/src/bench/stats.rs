//! The statistics beside the reference packages of their fields, in one run.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Targets, machine, work};
use crate::Outcome;
use crate::run::{cargo, output, program, root, run};

const COUNTER_NS: f64 = 8.0;
const REQUIREMENTS: &str = "xtask/bench/requirements-stats.txt";
/// Installed without what they depend on: see the file.
const ALONE: &str = "xtask/bench/requirements-stats-nodeps.txt";

pub(super) fn stats() -> Outcome {
    let work = work()?;
    let python = environment(&work)?;
    let bench = ["bench", "--locked", "--package", "viaduct-stats", "--bench", "stats"];
    println!("{}", machine());
    let ours = output(cargo().args(bench))?;
    let file = work.join("stats.json");
    fs::write(&file, ours).map_err(|e| format!("`{}`: {e}", file.display()))?;
    let text = output(program(python).arg("xtask/bench/stats_peer.py").arg(&file))?;
    print!("{text}");
    let mut targets = Targets::default();
    let counter = text
        .lines()
        .find_map(|line| line.strip_prefix("counter: ")?.split(' ').next()?.parse::<f64>().ok());
    let counter = counter.ok_or("the peers' script did not tell the counter's time")?;
    let verdict = targets.below("the fixed-edge counter", counter, COUNTER_NS, "ns a value");
    println!(
        "fixed-edge counter of 10 bins: {counter:.2} ns a value (target < {COUNTER_NS}: {verdict})"
    );
    targets.done()
}

/// The peers' own environment, made once for what the requirements say.
fn environment(work: &Path) -> Outcome<PathBuf> {
    let venv = work.join("venv");
    let (python, stamp) = (venv.join("bin/python"), venv.join("requirements.stamp"));
    let mut wanted = String::new();
    for file in [REQUIREMENTS, ALONE] {
        wanted += &fs::read_to_string(root().join(file)).map_err(|e| format!("`{file}`: {e}"))?;
    }
    if python.is_file() && fs::read_to_string(&stamp).is_ok_and(|text| text == wanted) {
        return Ok(python);
    }
    if !python.is_file() {
        run(program(crate::setup::system_python()?).args(["-m", "venv"]).arg(&venv))?;
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(program(&python).args(pip).args(["-r", REQUIREMENTS]))?;
    run(program(&python).args(pip).args(["--no-deps", "-r", ALONE]))?;
    fs::write(&stamp, wanted)
        .map_err(|e| format!("`{}` cannot be written: {e}", stamp.display()))?;
    Ok(python)
}
