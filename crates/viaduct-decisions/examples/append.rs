//! `cargo run --release --example append -p viaduct-decisions`: what one append costs, with 30
//! columns, for one row and for a thousand; and what packing makes of it.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use viaduct_base::{ClockKind, DecisionId, EndpointId, Timestamp, WorkspaceId};
use viaduct_decisions::{
    Answered, BatchHead, BatchRow, DecisionBatch, DecisionLog, Durability, OutputAt, Record, Way,
};
use viaduct_domain::columns::{Cells, Column, Columns, Outputs, Probabilities};

const COLUMNS: usize = 30;

fn batch(rows: usize, turn: usize) -> DecisionBatch {
    let at = Timestamp::from_system();
    let head = BatchHead {
        at,
        clock: ClockKind::System,
        replayed: false,
        workspace: WorkspaceId::from_u128(1),
        endpoint: EndpointId::from_u128(1),
        endpoint_name: "churn".into(),
        project: None,
        stage: "production".into(),
        department: None,
        consumer: None,
        contract_hash: None,
        rule_hash: None,
    };
    let cell = |row: usize, column: usize| ((row * 31 + column * 17 + turn) % 997) as f32 / 7.0;
    let columns = (0..COLUMNS).map(|column| {
        let cells = (0..rows).map(|row| cell(row, column)).collect();
        (Arc::from(format!("feature_{column}")), Column::from(Cells::F32(cells)))
    });
    let mut batch = DecisionBatch::new(head, Columns { rows, columns: columns.collect() });
    let yes: Vec<f64> = (0..rows).map(|row| f64::from(cell(row, 3) / 150.0)).collect();
    batch.outputs = vec![Outputs {
        rows,
        label: Some(Cells::I64(yes.iter().map(|p| i64::from(*p > 0.5)).collect()).into()),
        probabilities: Some(Probabilities {
            classes: ["0".to_owned(), "1".to_owned()].into(),
            positive: Some(1),
            values: yes.iter().flat_map(|p| [f64::from(1.0 - *p as f32), *p]).collect(),
        }),
        ..Outputs::default()
    }];
    let way = batch.way(Way {
        trial: None,
        variant: "champion".into(),
        flags: vec![],
        model: "churn".into(),
        model_version: 3,
        model_action: None,
        action: String::new(),
    });
    let row = |number: usize| BatchRow {
        id: DecisionId::new(at),
        entity_hash: format!("{:032x}", (number + turn * 1_000) * 7_919),
        keys: [("order_id".to_owned(), (number + turn * 1_000).to_string())].into(),
        bucket: Some((number % 10_000) as u16),
        way,
        output: Some(OutputAt { set: 0, row: number as u32 }),
        answered: Answered::Output,
        incumbent: None,
        latency_us: 42,
    };
    batch.rows = (0..rows).map(row).collect();
    batch
}

/// The median of one append, and rows a second over all of them.
fn report(what: &str, rows: usize, mut micros: Vec<f64>) {
    let total: f64 = micros.iter().sum();
    let rate = (rows * micros.len()) as f64 / total * 1e6;
    micros.sort_by(f64::total_cmp);
    println!("{what}, {rows} rows: {:.1} µs p50, {rate:.0} rows/s", micros[micros.len() / 2]);
}

fn main() -> Result<(), Box<dyn Error>> {
    for (rows, turns) in [(1, 60_000), (1_000, 400)] {
        let dir = tempfile::tempdir()?;
        let (log, _) = DecisionLog::open(dir.path(), Durability::Os)?;
        let batches: Vec<_> = (0..turns).map(|turn| batch(rows, turn)).collect();
        let mut micros = Vec::with_capacity(turns);
        for batch in &batches {
            let start = Instant::now();
            log.append_batch(batch)?;
            micros.push(start.elapsed().as_secs_f64() * 1e6);
        }
        report("append_batch", rows, micros);
        log.settle();
        let stats = log.stats();
        let each = |bytes: u64| bytes / stats.rows;
        println!(
            "  {} bytes a row, {} after packing {} of {} segments",
            each(stats.raw_bytes),
            each(stats.bytes),
            stats.packed,
            stats.segments
        );
        let dir = tempfile::tempdir()?;
        let (log, _) = DecisionLog::open(dir.path(), Durability::Os)?;
        let mut micros = Vec::with_capacity(turns);
        for batch in batches.iter().take(turns / 4) {
            let records: Vec<Record> =
                (0..rows).filter_map(|row| batch.row(row)).map(Record::from).collect();
            let start = Instant::now();
            log.append(&records)?;
            micros.push(start.elapsed().as_secs_f64() * 1e6);
        }
        report("append (JSON rows)", rows, micros);
    }
    Ok(())
}
