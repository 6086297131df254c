//! A process killed in the middle of its writes loses none that it was told are done.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use viaduct_store::{DatabaseConfig, Store, setting};

use crate::world::at;

const DIR: &str = "VIADUCT_STORE_KILL_DIR";

/// The child: eight writers that print each key once its write is acknowledged. Without the
/// variable it is a test that does nothing.
#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let dir = std::path::PathBuf::from(dir);
    let store = Store::open(&DatabaseConfig::sqlite_in(&dir), &dir).unwrap();
    let threads: Vec<_> = (0..8)
        .map(|i| {
            let store = store.clone();
            std::thread::spawn(move || {
                for j in 0.. {
                    let key = format!("ack-{}-{i}-{j}", std::process::id());
                    let put = key.clone();
                    store
                        .write_blocking("test", move |tx| setting::put(tx, &put, "v", at(0)))
                        .unwrap();
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "{key}").and_then(|()| out.flush()).unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
}

#[test]
fn every_acknowledged_write_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child", "--nocapture", "--test-threads=1"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut count = 0;
        for line in lines.map_while(Result::ok) {
            if let Some(start) = line.find("ack-") {
                acknowledged.insert(line[start..].trim().to_owned());
                count += 1;
            }
            if count == 300 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(count >= 300, "round {round}: only {count} acknowledged");
    }
    let store = Store::open(&DatabaseConfig::sqlite_in(dir.path()), dir.path()).unwrap();
    store
        .read_blocking("test", move |tx| {
            for key in &acknowledged {
                assert_eq!(setting::find(tx, key)?.as_deref(), Some("v"), "{key}");
            }
            Ok::<_, viaduct_store::StoreError>(())
        })
        .unwrap();
}
