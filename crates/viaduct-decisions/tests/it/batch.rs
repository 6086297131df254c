//! A request as one record: the same rows come back, also beside old ones and after damage.

use std::fs;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;
use viaduct_base::{DecisionId, EndpointId, Timestamp};
use viaduct_decisions::{
    Answered, BatchHead, BatchRow, DecisionBatch, DecisionLog, DecisionRow, Flag, LogError,
    OutputAt, Record, Way,
};
use viaduct_domain::columns::{Cells, Column, Columns, NamedOutput, Outputs, Probabilities};

use crate::support::{ALWAYS, decision, endpoint, ids, segments, small};

pub(crate) fn batch(endpoint: EndpointId, at: Timestamp, rows: usize) -> DecisionBatch {
    let like = decision(endpoint, at, "");
    let head = BatchHead {
        at,
        clock: like.clock,
        replayed: false,
        workspace: like.workspace,
        endpoint,
        endpoint_name: like.endpoint_name,
        project: None,
        stage: like.stage,
        department: Some("retail".into()),
        consumer: None,
        contract_hash: None,
        rule_hash: None,
    };
    let column = |name: &str, cells: Cells| (Arc::from(name), Column::from(cells));
    let some = |n: usize| n as f64 / 7.0;
    let mut columns = vec![
        column("age", Cells::I64((0..rows).map(|n| n as i64 * 1_000_000_007).collect())),
        column("rate", Cells::F64((0..rows).map(some).collect())),
        column("narrow", Cells::F32((0..rows).map(|n| n as f32 / 8.0).collect())),
        column("contacted", Cells::Bool((0..rows).map(|n| n % 3 == 0).collect())),
        column("job", Cells::Text((0..rows).map(|n| format!("job \"{n}\"")).collect())),
    ];
    columns[1].1.nulls = Some((0..rows).map(|n| n % 5 == 4).collect());
    let mut batch = DecisionBatch::new(head, Columns { rows, columns });
    let named = NamedOutput {
        name: "place".into(),
        width: 2,
        cells: Cells::I64((0..rows as i64 * 2).collect()).into(),
    };
    batch.outputs = vec![
        Outputs {
            rows,
            label: Some(Cells::Text((0..rows).map(|n| format!("l{}", n % 2)).collect()).into()),
            probabilities: Some(Probabilities {
                classes: ["no".to_owned(), "yes".to_owned()].into(),
                positive: Some(1),
                values: (0..rows * 2).map(|n| if n == 3 { f64::NAN } else { some(n) }).collect(),
            }),
            value: None,
            named: vec![named],
        },
        Outputs { rows: 1, value: Some(vec![0.5]), ..Outputs::default() },
    ];
    for number in 0..rows {
        let is_held = number % 10 == 9;
        let way = batch.way(Way {
            trial: None,
            variant: if is_held { "holdout" } else { "champion" }.into(),
            flags: if is_held { vec![Flag::Withheld] } else { vec![] },
            model: "term-deposit".into(),
            model_version: 3,
            model_action: Some("call".into()),
            action: if is_held { "rest" } else { "call" }.into(),
        });
        let output = match number % 10 {
            8 => None,
            7 => Some(OutputAt { set: 1, row: 0 }),
            _ => Some(OutputAt { set: 0, row: number as u32 }),
        };
        let mut keys = decision(endpoint, at, &format!("L{number}")).keys;
        if number % 2 == 1 {
            keys.insert("order".into(), format!("O{number}"));
        }
        batch.rows.push(BatchRow {
            id: DecisionId::new(at),
            entity_hash: if number == 2 { String::new() } else { format!("{number:032x}") },
            keys,
            bucket: (number % 2 == 0).then_some(number as u16),
            way,
            output,
            answered: match number % 10 {
                9 => Answered::Value(json!({"usual": number})),
                8 => Answered::Value(json!(null)),
                _ => Answered::Output,
            },
            incumbent: (number % 4 == 0).then(|| json!({"score": number})),
            latency_us: 40 + number as u64,
        });
    }
    batch
}

pub(crate) fn rows(batch: &DecisionBatch) -> Vec<DecisionRow> {
    (0..batch.rows.len()).map(|row| batch.row(row).unwrap()).collect()
}

fn day(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn the_rows_of_a_batch_are_found_by_id_key_and_time_beside_single_ones() {
    let dir = tempfile::tempdir().unwrap();
    let e = endpoint(1);
    let old = decision(e, day("2026-01-01T00:00:00Z"), "L3");
    let batch = batch(e, day("2026-01-01T01:00:00Z"), 50);
    let new = decision(e, day("2026-01-01T02:00:00Z"), "L3");
    let wanted = rows(&batch);
    assert_eq!(wanted[9].answered, json!({"usual": 9}));
    assert_eq!(wanted[7].output, Some(json!({"value": 0.5})));
    assert_eq!(wanted[1].output.as_ref().unwrap()["probability"], json!(null), "NaN");
    assert_eq!(wanted[4].inputs["rate"], json!(null));
    let check = |log: &DecisionLog| {
        for row in &wanted {
            assert_eq!(log.get(row.id).unwrap().as_ref(), Some(row));
        }
        let found = log.by_key(e, "lead_id", "L3").unwrap();
        assert_eq!(found, [new.clone(), wanted[3].clone(), old.clone()], "newest first");
        assert_eq!(log.by_key(e, "order", "O7").unwrap(), [wanted[7].clone()]);
        let recent = log.recent(e, 3).unwrap();
        assert_eq!(recent, [new.clone(), wanted[49].clone(), wanted[48].clone()]);
        let scanned: Vec<_> = log.scan(Some(e), ALWAYS.0, ALWAYS.1).map(Result::unwrap).collect();
        let all = [std::slice::from_ref(&old), &wanted[..], std::slice::from_ref(&new)].concat();
        assert_eq!(scanned, all.into_iter().map(Record::from).collect::<Vec<_>>());
        assert_eq!(
            log.scan(None, day("2026-01-01T00:30:00Z"), day("2026-01-01T01:30:00Z")).count(),
            50
        );
        assert_eq!(log.stats().rows, 52);
        assert_eq!(log.counts_per_day(e)[&old.at.day()].decisions, 52);
        assert!(log.verify().unwrap().is_empty());
    };
    {
        let (log, _) = DecisionLog::open_with(dir.path(), small(1 << 20)).unwrap();
        log.append(&[old.clone().into()]).unwrap();
        log.append_batch(&batch).unwrap();
        log.append(&[new.clone().into()]).unwrap();
        check(&log);
    }
    let (log, report) = DecisionLog::open_with(dir.path(), small(1 << 20)).unwrap();
    assert!(report.is_clean(), "{report}");
    check(&log);
}

#[test]
fn a_batch_that_names_what_it_has_not_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = DecisionLog::open_with(dir.path(), small(1 << 20)).unwrap();
    let good = batch(endpoint(1), day("2026-01-01"), 4);
    for spoil in [
        (|batch: &mut DecisionBatch| batch.ways.clear()) as fn(&mut DecisionBatch),
        |batch| batch.outputs.truncate(0),
        |batch| batch.inputs.rows = 3,
        |batch| batch.rows[1].output = Some(OutputAt { set: 0, row: 4 }),
    ] {
        let mut bad = good.clone();
        spoil(&mut bad);
        assert!(matches!(log.append_batch(&bad), Err(LogError::Uneven { rows: 4 })));
    }
    let mut none = good;
    none.inputs = Columns::default();
    log.append_batch(&none).unwrap();
    let found = log.get(none.rows[0].id).unwrap().unwrap();
    assert!(found.inputs.is_empty(), "inputs that are not kept");
}

#[test]
fn a_segment_of_the_first_format_is_read_and_gets_no_batch() {
    let dir = tempfile::tempdir().unwrap();
    let e = endpoint(1);
    let old = decision(e, day("2026-01-01"), "old");
    {
        let (log, _) = DecisionLog::open_with(dir.path(), small(1 << 20)).unwrap();
        log.append(&[old.clone().into()]).unwrap();
    }
    // Rows are framed as they were; only the header tells the format.
    let path = segments(dir.path())[0].clone();
    let mut bytes = fs::read(&path).unwrap();
    assert_eq!(bytes[6], 2);
    bytes[6] = 1;
    fs::write(&path, &bytes).unwrap();
    let (log, report) = DecisionLog::open_with(dir.path(), small(1 << 20)).unwrap();
    assert!(report.is_clean(), "{report}");
    let batch = batch(e, day("2026-01-02"), 3);
    log.append_batch(&batch).unwrap();
    assert_eq!(segments(dir.path()).len(), 2, "the old segment was sealed");
    assert_eq!(fs::read(&path).unwrap().len(), bytes.len());
    let found: Vec<_> = log.recent(e, 9).unwrap();
    assert_eq!(found.len(), 4);
    assert_eq!(found[3], old);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_truncation_keeps_whole_batches_only(cut in 0.0f64..1.0) {
        let dir = tempfile::tempdir().unwrap();
        let batches: Vec<_> =
            (1..5).map(|n| batch(endpoint(1), day("2026-01-01"), n * 3)).collect();
        {
            let (log, _) = DecisionLog::open_with(dir.path(), small(1 << 20)).unwrap();
            batches.iter().for_each(|batch| log.append_batch(batch).unwrap());
        }
        let path = &segments(dir.path())[0];
        let length = fs::metadata(path).unwrap().len();
        let keep = (length as f64 * cut) as u64;
        fs::OpenOptions::new().write(true).open(path).unwrap().set_len(keep).unwrap();
        let (log, report) = DecisionLog::open_with(dir.path(), small(1 << 20)).unwrap();
        let found = ids(&log);
        let sizes = [0, 3, 9, 18, 30];
        prop_assert!(sizes.contains(&found.len()), "{} rows: {}", found.len(), report);
        let all: Vec<_> = batches.iter().flat_map(|b| b.rows.iter().map(|row| row.id)).collect();
        prop_assert_eq!(&found[..], &all[..found.len()]);
    }

    #[test]
    fn any_flipped_bit_costs_one_batch(place in 0.0f64..1.0, bit in 0u8..8) {
        let dir = tempfile::tempdir().unwrap();
        {
            let (log, _) = DecisionLog::open_with(dir.path(), small(1 << 20)).unwrap();
            for _ in 0..4 {
                log.append_batch(&batch(endpoint(1), day("2026-01-01"), 3)).unwrap();
            }
        }
        let path = &segments(dir.path())[0];
        let mut bytes = fs::read(path).unwrap();
        let at = 16 + ((bytes.len() - 16) as f64 * place) as usize;
        bytes[at] ^= 1 << bit;
        fs::write(path, &bytes).unwrap();
        let (log, report) = DecisionLog::open_with(dir.path(), small(1 << 20)).unwrap();
        let sound = log.scan(None, ALWAYS.0, ALWAYS.1).filter(Result::is_ok).count();
        prop_assert_eq!(sound, 9, "{}", report);
    }
}
