//! `cargo xtask bench`: a release build, measured from outside.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Subcommand;

use crate::Outcome;
use crate::run::{Build, build, program, root};
use crate::server::{Server, ask, free_port};

const ROUNDS: usize = 5;
const GATE_ROUNDS: usize = 300;

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Time from start to /healthz, and resident memory when idle
    Start {
        /// A data directory to start on; an empty one without it. It is not changed on purpose,
        /// but it is a real server that runs on it
        #[arg(long)]
        data_dir: Option<std::path::PathBuf>,
    },
    /// A whole evaluation of a gate from stored facts
    Gates,
}

pub(crate) fn bench(what: &Bench) -> Outcome {
    let binary = build(Build::Release)?;
    let work = root().join("var/bench");
    match what {
        Bench::Start { data_dir } => start(&binary, &work, data_dir.as_deref()),
        Bench::Gates => gates(&binary, &work),
    }
}

fn fresh(folder: &Path) -> Outcome {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|e| format!("`{}`: {e}", folder.display()))?;
    }
    fs::create_dir_all(folder).map_err(|e| format!("`{}`: {e}", folder.display()))
}

fn serve(binary: &Path, data_dir: &Path, log: &Path) -> Outcome<Server> {
    let port = free_port()?;
    let mut command = program(binary);
    command.args(["server", "--listen", &format!("127.0.0.1:{port}"), "--data-dir"]).arg(data_dir);
    Server::start(&mut command, port, log)
}

fn start(binary: &Path, work: &Path, data_dir: Option<&Path>) -> Outcome {
    fs::create_dir_all(work).map_err(|e| format!("`{}`: {e}", work.display()))?;
    let (place, time_max, memory_max) = match data_dir {
        Some(dir) => (dir.to_path_buf(), 1.5, 120.0),
        None => (work.join("start"), 1.0, 60.0),
    };
    let mut times = Vec::new();
    let mut memory = 0.0_f64;
    for _ in 0..ROUNDS {
        if data_dir.is_none() {
            fresh(&place)?;
        }
        let mut server = serve(binary, &place, &work.join("start.log"))?;
        times.push(server.wait_for("/healthz", Duration::from_secs(30))?.as_secs_f64());
        sleep(Duration::from_secs(2));
        memory = memory.max(server.resident_mib()?);
        server.stop()?;
    }
    times.sort_by(f64::total_cmp);
    let (median, worst) = (times[ROUNDS / 2], times[ROUNDS - 1]);
    println!(
        "start to /healthz   median {median:.3} s   worst {worst:.3} s   (limit {time_max} s)"
    );
    println!("idle resident       worst {memory:.1} MiB   (limit {memory_max} MiB)");
    within("start", worst, time_max)?;
    within("memory", memory, memory_max)
}

fn gates(binary: &Path, work: &Path) -> Outcome {
    let place = work.join("gates");
    fresh(&place)?;
    let mut server = serve(binary, &place, &work.join("gates.log"))?;
    server.wait_for("/readyz", Duration::from_secs(30))?;
    let measured = measure_gates(server.port);
    server.stop()?;
    let (median, p99, empty) = measured?;
    println!("GET /api/v1/projects/term-deposit/gate, {GATE_ROUNDS} times, one connection each");
    println!("whole answer        median {median:.2} ms   p99 {p99:.2} ms");
    println!("of that, /healthz   median {empty:.2} ms");
    println!("evaluation          median {:.2} ms   (limit 5 ms)", median - empty);
    within("evaluation", median - empty, 5.0)
}

fn measure_gates(port: u16) -> Outcome<(f64, f64, f64)> {
    let folder = root().join("examples/term-deposit");
    let text = fs::read_to_string(folder.join("viaduct.yaml"))
        .map_err(|e| format!("the example's project file: {e}"))?;
    demand(port, "POST", "/api/v1/apply", &text)?;
    demand(port, "POST", "/api/v1/projects/term-deposit/collect", "{}")?;
    let gate = timed(port, "/api/v1/projects/term-deposit/gate")?;
    let empty = timed(port, "/healthz")?;
    Ok((gate[GATE_ROUNDS / 2], gate[GATE_ROUNDS * 99 / 100], empty[GATE_ROUNDS / 2]))
}

fn demand(port: u16, method: &str, path: &str, body: &str) -> Outcome {
    let answer = ask(port, method, path, body).map_err(|e| format!("{path}: {e}"))?;
    if answer.status < 300 {
        Ok(())
    } else {
        Err(format!("{path} answered {}: {}", answer.status, answer.body))
    }
}

/// Milliseconds of each round, sorted.
fn timed(port: u16, path: &str) -> Outcome<Vec<f64>> {
    let mut times = Vec::with_capacity(GATE_ROUNDS);
    for _ in 0..GATE_ROUNDS {
        let began = Instant::now();
        demand(port, "GET", path, "")?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

fn within(what: &str, value: f64, limit: f64) -> Outcome {
    if value <= limit { Ok(()) } else { Err(format!("{what}: {value:.3} is over {limit}")) }
}
