//! `cargo run --release --example million -p viaduct-decisions`: a million decisions written, then
//! opened by a fresh process, with times and resident memory. `… -- fill DIR` only writes them
//! there, for benchmarks of directories that have lived.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::json;
use viaduct_base::{ClockKind, DecisionId, EndpointId, Span, Timestamp, WorkspaceId};
use viaduct_decisions::{DecisionLog, DecisionRow, Durability, Record};

const ROWS: i64 = 1_000_000;
const BATCH: i64 = 1_000;

fn row(number: i64) -> DecisionRow {
    let at = Timestamp::from_micros(1_767_225_600_000_000) + Span::seconds(number * 8);
    let inputs = json!({
        "age": 30 + number % 50, "job": "admin.", "marital": "married", "education": "university",
        "campaign": 1 + number % 4, "pdays": 999, "previous": 0, "euribor3m": 4.857,
        "nr_employed": 5191.0, "cons_price_idx": 93.994, "cons_conf_idx": -36.4,
    });
    let output = json!({"label": number % 2, "probability": 0.25,
                        "probabilities": {"0": 0.75, "1": 0.25}});
    DecisionRow {
        id: DecisionId::new(at),
        at,
        clock: ClockKind::System,
        replayed: false,
        workspace: WorkspaceId::from_u128(1),
        endpoint: EndpointId::from_u128(1 + number as u128 % 5),
        endpoint_name: "term-deposit".into(),
        project: None,
        stage: "pilot".into(),
        department: None,
        consumer: None,
        entity_hash: format!("{:016x}", number * 7_919),
        keys: BTreeMap::from([("lead_id".to_owned(), number.to_string())]),
        trial: None,
        variant: "champion".into(),
        bucket: Some((number % 10_000) as u16),
        flags: Vec::new(),
        model: "term-deposit".into(),
        model_version: 3,
        contract_hash: None,
        rule_hash: None,
        inputs: inputs.as_object().cloned().unwrap_or_default(),
        output: Some(output.clone()),
        answered: output,
        incumbent: None,
        model_action: Some("call".into()),
        action: "call".into(),
        latency_us: 42,
    }
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    let kib = line.split_whitespace().nth(1).and_then(|text| text.parse().ok());
    kib.unwrap_or(0u64) / 1024
}

fn open(dir: &Path) -> Result<(), Box<dyn Error>> {
    let before = resident_mib();
    let start = Instant::now();
    let (log, report) = DecisionLog::open(dir, Durability::Os)?;
    println!("open: {:.0?}, resident {} MiB (before {before})", start.elapsed(), resident_mib());
    println!("  {report}; {} MiB", log.stats().bytes >> 20);
    let wanted = row(0).endpoint;
    let start = Instant::now();
    let keyed = log.by_key(wanted, "lead_id", "500000")?;
    println!("first by_key: {:.0?} ({} found)", start.elapsed(), keyed.len());
    let start = Instant::now();
    for number in 0..1_000 {
        log.by_key(wanted, "lead_id", &(number * 995).to_string())?;
    }
    println!("by_key: {:.0?} each", start.elapsed() / 1_000);
    let ids: Vec<_> = log.recent(wanted, 1_000)?.into_iter().map(|row| row.id).collect();
    let start = Instant::now();
    for id in &ids {
        log.get(*id)?.ok_or("a row is lost")?;
    }
    println!("get: {:.0?} each", start.elapsed() / 1_000);
    let start = Instant::now();
    let always = (Timestamp::from_micros(0), Timestamp::from_micros(i64::MAX));
    let count = log.scan(Some(wanted), always.0, always.1).count();
    println!("scan of one endpoint ({count} rows): {:.0?}", start.elapsed());
    println!("resident {} MiB after the reads", resident_mib());
    Ok(())
}

fn threads(durability: Durability, threads: i64, each: i64) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let (log, _) = DecisionLog::open(dir.path(), durability)?;
    let rows: Vec<Record> = (0..each).map(|number| row(number).into()).collect();
    let start = Instant::now();
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| rows.iter().try_for_each(|r| log.append(std::slice::from_ref(r))))
            })
            .collect();
        running.into_iter().try_for_each(|t| t.join().map_err(|_| "a thread failed").map(|_| ()))
    })?;
    let rate = (threads * each) as f64 / start.elapsed().as_secs_f64();
    println!("append, one row a call, {durability:?}, {threads} threads: {rate:.0} rows/s");
    Ok(())
}

fn fill(dir: &Path) -> Result<(), Box<dyn Error>> {
    let (log, _) = DecisionLog::open(dir, Durability::Os)?;
    let start = Instant::now();
    for batch in 0..ROWS / BATCH {
        let rows: Vec<Record> = (0..BATCH).map(|n| row(batch * BATCH + n).into()).collect();
        log.append(&rows)?;
    }
    println!("{ROWS} rows written in batches of {BATCH}: {:.1?}", start.elapsed());
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.as_slice() {
        [] => {}
        [verb, dir] if verb == "fill" => return fill(Path::new(dir)),
        [dir, ..] => return open(Path::new(dir)),
    }
    for count in [1, 2, 8] {
        threads(Durability::Os, count, 50_000)?;
    }
    for count in [1, 8, 32] {
        threads(Durability::Fsync, count, 500)?;
    }
    let dir = tempfile::tempdir()?;
    fill(dir.path())?;
    let status = Command::new(std::env::current_exe()?).arg(dir.path()).status()?;
    if status.success() { Ok(()) } else { Err("the reader failed".into()) }
}
