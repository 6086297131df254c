//! The rows that ask running servers.

use std::thread;
use std::time::Duration;

use super::http::{demand, page};
use super::load::{Ask, Paced, Peak};
use super::number;
use super::sides::{Bench, Side};
use super::table::{Table, Wanted, figure};
use crate::Outcome;

const MODELS: [&str; 2] = ["trees", "people"];
/// Turns of two sides that are compared closely.
const ROUNDS: usize = 5;

/// What MLServer and Viaduct gave, for the rows that compare them.
pub(super) struct Compared {
    peaks: Vec<(&'static str, Peak)>,
    tail: Option<(f64, Paced)>,
}

/// Both models at their most, and the tail at 70 % of that.
fn measure(bench: &Bench, side: &Side, single: bool, tail: bool) -> Outcome<Compared> {
    let mut found = Compared { peaks: Vec::new(), tail: None };
    for model in MODELS.into_iter().filter(|_| single) {
        let ask = side.oip(bench, model, 1)?;
        ask.wrk(4, 1)?;
        found.peaks.push((model, ask.peak(bench.seconds)?));
    }
    if tail {
        found.tail = Some(at_70(bench, &side.oip(bench, "trees", 1)?)?);
    }
    Ok(found)
}

/// The most that eight connections get, and what comes at 70 % of it.
fn at_70(bench: &Bench, ask: &Ask) -> Outcome<(f64, Paced)> {
    let most = ask.paced(None, bench.seconds)?.rate;
    let paced = ask.paced(Some(most * 0.7), bench.seconds * 3)?;
    match paced.failed {
        0 => Ok((most, paced)),
        failed => Err(format!("{failed} of {} requests failed at 70 %", paced.sent)),
    }
}

/// `single` and `tail`: the same bytes to both.
pub(super) fn against_mlserver(
    bench: &Bench,
    ours: &Side,
    table: &mut Table,
    single: bool,
    tail: bool,
) -> Outcome {
    let mut peers = Vec::new();
    for workers in [0, 1] {
        let peer = bench.mlserver(workers)?;
        peers.push((workers, measure(bench, &peer, single, tail)?));
    }
    let our = measure(bench, ours, single, tail)?;
    for (place, (model, peak)) in our.peaks.iter().enumerate() {
        let best = peers
            .iter()
            .filter_map(|(workers, peer)| Some((*workers, peer.peaks.get(place)?.1)))
            .max_by(|a, b| a.1.rate.total_cmp(&b.1.rate));
        let Some((workers, best)) = best else { continue };
        table.add(
            &format!(
                "single-row JSON requests/s, `{model}`, log and contract on, against MLServer"
            ),
            format!("{} ({} us of CPU each)", figure(peak.rate), figure(peak.cpu_us)),
            format!("{} (parallel_workers={workers})", figure(best.rate)),
            peak.rate / best.rate,
            Wanted::Ratio(20.0),
        );
    }
    if let Some((most, paced)) = our.tail {
        let best = peers
            .iter()
            .filter_map(|(workers, peer)| Some((*workers, peer.tail?)))
            .min_by(|a, b| a.1.1.p99_ms.total_cmp(&b.1.1.p99_ms));
        let (workers, (peak, other)) = best.ok_or("MLServer has no tail")?;
        let shown = |most: f64, paced: Paced| {
            format!(
                "{} ms (p50 {}; {}/s of {}/s)",
                figure(paced.p99_ms),
                figure(paced.p50_ms),
                figure(paced.rate),
                figure(most)
            )
        };
        table.add(
            "p99 at 70 % of own peak, `trees`",
            shown(most, paced),
            format!("{} (parallel_workers={workers})", shown(peak, other)),
            other.p99_ms / paced.p99_ms,
            Wanted::Ratio(10.0),
        );
    }
    Ok(())
}

/// Server CPU a request beyond what the model itself takes, and the time of a lone caller.
pub(super) fn outside(bench: &Bench, ours: &Side, table: &mut Table) -> Outcome {
    let floor_cpu = bench.floor("cpu_us_1")?;
    let peer = bench.fastapi()?;
    let ask = peer.records(bench, "/predict")?;
    ask.wrk(1, 1)?;
    let (lone, full) = (ask.wrk(1, bench.seconds)?, ask.wrk(8, bench.seconds)?);
    drop(peer);
    let ask = ours.records(bench, "/api/v1/endpoints/trees/predict")?;
    ask.wrk(1, 1)?;
    let (our_lone, our_full) = (ask.wrk(1, bench.seconds)?, ask.wrk(8, bench.seconds)?);
    let (theirs, our) = (full.cpu_us - floor_cpu, our_full.cpu_us - floor_cpu);
    let shown = |cpu: f64, lone: Peak, full: Peak| {
        format!(
            "{} us (alone p50 {} us; {}/s)",
            figure(cpu),
            figure(lone.p50_us),
            figure(full.rate)
        )
    };
    table.add(
        &format!(
            "CPU time outside the model call ({} us), one row of records, against FastAPI + onnxruntime",
            figure(floor_cpu)
        ),
        shown(our, our_lone, our_full),
        shown(theirs, lone, full),
        theirs / our,
        Wanted::Ratio(10.0),
    );
    Ok(())
}

/// A thousand rows over HTTP, one request at a time, against the bare loop.
pub(super) fn batch(bench: &Bench, ours: &Side, table: &mut Table, bare_us: f64) -> Outcome {
    let ask = ours.binary(bench, "trees", 1000)?;
    ask.wrk(1, 1)?;
    let (lone, both) = (ask.wrk(1, bench.seconds)?, ask.wrk(2, bench.seconds)?);
    let floor = 1e9 / bare_us;
    table.add(
        "batch of 1000 rows, binary tensors, log on, over HTTP, rows/s",
        format!("{} (two at once {})", figure(lone.rate * 1e3), figure(both.rate * 1e3)),
        format!("bare ort loop {}", figure(floor)),
        lone.rate * 1e3 / floor,
        Wanted::Ratio(0.85),
    );
    Ok(())
}

/// The same tensors by gRPC, by REST with binary tensors and by REST with JSON, one generator.
pub(super) fn grpc(bench: &Bench, ours: &Side, table: &mut Table) -> Outcome {
    for (rows, wanted) in [(1, 0.8), (100, 1.0)] {
        let (mut grpcs, mut binaries) = (Vec::new(), Vec::new());
        // Why in turns: a machine that is shared is not equally fast from one moment to the next.
        for _ in 0..ROUNDS {
            let before = logged(ours)?;
            let (grpc, good) = ours.grpc(bench, rows)?.h2load(true, bench.seconds)?;
            // Why: h2load sees the status of HTTP, which is 200 for every answer of gRPC.
            let decided = logged(ours)? - before;
            if decided < good * rows as f64 {
                return Err(format!("{good} answers of {rows} rows made {decided} decisions only"));
            }
            grpcs.push(grpc);
            binaries.push(ours.binary(bench, "trees", rows)?.h2load(false, bench.seconds)?.0);
        }
        let (grpc, binary) = (median(grpcs), median(binaries));
        let (json, _) = ours.oip(bench, "trees", rows)?.h2load(false, bench.seconds)?;
        table.add(
            &format!(
                "gRPC against REST with binary tensors, {rows} row(s), requests/s (median of {ROUNDS})"
            ),
            figure(grpc),
            format!("{} (with JSON {})", figure(binary), figure(json)),
            grpc / binary,
            Wanted::Ratio(wanted),
        );
    }
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
}

fn logged(side: &Side) -> Outcome<f64> {
    metric(side, "viaduct_decision_log_rows ")
}

fn metric(side: &Side, name: &str) -> Outcome<f64> {
    let text = page(side.port()?, "/metrics")?;
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        .ok_or_else(|| format!("no `{name}` at /metrics"))
}

/// The log's share of the server's CPU. No switch turns the log off, so this is a bound: the time
/// inside the append, waiting included, is taken for CPU that would be free without it.
pub(super) fn log(bench: &Bench, ours: &Side, table: &mut Table) -> Outcome {
    let ask = ours.oip(bench, "trees", 1)?;
    ask.wrk(1, 1)?;
    let sum = "viaduct_decision_log_append_seconds_sum ";
    let count = "viaduct_decision_log_append_seconds_count ";
    let (seconds, appends) = (metric(ours, sum)?, metric(ours, count)?);
    let peak = ask.wrk(1, bench.seconds)?;
    let (seconds, appends) = (metric(ours, sum)? - seconds, metric(ours, count)? - appends);
    let each = seconds / appends * 1e6;
    table.add(
        "decision log on against off, single row JSON (computed: 1 - append time / CPU time)",
        format!("append {} us of {} us", figure(each), figure(peak.cpu_us)),
        "the product cannot turn its log off".to_owned(),
        1.0 - each / peak.cpu_us,
        Wanted::Ratio(0.92),
    );
    Ok(())
}

/// The champion moves between two versions once a second while 70 % of the peak goes on.
pub(super) fn swaps(bench: &Bench, ours: &Side, table: &mut Table, count: u64) -> Outcome {
    let ask = ours.oip(bench, "trees", 1)?;
    let (most, calm) = at_70(bench, &ask)?;
    let port = ours.port()?;
    let (paced, swapped) = thread::scope(|scope| {
        let load = scope.spawn(|| ask.paced(Some(most * 0.7), count));
        let swapped = (0..count).try_for_each(|number| {
            thread::sleep(Duration::from_secs(1));
            let version = 2 - number % 2;
            let body =
                format!("{{\"name\":\"trees\",\"alias\":\"champion\",\"version\":\"{version}\"}}");
            demand(port, "/api/2.0/mlflow/registered-models/alias", &body)?;
            let answer = demand(port, &ask.path, &super::read(&ask.body)?)?;
            let wanted = format!("\"model_version\":\"{version}\"");
            match answer.contains(&wanted) {
                true => Ok(()),
                false => Err(format!("swap {number}: no {wanted} in the answer {answer}")),
            }
        });
        (load.join().unwrap_or_else(|_| Err("the client broke".to_owned())), swapped)
    });
    let paced = paced?;
    swapped?;
    table.below(
        &format!("{count} version swaps, one a second, at 70 % load: failed requests"),
        paced.failed as f64,
        "",
        format!("{} sent at {}/s", paced.sent, figure(paced.rate)),
        1.0,
    );
    let other = format!("without swaps {} ms", figure(calm.p99_ms));
    let ratio = paced.p99_ms / calm.p99_ms;
    let what = format!("p99 meanwhile ({} ms), times that of no swaps", figure(paced.p99_ms));
    table.below(&what, ratio, "x", other, 2.0);
    Ok(())
}

/// More and more endpoints of one model, asked in turn.
pub(super) fn growth(bench: &Bench, ours: &Side, table: &mut Table, most: usize) -> Outcome {
    let port = ours.port()?;
    let mut made = 0;
    let mut first = f64::NAN;
    for endpoints in [1, 10, 100, 1000].into_iter().filter(|count| *count <= most) {
        while made < endpoints {
            bench.endpoint(port, &format!("e{made}"), "people")?;
            made += 1;
        }
        let body = bench.work.join("people-oip-1.json");
        let json = "Content-Type: application/json";
        let ask = ours.ask("/v2/models/e%d/infer", json, body)?;
        ready(port, &format!("e{}", made - 1))?;
        ask.wrk_over(8, 1, endpoints)?;
        let peak = ask.wrk_over(8, bench.seconds, endpoints)?;
        first = if first.is_nan() { peak.rate } else { first };
        table.add(
            &format!("growth: {endpoints} endpoints of one model, requests/s"),
            format!("{} ({} MiB)", figure(peak.rate), figure(ours.resident_mib()?)),
            "of one endpoint".to_owned(),
            peak.rate / first,
            Wanted::Shown,
        );
    }
    Ok(())
}

/// More and more models, each a file of its own, each asked once.
pub(super) fn memory(bench: &Bench, ours: &Side, table: &mut Table, most: usize) -> Outcome {
    let port = ours.port()?;
    let url = format!("http://127.0.0.1:{port}");
    let work = bench.work.display().to_string();
    bench.prepare(&["many", &url, &work, &most.to_string()])?;
    let before = ours.resident_mib()?;
    let mut made = 0;
    for models in [1, 10, 50, 100, 500].into_iter().filter(|count| *count <= most) {
        while made < models {
            let name = format!("m{made}");
            bench.endpoint(port, &name, &name)?;
            ready(port, &name)?;
            made += 1;
        }
        let now = ours.resident_mib()?;
        table.add(
            &format!("growth: {models} models of 500 trees, MiB"),
            figure(now),
            format!("{} a model", figure((now - before) / models as f64)),
            f64::NAN,
            Wanted::Shown,
        );
    }
    Ok(())
}

/// Waits until an endpoint answers.
fn ready(port: u16, name: &str) -> Outcome {
    let path = format!("/v2/models/{name}/ready");
    for _ in 0..1000 {
        if page(port, &path).is_ok() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Err(format!("`{path}` does not answer 200"))
}

/// What the in-process measurement printed last: a line of JSON.
pub(super) fn corridor(text: &str, table: &mut Table, overhead: bool, batch: bool) -> Outcome<f64> {
    let value = |key: &str| number(text, key).ok_or_else(|| format!("no `{key}` in {text}"));
    let (bare, over) = (value("one_row_bare_us")?, value("one_row_overhead_us")?);
    if overhead {
        let what = "the corridor over the bare `ort` call, one row, p50";
        let other =
            format!("bare {} us, whole {} us", figure(bare), figure(value("one_row_corridor_us")?));
        table.below(what, over, "us", other, 60.0);
    }
    let (bare, ours) = (value("batch_bare_us")?, value("batch_corridor_us")?);
    if batch {
        table.add(
            "batch of 1000 rows, binary tensors, log on, in process, rows/s (p50)",
            figure(1e9 / ours),
            format!("bare ort loop {}", figure(1e9 / bare)),
            bare / ours,
            Wanted::Ratio(0.85),
        );
    }
    Ok(bare)
}
