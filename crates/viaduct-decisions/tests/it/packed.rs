//! Sealed segments are packed; nothing that reads can tell.

use std::fs;
use std::path::{Path, PathBuf};

use viaduct_base::{Span, Timestamp};
use viaduct_decisions::{DecisionLog, LogOptions, Record};

use crate::batch::{batch, rows};
use crate::support::{ALWAYS, decision, endpoint, ids, refused, small};

fn packed(bytes: u64) -> LogOptions {
    LogOptions { compress: true, ..small(bytes) }
}

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    found.sort();
    found
}

fn fill(dir: &Path) -> Vec<Record> {
    let (log, _) = DecisionLog::open_with(dir, packed(300_000)).unwrap();
    let mut wanted = Vec::new();
    for number in 0..60 {
        let at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = at + Span::minutes(number);
        if number % 9 == 0 {
            let record = refused(endpoint(2), at);
            log.append(std::slice::from_ref(&record)).unwrap();
            wanted.push(record);
        }
        let single = decision(endpoint(2), at, &number.to_string());
        log.append(&[single.clone().into()]).unwrap();
        wanted.push(single.into());
        let many = batch(endpoint(1), at, 200);
        log.append_batch(&many).unwrap();
        wanted.extend(rows(&many).into_iter().map(Record::from));
    }
    log.settle();
    let stats = log.stats();
    assert_eq!(stats.packed + 1, stats.segments, "all but the open one: {stats:?}");
    assert!(stats.bytes * 2 < stats.raw_bytes, "{stats:?}");
    assert_eq!((stats.index_failures, stats.pack_failures), (0, 0));
    wanted
}

fn check(log: &DecisionLog, wanted: &[Record]) {
    let scanned: Vec<_> = log.scan(None, ALWAYS.0, ALWAYS.1).map(Result::unwrap).collect();
    assert!(scanned == wanted, "{} rows and {}", scanned.len(), wanted.len());
    for record in wanted.iter().step_by(701) {
        let Record::Decision(row) = record else { continue };
        assert_eq!(log.get(row.id).unwrap().as_ref(), Some(&**row));
        let (key, value) = row.keys.first_key_value().unwrap();
        assert!(log.by_key(row.endpoint, key, value).unwrap().contains(row));
    }
    assert_eq!(log.recent(endpoint(1), 5_000).unwrap().len(), 5_000);
    assert!(log.verify().unwrap().is_empty());
}

#[test]
fn packed_segments_answer_as_plain_ones_do_and_their_index_can_be_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let wanted = fill(dir.path());
    assert_eq!(files(dir.path(), "log").len(), 1);
    assert!(files(dir.path(), "zst").len() > 3);
    let (log, report) = DecisionLog::open_with(dir.path(), packed(300_000)).unwrap();
    assert!(report.is_clean(), "{report}");
    check(&log, &wanted);
    drop(log);
    let report = DecisionLog::rebuild(dir.path()).unwrap();
    assert_eq!(report.rebuilt.len(), files(dir.path(), "zst").len());
    assert!(report.rebuilt[0].ends_with(".zst") && report.corrupt.is_empty(), "{report}");
    let (log, report) = DecisionLog::open_with(dir.path(), packed(300_000)).unwrap();
    assert!(report.is_clean(), "{report}");
    check(&log, &wanted);
}

#[test]
fn a_crash_in_the_middle_of_packing_leaves_one_whole_segment() {
    let dir = tempfile::tempdir().unwrap();
    let plain = tempfile::tempdir().unwrap();
    let rows: Vec<_> = (0..200)
        .map(|n| decision(endpoint(1), "2026-01-01".parse().unwrap(), &n.to_string()))
        .collect();
    {
        let (log, _) = DecisionLog::open_with(plain.path(), small(30_000)).unwrap();
        rows.iter().for_each(|row| log.append(&[row.clone().into()]).unwrap());
    }
    for file in fs::read_dir(plain.path()).unwrap() {
        let path = file.unwrap().path();
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    let (log, _) = DecisionLog::open_with(dir.path(), packed(30_000)).unwrap();
    log.settle();
    drop(log);
    let zst = files(dir.path(), "zst");
    // Killed before the old segment was removed: both are there, and one is read.
    let old = "seg-0000000001.log";
    fs::copy(plain.path().join(old), dir.path().join(old)).unwrap();
    // Killed before the rename: a part under a temporary name.
    fs::write(dir.path().join("seg-0000000002-0001.zst.tmp"), b"VDPACK").unwrap();
    let (log, report) = DecisionLog::open_with(dir.path(), packed(30_000)).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(ids(&log).len(), 200);
    assert_eq!(log.get(rows[0].id).unwrap().as_ref(), Some(&rows[0]));
    assert!(!dir.path().join(old).exists() && files(dir.path(), "tmp").is_empty());
    drop(log);
    // A packed one that is not whole does not stand for the plain one.
    let bytes = fs::read(&zst[0]).unwrap();
    fs::write(&zst[0], &bytes[..bytes.len() - 9]).unwrap();
    fs::copy(plain.path().join(old), dir.path().join(old)).unwrap();
    let (log, _) = DecisionLog::open_with(dir.path(), packed(30_000)).unwrap();
    assert_eq!(ids(&log).len(), 200);
    log.settle();
    assert_eq!(log.stats().pack_failures, 0);
    assert_eq!(ids(&log).len(), 200);
}

#[test]
fn a_damaged_block_is_named_and_rows_of_other_blocks_are_read() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (log, _) = DecisionLog::open_with(dir.path(), packed(900_000)).unwrap();
        for n in 0..2_000 {
            let row = decision(endpoint(1), "2026-01-01".parse().unwrap(), &n.to_string());
            log.append(&[row.into()]).unwrap();
        }
        log.settle();
    }
    let path = &files(dir.path(), "zst")[0];
    let mut bytes = fs::read(path).unwrap();
    bytes[40] ^= 4;
    fs::write(path, &bytes).unwrap();
    let (log, _) = DecisionLog::open_with(dir.path(), packed(900_000)).unwrap();
    let damage = log.verify().unwrap();
    assert_eq!(damage.len(), 1, "{damage:?}");
    assert!(damage[0].segment.ends_with(".zst") && damage[0].offset == 16);
    let sound = log.scan(None, ALWAYS.0, ALWAYS.1).filter(Result::is_ok).count();
    assert!((1_000..2_000).contains(&sound), "{sound}");
}
