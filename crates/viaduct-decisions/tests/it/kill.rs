//! kill -9 of a process that appends from many threads.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use viaduct_base::{DecisionId, Timestamp};
use viaduct_decisions::{DecisionLog, Durability, LogOptions};

use crate::support::{decision, endpoint, ids, small};

const DIR: &str = "VIADUCT_TEST_APPEND_DIR";

/// The child's body; without the variable it is an empty test.
#[test]
fn child_appends_for_ever() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let durability = match std::env::var("VIADUCT_TEST_FSYNC") {
        Ok(_) => Durability::Fsync,
        Err(_) => Durability::Os,
    };
    let options = LogOptions { durability, ..small(200_000) };
    let (log, _) = DecisionLog::open_with(Path::new(&dir), options).unwrap();
    for thread in 0..4 {
        let log = log.clone();
        std::thread::spawn(move || {
            for number in 0u64.. {
                let at = Timestamp::from_system();
                let row = decision(endpoint(1), at, &format!("{thread}-{number}"));
                let id = row.id;
                log.append(&[row.into()]).unwrap();
                // One write per line: a line that arrived was acknowledged.
                std::io::stdout().lock().write_all(format!("\nACK {id}\n").as_bytes()).unwrap();
            }
        });
    }
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    for (round, fsync) in [false, true, false].into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "kill::child_appends_for_ever", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped());
        if fsync {
            command.env("VIADUCT_TEST_FSYNC", "1");
        }
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let start = Instant::now();
        let mut acknowledged: Vec<DecisionId> = Vec::new();
        let mut killed = false;
        for line in output.lines() {
            let Ok(line) = line else { break };
            if let Some(id) = line.strip_prefix("ACK ").and_then(|id| id.parse().ok()) {
                acknowledged.push(id);
            }
            let wait = Duration::from_millis(300 + 130 * round as u64);
            if !killed && start.elapsed() > wait && acknowledged.len() > 20 {
                child.kill().unwrap();
                killed = true;
            }
        }
        child.wait().unwrap();
        assert!(killed && acknowledged.len() > 20, "{} rows", acknowledged.len());

        let (log, report) = DecisionLog::open_with(dir.path(), small(200_000)).unwrap();
        assert!(report.corrupt.is_empty(), "{report}");
        let mut logged = ids(&log);
        logged.sort();
        let count = logged.len();
        logged.dedup();
        assert_eq!(count, logged.len(), "ids are unique");
        for id in &acknowledged {
            assert!(logged.binary_search(id).is_ok(), "{id} was acknowledged and is lost");
            assert!(log.get(*id).unwrap().is_some());
        }
    }
}
