//! Rows and inputs that are older than they may be, and a log that nobody appends to.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use viaduct_base::{Span, Timestamp};
use viaduct_decisions::{DecisionLog, Expiring, Expiry, LogOptions, Record};

use crate::batch::{batch, rows};
use crate::support::{ALWAYS, decision, endpoint, refused, small};

const DIR: &str = "VIADUCT_TEST_EXPIRE_DIR";

fn options() -> LogOptions {
    LogOptions { compress: true, ..small(40_000) }
}

fn at(minute: i64) -> Timestamp {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    start + Span::minutes(minute)
}

fn all(log: &DecisionLog) -> Vec<Record> {
    log.scan(None, ALWAYS.0, ALWAYS.1).map(Result::unwrap).collect()
}

fn packed(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|e| e == "zst")).collect()
}

/// 300 minutes of two endpoints: a decision, a batch of three, now and then a refusal.
fn fill(log: &DecisionLog) -> Vec<Record> {
    let mut wanted = Vec::new();
    for minute in 0..300 {
        for number in [1, 2] {
            let one: Record = decision(endpoint(number), at(minute), &minute.to_string()).into();
            log.append(std::slice::from_ref(&one)).unwrap();
            wanted.push(one);
            let many = batch(endpoint(number), at(minute), 3);
            log.append_batch(&many).unwrap();
            wanted.extend(rows(&many).into_iter().map(Record::from));
            if minute % 10 == 0 {
                let record = refused(endpoint(number), at(minute));
                log.append(std::slice::from_ref(&record)).unwrap();
                wanted.push(record);
            }
        }
    }
    wanted
}

/// What has to be left of `before`.
fn left(before: &[Record], expiry: &Expiry) -> Vec<Record> {
    let (from, to) = expiry.inputs.unwrap();
    let mut left = Vec::new();
    for record in before {
        let mut record = record.clone();
        if record.endpoint() == expiry.endpoint {
            if record.at() < expiry.rows_before.unwrap() {
                continue;
            }
            if let Record::Decision(row) = &mut record
                && (from..to).contains(&row.at)
            {
                row.inputs.clear();
            }
        }
        left.push(record);
    }
    left
}

#[test]
fn old_rows_go_older_inputs_go_and_nothing_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = DecisionLog::open_with(dir.path(), options()).unwrap();
    let wanted = fill(&log);
    assert_eq!(log.endpoints().into_iter().collect::<Vec<_>>(), [endpoint(1), endpoint(2)]);
    let expiry = Expiry {
        endpoint: endpoint(1),
        rows_before: Some(at(100)),
        inputs: Some((ALWAYS.0, at(200))),
    };
    let told = log.expiring(&expiry).unwrap();
    let expected = Expiring {
        decisions: 400,
        refused: 10,
        beside: 0,
        inputs: 400,
        damaged: 0,
        first: Some(at(0)),
        last: Some(at(199)),
    };
    assert_eq!(told, expected);
    assert_eq!(all(&log), wanted, "told, and not touched");

    let done = log.expire(&expiry).unwrap();
    assert_eq!((done.dropped, done.forgotten, done.stripped), (410, 400, 0));
    assert!(done.damaged.is_empty());
    let kept = left(&wanted, &expiry);
    assert_eq!(all(&log), kept);
    assert_eq!(
        log.get(match &kept[0] {
            Record::Decision(row) => row.id,
            _ => unreachable!(),
        })
        .unwrap()
        .map(Record::from)
        .as_ref(),
        Some(&kept[0])
    );
    assert!(log.verify().unwrap().is_empty());

    assert!(log.expiring(&expiry).unwrap().is_empty());
    assert_eq!(log.expire(&expiry).unwrap().segments, 0, "nothing left to do");

    // The other endpoint too: the segments of the first hundred minutes are empty and go.
    let files = packed(dir.path()).len();
    log.expire(&Expiry { endpoint: endpoint(2), ..expiry }).unwrap();
    let kept = left(&kept, &Expiry { endpoint: endpoint(2), ..expiry });
    assert_eq!(all(&log), kept);
    assert!(packed(dir.path()).len() < files, "{files} files, and none is gone");
    drop(log);
    let (log, report) = DecisionLog::open_with(dir.path(), options()).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(all(&log), kept);
    log.append(&[decision(endpoint(1), at(301), "after").into()]).unwrap();
    assert_eq!(all(&log).len(), kept.len() + 1);
}

#[test]
fn inputs_that_were_forgotten_are_not_looked_at_again() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = DecisionLog::open_with(dir.path(), options()).unwrap();
    fill(&log);
    let expiry =
        |from, to| Expiry { endpoint: endpoint(1), rows_before: None, inputs: Some((from, to)) };
    assert_eq!(log.expire(&expiry(ALWAYS.0, at(100))).unwrap().forgotten, 400);
    let next = expiry(at(100), at(150));
    assert_eq!(log.expiring(&next).unwrap().inputs, 200);
    assert_eq!(log.expire(&next).unwrap().forgotten, 200);
    assert_eq!(log.expiring(&expiry(ALWAYS.0, at(150))).unwrap(), Expiring::default());
}

/// The child's body; without the variable it is an empty test.
#[test]
fn child_expires() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let (log, _) = DecisionLog::open_with(Path::new(&dir), options()).unwrap();
    println!("\nBEGIN");
    log.expire(&whole()).unwrap();
}

fn whole() -> Expiry {
    Expiry { endpoint: endpoint(1), rows_before: Some(at(150)), inputs: Some((ALWAYS.0, at(250))) }
}

#[test]
fn kill_9_in_the_middle_leaves_each_row_there_or_gone_and_again_ends_it() {
    let mut cut_in_the_middle = 0;
    for round in 0..6u64 {
        let dir = tempfile::tempdir().unwrap();
        let (log, _) = DecisionLog::open_with(dir.path(), options()).unwrap();
        let wanted = fill(&log);
        log.settle();
        drop(log);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "expire::child_expires", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Killed as soon as so many segments have their second generation or are gone.
        let rewritten = |dir: &Path| {
            let names = packed(dir).into_iter().map(|path| path.to_string_lossy().into_owned());
            names.filter(|name| name.ends_with("-0002.zst")).count() as u64
        };
        let start = Instant::now();
        while rewritten(dir.path()) < round
            && child.try_wait().unwrap().is_none()
            && start.elapsed() < Duration::from_secs(60)
        {
            std::thread::yield_now();
        }
        let _ = child.kill();
        child.wait().unwrap();

        let (log, report) = DecisionLog::open_with(dir.path(), options()).unwrap();
        assert!(report.corrupt.is_empty() && report.torn.is_none(), "{report}");
        let (found, kept) = (all(&log), left(&wanted, &whole()));
        assert!(found.len() >= kept.len() && found.len() <= wanted.len());
        cut_in_the_middle += usize::from(found != wanted && found != kept);
        log.expire(&whole()).unwrap();
        assert_eq!(all(&log), kept);
        assert!(log.verify().unwrap().is_empty());
    }
    assert!(cut_in_the_middle > 0, "no kill came in the middle");
}

#[test]
fn a_log_that_nobody_appends_to_is_sealed_and_packed_by_its_age() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { compress: true, ..LogOptions::default() };
    let (log, _) = DecisionLog::open_with(dir.path(), options).unwrap();
    let now = Timestamp::from_system();
    assert!(!log.seal_old(now + Span::days(2)).unwrap(), "an empty segment stays open");
    let row: Record = decision(endpoint(1), now, "quiet").into();
    log.append(std::slice::from_ref(&row)).unwrap();
    assert!(!log.seal_old(now + Span::hours(23)).unwrap());
    assert!(packed(dir.path()).is_empty());
    assert!(log.seal_old(now + Span::hours(25)).unwrap());
    log.settle();
    assert_eq!((packed(dir.path()).len(), log.stats().packed), (1, 1));
    assert_eq!(all(&log), std::slice::from_ref(&row));
    assert!(!log.seal_old(now + Span::hours(50)).unwrap(), "the next one is empty");
    log.append(std::slice::from_ref(&row)).unwrap();
    assert_eq!(all(&log).len(), 2);
}
