//! No room: the process's file size limit plays the full disk, because it too fails in the middle
//! of a write.

use std::path::Path;
use std::process::Command;

use viaduct_base::{Error, Kind, Timestamp};
use viaduct_decisions::{DecisionLog, Durability, LogError};

use crate::support::{decision, endpoint, ids};

const DIR: &str = "VIADUCT_TEST_FULL_DIR";

/// The child's body; without the variable it is an empty test.
#[test]
fn child_fills_the_disk() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let (log, _) = DecisionLog::open(Path::new(&dir), Durability::Os).unwrap();
    let at: Timestamp = "2026-01-01".parse().unwrap();
    let mut acknowledged = Vec::new();
    let error = loop {
        let batch: Vec<_> = (0..7).map(|n| decision(endpoint(1), at, &n.to_string())).collect();
        let records: Vec<_> = batch.iter().cloned().map(Into::into).collect();
        match log.append(&records) {
            Ok(()) => acknowledged.extend(batch.iter().map(|row| row.id)),
            Err(error) => break error,
        }
        assert!(acknowledged.len() < 10_000, "the limit was never met");
    };
    assert!(matches!(error, LogError::Full { .. }), "{error}");
    assert!(error.to_string().contains("free disk space"), "{error}");
    let refused = Error::from(error);
    assert!(matches!(&refused, Error::Refused(r) if r.kind == Kind::LogFull), "{refused:?}");
    // A small row may still fit; a batch that did not is nowhere.
    assert_eq!(ids(&log), acknowledged);
    let length = std::fs::metadata(Path::new(&dir).join("seg-0000000001.log")).unwrap().len();
    drop(log);
    let (log, report) = DecisionLog::open(Path::new(&dir), Durability::Os).unwrap();
    assert!(report.is_clean(), "the half row was cut at once: {report}");
    assert_eq!(log.stats().bytes, length);
    assert_eq!(ids(&log), acknowledged);
    println!("FILLED {}", acknowledged.len());
}

#[test]
fn a_full_disk_is_a_clear_error_and_nothing_half_written_is_a_row() {
    let dir = tempfile::tempdir().unwrap();
    let child = Command::new("bash")
        .arg("-c")
        // Why the trap: an ignored SIGXFSZ turns the limit into a failed write.
        .arg("trap '' XFSZ; ulimit -f 150; exec \"$0\" --exact full_disk::child_fills_the_disk --nocapture")
        .arg(std::env::current_exe().unwrap())
        .env(DIR, dir.path())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success(), "{output}{}", String::from_utf8_lossy(&child.stderr));
    assert!(output.contains("FILLED"), "{output}");
    // With room again the log goes on where it was.
    let (log, _) = DecisionLog::open(dir.path(), Durability::Os).unwrap();
    let before = ids(&log).len();
    let row = decision(endpoint(1), "2026-01-02".parse().unwrap(), "again");
    log.append(&[row.into()]).unwrap();
    assert_eq!(ids(&log).len(), before + 1);
}
