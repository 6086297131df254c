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
const DECISIONS: u64 = 1_000_000;
/// As many as one call may carry.
const ROWS_A_CALL: u64 = 10_000;
const RUNS: u64 = 20_000;

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Time from start to /healthz, and resident memory when idle
    Start {
        /// On a directory with a million decisions and 20,000 runs, made through the server first
        #[arg(long)]
        full: bool,
    },
    /// A whole evaluation of a gate from stored facts
    Gates,
}

pub(crate) fn bench(what: &Bench) -> Outcome {
    let binary = build(Build::Release)?;
    let work = root().join("var/bench");
    match what {
        Bench::Start { full } => {
            start(&binary, &work, if *full { Filling::Full } else { Filling::Empty })
        }
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

/// What lies in the data directory before the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filling {
    Empty,
    Full,
}

fn start(binary: &Path, work: &Path, filling: Filling) -> Outcome {
    let place = work.join("start");
    fresh(&place)?;
    let log = work.join("start.log");
    let (time_max, memory_max) = match filling {
        Filling::Empty => (1.0, 60.0),
        Filling::Full => {
            fill(serve(binary, &place, &log)?)?;
            (1.5, 120.0)
        }
    };
    let mut times = Vec::new();
    let mut memory = 0.0_f64;
    for _ in 0..ROUNDS {
        if filling == Filling::Empty {
            fresh(&place)?;
        }
        let mut server = serve(binary, &place, &log)?;
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

/// Predictions in large lists and runs one by one, as callers would send them.
fn fill(mut server: Server) -> Outcome {
    server.wait_for("/readyz", Duration::from_secs(30))?;
    let began = Instant::now();
    demand(server.port, "POST", "/api/v1/apply", &example()?)?;
    for list in 0..DECISIONS / ROWS_A_CALL {
        let rows: Vec<String> =
            (0..ROWS_A_CALL).map(|number| lead(list * ROWS_A_CALL + number)).collect();
        let body = format!("{{\"rows\":[{}]}}", rows.join(","));
        let answer = ask_json(server.port, "/api/v1/endpoints/term-deposit/predict", &body)?;
        if list == 0 {
            println!("first answer: {}", answer.get(..120).unwrap_or(&answer));
        }
    }
    println!("{DECISIONS} decisions in {:.0} s", began.elapsed().as_secs_f64());
    let began = Instant::now();
    for number in 0..RUNS {
        let body = format!(
            "{{\"experiment_id\":\"0\",\"start_time\":{},\"run_name\":\"run-{number}\"}}",
            1_767_225_600_000_u64 + number
        );
        ask_json(server.port, "/api/2.0/mlflow/runs/create", &body)?;
    }
    println!("{RUNS} runs in {:.0} s", began.elapsed().as_secs_f64());
    server.stop()
}

/// A row that meets the example's contract.
fn lead(number: u64) -> String {
    format!(
        "{{\"lead_id\":\"lead-{number}\",\"customer_id\":\"customer-{}\",\"age\":41,\"job\":\"admin.\",\"marital\":\"married\",\"education\":\"university.degree\",\"default\":\"no\",\"housing\":\"yes\",\"loan\":\"no\",\"contact\":\"cellular\",\"month\":\"may\",\"day_of_week\":\"mon\",\"campaign\":1,\"pdays\":999,\"previous\":0,\"poutcome\":\"nonexistent\",\"emp_var_rate\":1.1,\"cons_price_idx\":93.994,\"cons_conf_idx\":-36.4,\"euribor3m\":4.857,\"nr_employed\":5191.0}}",
        number % 100_000
    )
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
    demand(port, "POST", "/api/v1/apply", &example()?)?;
    demand(port, "POST", "/api/v1/projects/term-deposit/collect", "{}")?;
    let gate = timed(port, "/api/v1/projects/term-deposit/gate")?;
    let empty = timed(port, "/healthz")?;
    Ok((gate[GATE_ROUNDS / 2], gate[GATE_ROUNDS * 99 / 100], empty[GATE_ROUNDS / 2]))
}

fn example() -> Outcome<String> {
    fs::read_to_string(root().join("examples/term-deposit/viaduct.yaml"))
        .map_err(|e| format!("the example's project file: {e}"))
}

fn demand(port: u16, method: &str, path: &str, body: &str) -> Outcome {
    let kind = if path == "/api/v1/apply" { "application/yaml" } else { "application/json" };
    let answer = ask(port, method, path, (kind, body)).map_err(|e| format!("{path}: {e}"))?;
    answer.good(path).map(|_| ())
}

fn ask_json(port: u16, path: &str, body: &str) -> Outcome<String> {
    let answer = ask(port, "POST", path, ("application/json", body));
    answer.map_err(|e| format!("{path}: {e}"))?.good(path)
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
