//! Serving beside its peers: the same models, the same requests, the same machine.

mod http;
mod load;
mod process;
mod rows;
mod sides;
mod table;

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use self::http::{Client, post};
use self::sides::{Bench, Side};
use self::table::{Table, figure};
use super::{example, fresh, machine, spread, work};
use crate::Outcome;
use crate::run::{Build, build, on_path, output, program, target};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Measure what was built before
    #[arg(long)]
    built: bool,
    /// Only these rows
    #[arg(long, value_enum, value_delimiter = ',')]
    rows: Vec<What>,
    /// Seconds of one measurement
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Version swaps, one a second
    #[arg(long, default_value_t = 100)]
    swaps: u64,
    /// Endpoints at most, in `growth`
    #[arg(long, default_value_t = 1000)]
    endpoints: usize,
    /// Models at most, in `memory`
    #[arg(long, default_value_t = 50)]
    models: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Requests a second against MLServer
    Single,
    /// p99 at 70 % of the own peak against MLServer
    Tail,
    /// Time outside the model call against FastAPI
    Outside,
    /// The corridor over the bare call, in process
    Corridor,
    /// 1000 rows by binary tensors against the bare loop
    Batch,
    /// gRPC against REST
    Grpc,
    /// Decision log on against off
    Log,
    /// Version swaps under load
    Swaps,
    /// Start to first prediction, and memory with one model
    Start,
    /// Requests a second over endpoints
    Growth,
    /// Memory over models
    Memory,
}

pub(super) fn serving(options: &Options) -> Outcome {
    for (name, package) in [("wrk", "wrk"), ("h2load", "nghttp2-client")] {
        if !on_path(name) {
            return Err(format!("`{name}` is not on PATH: `apt-get install {package}`"));
        }
    }
    let bench = prepare(options)?;
    println!("{}", machine());
    let mut table = Table::default();
    let data = bench.work.join("data");
    fresh(&data)?;
    let ours = bench.viaduct(&data)?;
    bench.deploy(&ours)?;
    running(options, &bench, &ours, &mut table);
    drop(ours);
    if wants(options, What::Start) {
        let began = start(&bench, &data, &mut table);
        note(&mut table, "start to first prediction", began);
    }
    println!("{}", machine());
    println!(
        "one wrk or h2load thread on the same cores; {} s a measurement; every target is judged on what was measured here",
        options.seconds
    );
    let missed = table.print();
    if missed.is_empty() { Ok(()) } else { Err(format!("missed: {}", missed.join("; "))) }
}

fn wants(options: &Options, what: What) -> bool {
    options.rows.is_empty() || options.rows.contains(&what)
}

/// A row that fails does not keep the others from being measured.
fn note(table: &mut Table, what: &str, ended: Outcome) {
    if let Err(why) = ended {
        eprintln!("{what}: {why}");
        table.failed(what, &why);
    }
}

/// The rows that ask one running server of ours.
fn running(options: &Options, bench: &Bench, ours: &Side, table: &mut Table) {
    let wanted = |what| wants(options, what);
    let (single, tail) = (wanted(What::Single), wanted(What::Tail));
    if single || tail {
        let ended = rows::against_mlserver(bench, ours, table, single, tail);
        note(table, "against MLServer", ended);
    }
    if wanted(What::Outside) {
        let ended = rows::outside(bench, ours, table);
        note(table, "outside the model call", ended);
    }
    if wanted(What::Corridor) || wanted(What::Batch) {
        let ended = in_process(options, bench, ours, table);
        note(table, "the corridor and batches", ended);
    }
    if wanted(What::Grpc) {
        let ended = rows::grpc(bench, ours, table);
        note(table, "gRPC against REST", ended);
    }
    if wanted(What::Log) {
        let ended = rows::log(bench, ours, table);
        note(table, "decision log on against off", ended);
    }
    if wanted(What::Swaps) {
        let ended = rows::swaps(bench, ours, table, options.swaps);
        note(table, "version swaps", ended);
    }
    if wanted(What::Growth) {
        let ended = rows::growth(bench, ours, table, options.endpoints);
        note(table, "growth over endpoints", ended);
    }
    if wanted(What::Memory) {
        let data = bench.work.join("many");
        let ended = fresh(&data)
            .and_then(|()| bench.viaduct(&data))
            .and_then(|side| rows::memory(bench, &side, table, options.models));
        note(table, "memory over models", ended);
    }
}

fn in_process(options: &Options, bench: &Bench, ours: &Side, table: &mut Table) -> Outcome {
    let folder = bench.library.parent().ok_or("the runtime's library has no folder")?;
    let mut corridor = program(&bench.corridor);
    // The rows of the requests that are compared with it.
    let cells = bench.work.join("trees-binary-1000.bin");
    let text =
        output(corridor.arg(bench.work.join("trees.onnx")).arg(folder).arg("1000").arg(cells))?;
    let batch = wants(options, What::Batch);
    let bare = rows::corridor(&text, table, wants(options, What::Corridor), batch)?;
    if batch { rows::batch(bench, ours, table, bare) } else { Ok(()) }
}

/// Binaries, the peers' environment, models and bodies.
fn prepare(options: &Options) -> Outcome<Bench> {
    let viaduct = match options.built {
        true => target().join("release/viaduct"),
        false => build(Build::Release)?,
    };
    let corridor = example("viaduct-gateway", "corridor", options.built)?;
    let shared = work()?;
    let venv = sides::environment(&shared)?;
    let library = sides::library(&venv)?;
    let work = shared.join("serving");
    let bench = Bench { viaduct, corridor, venv, work, library, seconds: options.seconds };
    if !bench.work.join("done.stamp").is_file() {
        bench.prepare(&["train", &bench.work.display().to_string()])?;
    }
    Ok(bench)
}

/// From start to the first prediction on a directory that has an endpoint, and the memory then.
/// The directory holds what the rows before have left; alone, the two models of the bench.
fn start(bench: &Bench, data: &Path, table: &mut Table) -> Outcome {
    const ROUNDS: usize = 5;
    let lone = bench.work.join("one");
    fresh(&lone)?;
    let side = bench.viaduct(&lone)?;
    let (url, work) =
        (format!("http://127.0.0.1:{}", side.port()?), bench.work.display().to_string());
    bench.prepare(&["register", &url, &work])?;
    bench.endpoint(side.port()?, "trees", "trees")?;
    drop(side);
    for (place, what) in [(&lone, "one endpoint"), (&data.to_path_buf(), "after the rows above")] {
        let (mut times, mut memory) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (time, mib) = first_prediction(bench, place)?;
            times.push(time);
            memory.push(mib);
        }
        let shown = |(least, median, most): (f64, f64, f64)| {
            (median, format!("{} / {} / {}", figure(least), figure(median), figure(most)))
        };
        let (median, all) = shown(spread(times));
        table.below(&format!("start to first prediction, {what}"), median, "s", all, 2.0);
        let (median, all) = shown(spread(memory));
        if place == &lone {
            table.below(&format!("resident memory, {what}"), median, "MiB", all, 150.0);
        }
    }
    Ok(())
}

fn first_prediction(bench: &Bench, data: &Path) -> Outcome<(f64, f64)> {
    let body = read(&bench.work.join("trees-oip-1.json"))?;
    let request = post("/v2/models/trees/infer", "Content-Type: application/json", body.as_bytes());
    let began = Instant::now();
    let server = bench.begin(data)?;
    let answered = loop {
        let status = Client::new(server.port).and_then(|mut client| client.ask(&request));
        if status.is_ok_and(|status| status == 200) {
            break Ok(began.elapsed().as_secs_f64());
        }
        if began.elapsed() > Duration::from_secs(30) {
            break Err("no prediction in 30 s".to_owned());
        }
        sleep(Duration::from_millis(2));
    };
    // Why after a while: what starting took and gave back is not what a server holds.
    sleep(Duration::from_secs(1));
    let memory = server.resident_mib();
    server.stop()?;
    Ok((answered?, memory?))
}

/// The number behind `"key":` in JSON.
fn number(json: &str, key: &str) -> Option<f64> {
    let (_, rest) = json.split_once(&format!("\"{key}\":"))?;
    let end = rest.find([',', '}'])?;
    rest[..end].trim().parse().ok()
}

fn read(path: &PathBuf) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|e| format!("`{}`: {e}", path.display()))
}
