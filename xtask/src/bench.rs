//! `cargo xtask bench`: release builds, measured; each prints its targets and fails when one is
//! missed.

mod gates;
mod mlflow;
mod serving;
mod start;
mod stats;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::Outcome;
use crate::run::{cargo, output, root, run, target};

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Time from start to /healthz and resident memory when idle, on an empty directory and on one
    /// with a million decisions and 20,000 runs
    Start {
        /// Measure what was built before
        #[arg(long)]
        built: bool,
        /// Measure this data directory too; a real server runs on it
        #[arg(long)]
        data_dir: Option<PathBuf>,
    },
    /// A whole evaluation of G1 and of G2 from stored facts
    Gates {
        /// Measure what was built before
        #[arg(long)]
        built: bool,
    },
    /// Tracking beside a stock `mlflow server` on the same rows
    Mlflow(mlflow::Options),
    /// Serving beside MLServer, FastAPI + onnxruntime and the bare runtime
    Serving(serving::Options),
    /// The statistics beside scipy, gbstats, evidently and nannyml on the same data
    Stats,
}

pub(crate) fn bench(what: &Bench) -> Outcome {
    match what {
        Bench::Start { built, data_dir } => start::start(*built, data_dir.as_deref()),
        Bench::Gates { built } => gates::gates(*built),
        Bench::Mlflow(options) => mlflow::mlflow(options),
        Bench::Serving(options) => serving::serving(options),
        Bench::Stats => stats::stats(),
    }
}

/// Where benches keep what they make.
fn work() -> Outcome<PathBuf> {
    let folder = root().join("var/bench");
    fs::create_dir_all(&folder).map_err(|e| format!("`{}`: {e}", folder.display()))?;
    Ok(folder)
}

fn fresh(folder: &Path) -> Outcome {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|e| format!("`{}`: {e}", folder.display()))?;
    }
    fs::create_dir_all(folder).map_err(|e| format!("`{}`: {e}", folder.display()))
}

/// Builds an example of a crate in the release profile and answers its path.
fn example(package: &str, name: &str, built: bool) -> Outcome<PathBuf> {
    if !built {
        let build = ["build", "--locked", "--release", "--package", package, "--example", name];
        run(cargo().args(build))?;
    }
    let path = target().join("release/examples").join(name);
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("`{}` is not there: leave `--built` out", path.display()))
    }
}

/// The machine, and how busy it is: times on a busy one are too long, never too short.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown processor", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("?");
    let memory = read("/proc/meminfo");
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = kib.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    let gib = kib.unwrap_or_default() / 1024.0 / 1024.0;
    let commit = output(crate::run::program("git").args(["rev-parse", "--short", "HEAD"]));
    let commit = commit.unwrap_or_default();
    let commit = commit.trim();
    format!("machine: {model}, {cores} cores, {gib:.0} GiB, load {load}; commit {commit}")
}

/// Least, median and greatest.
fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    (at(0), at(values.len() / 2), at(values.len().saturating_sub(1)))
}

/// One verdict of many: all are printed before the first failure ends the run.
#[derive(Debug, Default)]
struct Targets {
    missed: Vec<String>,
}

impl Targets {
    /// Notes whether `value` is below `limit`; NaN is not.
    fn below(&mut self, what: &str, value: f64, limit: f64, unit: &str) -> &'static str {
        if value < limit {
            return "met";
        }
        self.missed.push(format!("{what} is {value:.3} {unit}, target below {limit} {unit}"));
        "MISSED"
    }

    fn done(self) -> Outcome {
        if self.missed.is_empty() { Ok(()) } else { Err(self.missed.join("; ")) }
    }
}
