use std::sync::{Arc, Barrier};
use std::time::Duration;

use viaduct_base::{DecisionId, RolloutId, Span, Timestamp};
use viaduct_decisions::{BesideRow, DecisionLog, Durability, LogError, LogOptions, Record};

use crate::support::{ALWAYS, decision, endpoint, ids, refused, segments, small};

fn day(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn rows_are_found_by_id_key_and_time_over_many_segments_and_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (endpoint(1), endpoint(2));
    let mut rows = Vec::new();
    for number in 0..200 {
        let at = day("2026-01-01T00:00:00Z") + Span::minutes(number * 30);
        rows.push(decision(if number % 4 == 0 { b } else { a }, at, &format!("L{}", number / 2)));
    }
    let check = |log: &DecisionLog| {
        for row in &rows {
            assert_eq!(log.get(row.id).unwrap().as_ref(), Some(row));
        }
        assert!(log.get(DecisionId::new(day("2026-01-02"))).unwrap().is_none());
        // Leads come in pairs: 3 and 2 are both `a`'s and `b`'s; each endpoint sees its own.
        let found = log.by_key(a, "lead_id", "L1").unwrap();
        assert_eq!(found, [rows[3].clone(), rows[2].clone()], "newest first");
        assert_eq!(log.by_key(b, "lead_id", "L2").unwrap(), [rows[4].clone()]);
        assert!(log.by_key(a, "lead", "L1").unwrap().is_empty());
        assert!(log.by_key(a, "lead_id", "L999").unwrap().is_empty());
        let recent: Vec<_> = log.recent(b, 3).unwrap().into_iter().map(|row| row.id).collect();
        assert_eq!(recent, [rows[196].id, rows[192].id, rows[188].id]);
        assert_eq!(log.recent(b, 1_000).unwrap().len(), 50);
        assert_eq!(log.recent(endpoint(3), 10).unwrap().len(), 0);
        let (from, to) = (day("2026-01-02"), day("2026-01-03"));
        let second: Vec<_> = log.scan(Some(a), from, to).map(Result::unwrap).collect();
        assert_eq!(second.len(), 37, "36 decisions and a refused row");
        assert!(second.iter().all(|row| row.endpoint() == a && (from..to).contains(&row.at())));
        assert_eq!(log.scan(None, from, to).count(), 49, "the refused one too");
        let counts = log.counts_per_day(a);
        assert_eq!(counts[&from.day()].decisions, 36);
        assert_eq!(counts[&from.day()].refused, 1);
        assert_eq!(counts.values().map(|c| c.decisions).sum::<u64>(), 150);
        assert_eq!(log.stats().rows, 201);
        assert!(log.verify().unwrap().is_empty());
    };
    {
        let (log, report) = DecisionLog::open_with(dir.path(), small(20_000)).unwrap();
        assert!(report.is_clean(), "{report}");
        for row in &rows {
            log.append(&[row.clone().into()]).unwrap();
        }
        log.append(&[refused(a, day("2026-01-02T10:00:00Z"))]).unwrap();
        check(&log);
    }
    assert!(segments(dir.path()).len() > 5);
    let (log, report) = DecisionLog::open_with(dir.path(), small(20_000)).unwrap();
    assert!(report.is_clean(), "{report}");
    check(&log);
    drop(log);
    // Indexes can be made again from the segments.
    for path in segments(dir.path()) {
        let _ = std::fs::remove_file(path.with_extension("idx"));
    }
    let (log, report) = DecisionLog::open_with(dir.path(), small(20_000)).unwrap();
    assert!(report.rebuilt.len() > 5, "{report}");
    check(&log);
    assert_eq!(ids(&log), rows.iter().map(|row| row.id).collect::<Vec<_>>());
}

#[test]
fn many_threads_append_while_others_read() {
    for durability in [Durability::Os, Durability::Fsync] {
        let dir = tempfile::tempdir().unwrap();
        let options = LogOptions { durability, ..small(100_000) };
        let (log, _) = DecisionLog::open_with(dir.path(), options).unwrap();
        let start = Arc::new(Barrier::new(8));
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let (log, start) = (log.clone(), Arc::clone(&start));
                std::thread::spawn(move || {
                    start.wait();
                    let mut mine = Vec::new();
                    for number in 0..100 {
                        let at = Timestamp::from_system();
                        let row = decision(endpoint(7), at, &format!("{thread}-{number}"));
                        log.append(&[row.clone().into()]).unwrap();
                        assert_eq!(log.get(row.id).unwrap().as_ref(), Some(&row), "at once");
                        mine.push(row.id);
                    }
                    mine
                })
            })
            .collect();
        let mut acknowledged: Vec<_> =
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        let mut logged = ids(&log);
        acknowledged.sort();
        logged.sort();
        assert_eq!(acknowledged, logged);
    }
}

#[test]
fn old_segments_are_sealed_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_age: Duration::ZERO, ..LogOptions::default() };
    let (log, _) = DecisionLog::open_with(dir.path(), options).unwrap();
    for lead in ["1", "2", "3"] {
        log.append(&[decision(endpoint(1), day("2026-01-01"), lead).into()]).unwrap();
    }
    // Why not the files: a sealed one gets another name when it is packed.
    assert_eq!(log.stats().segments, 3);
    assert_eq!(ids(&log).len(), 3);
}

#[test]
fn a_directory_has_one_writer_and_old_versions_do_not_read_new_files() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = DecisionLog::open(dir.path(), Durability::Os).unwrap();
    let second = DecisionLog::open(dir.path(), Durability::Os);
    assert!(matches!(second, Err(LogError::InUse { .. })));
    drop(log);
    let path = segments(dir.path())[0].clone();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[6] = 9;
    std::fs::write(&path, bytes).unwrap();
    let error = DecisionLog::open(dir.path(), Durability::Os).unwrap_err().to_string();
    assert!(error.contains("seg-0000000001.log") && error.contains("format 9"), "{error}");
}

#[test]
fn a_batch_is_appended_whole_and_a_scan_sees_what_was_there_when_it_began() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = DecisionLog::open(dir.path(), Durability::Os).unwrap();
    let at = day("2026-01-01");
    let batch: Vec<Record> =
        (0..50).map(|n| decision(endpoint(1), at, &n.to_string()).into()).collect();
    log.append(&batch).unwrap();
    let mut scan = log.scan(None, ALWAYS.0, ALWAYS.1);
    assert!(scan.next().is_some());
    log.append(&batch[..1]).unwrap();
    assert_eq!(scan.count(), 49);
    log.append(&[]).unwrap();
}

#[test]
fn what_a_challenger_said_stands_beside_and_is_no_decision() {
    let dir = tempfile::tempdir().unwrap();
    let at = day("2026-01-01T00:00:00Z");
    let row = decision(endpoint(1), at, "L1");
    let beside = BesideRow {
        decision: row.id,
        at,
        endpoint: row.endpoint,
        rollout: RolloutId::from_u128(4),
        model: "leads".into(),
        model_version: 4,
        output: Some(serde_json::json!({"value": 2.5})),
        action: Some("call".into()),
        disagrees: Some(true),
        error: None,
        latency_us: 12,
    };
    let check = |log: &DecisionLog| {
        assert_eq!(log.beside(row.endpoint, row.id).unwrap(), std::slice::from_ref(&beside));
        assert_eq!(log.get(row.id).unwrap().as_ref(), Some(&row));
        assert_eq!(log.recent(row.endpoint, 10).unwrap().len(), 1);
        assert_eq!(log.counts_per_day(row.endpoint)[&at.day()].decisions, 1);
        assert!(log.beside(row.endpoint, DecisionId::new(at)).unwrap().is_empty());
        assert!(log.by_key(row.endpoint, ".decision", &row.id.to_string()).unwrap().is_empty());
    };
    {
        let (log, _) = DecisionLog::open_with(dir.path(), small(20_000)).unwrap();
        log.append(&[row.clone().into()]).unwrap();
        log.append(&[Record::Beside(beside.clone())]).unwrap();
        check(&log);
        // Into a sealed segment with an index file.
        for number in 0..100 {
            log.append(&[decision(endpoint(2), at, &number.to_string()).into()]).unwrap();
        }
        check(&log);
    }
    let (log, report) = DecisionLog::open_with(dir.path(), small(20_000)).unwrap();
    assert!(report.is_clean(), "{report}");
    check(&log);
}
