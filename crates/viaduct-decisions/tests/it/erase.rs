//! Erasure and retention.

use std::fs;

use viaduct_base::{Span, Timestamp};
use viaduct_decisions::{DecisionLog, DecisionRow, Fate, Flag, LogOptions, Record};

use crate::batch::{batch, rows};
use crate::support::{ALWAYS, decision, endpoint, small};

fn options() -> LogOptions {
    LogOptions { compress: true, ..small(40_000) }
}

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn of(entity: &str, minute: i64) -> DecisionRow {
    let row = decision(endpoint(1), start() + Span::minutes(minute), &format!("lead-of-{entity}"));
    DecisionRow { entity_hash: entity.into(), ..row }
}

#[test]
fn an_erased_entity_is_in_no_byte_of_the_directory_and_its_decisions_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = DecisionLog::open_with(dir.path(), options()).unwrap();
    let (alice, bob) = ("a11ce", "b0b");
    let mut wanted = Vec::new();
    for minute in 0..120 {
        let row = of(if minute % 3 == 0 { alice } else { bob }, minute);
        log.append(&[row.clone().into()]).unwrap();
        wanted.push(row);
        let many = batch(endpoint(1), start() + Span::minutes(minute), 3);
        log.append_batch(&many).unwrap();
        wanted.extend(rows(&many));
    }
    let mut other = of(alice, 3);
    other.endpoint = endpoint(2);
    log.append(&[other.clone().into()]).unwrap();
    let scan = log.scan(Some(endpoint(1)), ALWAYS.0, ALWAYS.1);
    let mut scan = scan.map(Result::unwrap);
    let first = scan.next().unwrap();

    let done = log.erase(endpoint(1), alice).unwrap();
    assert_eq!((done.stripped, done.dropped), (40, 0));
    assert!(done.segments > 1 && done.damaged.is_empty());
    // A scan that began before goes on over what stands there now.
    assert_eq!(std::iter::once(first).chain(scan).count(), wanted.len());
    let check = |log: &DecisionLog| {
        for row in &wanted {
            let found = log.get(row.id).unwrap().unwrap();
            if row.entity_hash != alice {
                assert_eq!(&found, row);
                continue;
            }
            assert!(found.inputs.is_empty() && found.keys.is_empty());
            assert!(found.entity_hash.is_empty() && found.flags.contains(&Flag::Erased));
            assert_eq!(
                (found.at, &found.variant, &found.action),
                (row.at, &row.variant, &row.action)
            );
            assert_eq!(found.output, row.output);
        }
        assert!(log.by_key(endpoint(1), "lead_id", "lead-of-a11ce").unwrap().is_empty());
        assert_eq!(log.by_key(endpoint(1), "lead_id", "lead-of-b0b").unwrap().len(), 80);
        assert_eq!(log.get(other.id).unwrap().as_ref(), Some(&other), "another endpoint's stays");
        assert_eq!(log.recent(endpoint(1), 10_000).unwrap().len(), wanted.len());
        assert!(log.verify().unwrap().is_empty());
    };
    check(&log);
    let again = log.erase(endpoint(1), alice).unwrap();
    assert_eq!((again.segments, again.stripped), (0, 0), "nothing left to do");
    log.erase(endpoint(2), alice).unwrap();
    drop(log);
    // Plain bytes too: unpack every segment and look.
    let (log, report) = DecisionLog::open_with(dir.path(), options()).unwrap();
    assert!(report.is_clean(), "{report}");
    for record in log.scan(None, ALWAYS.0, ALWAYS.1) {
        assert!(!format!("{:?}", record.unwrap()).contains("a11ce"));
    }
    for file in fs::read_dir(dir.path()).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(5).any(|five| five == b"a11ce"));
    }
}

#[test]
fn rows_past_their_retention_go_and_a_crash_leaves_old_or_new() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = DecisionLog::open_with(dir.path(), options()).unwrap();
    for minute in 0..300 {
        log.append(&[of("e", minute).into()]).unwrap();
    }
    log.settle();
    let saved: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("-0001."))
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect();
    assert!(!saved.is_empty());
    let before = start() + Span::minutes(200);
    let drop_all = |record: &Record| match record {
        Record::Decision(_) => Fate::Drop,
        _ => Fate::Keep,
    };
    let done = log.rewrite(endpoint(1), before, &drop_all).unwrap();
    assert_eq!(done.dropped, 200);
    assert_eq!(log.recent(endpoint(1), 1_000).unwrap().len(), 100);
    assert_eq!(log.counts_per_day(endpoint(1)).values().map(|c| c.decisions).sum::<u64>(), 100);
    drop(log);
    // Killed before the old generation was removed: where a new one stands, it comes back for
    // nothing; where all rows went, they go when somebody asks again.
    for (path, bytes) in &saved {
        fs::write(path, bytes).unwrap();
    }
    let twin = |path: &std::path::Path| path.to_string_lossy().replace("-0001.", "-0002.");
    let rewritten: Vec<_> =
        saved.iter().filter(|(path, _)| std::path::Path::new(&twin(path)).exists()).collect();
    assert!(!rewritten.is_empty());
    let (log, report) = DecisionLog::open_with(dir.path(), options()).unwrap();
    assert!(report.is_clean(), "{report}");
    for (path, _) in rewritten {
        assert!(!path.exists() && std::path::Path::new(&twin(path)).exists(), "{path:?}");
    }
    log.rewrite(endpoint(1), before, &drop_all).unwrap();
    assert_eq!(log.recent(endpoint(1), 1_000).unwrap().len(), 100);
}
