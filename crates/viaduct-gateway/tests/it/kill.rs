//! kill -9 of a process that publishes and throws kill switches as fast as it can.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use viaduct_base::SimulatedClock;
use viaduct_gateway::{EndpointSnapshot, Mode};

use crate::world::{call, endpoint, lead, open, snapshot};

const DIR: &str = "VIADUCT_TEST_GATEWAY_DIR";

fn clock() -> Arc<SimulatedClock> {
    Arc::new(SimulatedClock::new("2026-03-01T08:00:00Z".parse().unwrap()))
}

/// The child's body; without the variable it is an empty test.
#[test]
fn child_publishes_and_kills_for_ever() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let gateway = open(Path::new(&dir), &clock());
    gateway.publish(snapshot(endpoint(Mode::Unowned))).unwrap();
    for number in 1u64.. {
        gateway.kill("term-deposit", "child", &number.to_string()).unwrap();
        // One write per line: a line that arrived was acknowledged.
        std::io::stdout().lock().write_all(format!("\nACK {number}\n").as_bytes()).unwrap();
        if number.is_multiple_of(5) {
            let stage = number.to_string();
            let spec = EndpointSnapshot { stage, ..endpoint(Mode::Unowned) };
            gateway.publish(snapshot(spec)).unwrap();
        }
        let reports = gateway.reports();
        for report in reports.iter().rev().skip(3) {
            gateway.acknowledge(report.id).unwrap();
        }
    }
}

#[test]
fn kill_9_leaves_a_whole_copy_with_every_switch_that_was_thrown() {
    for round in 0..3 {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child_publishes_and_kills_for_ever", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (start, mut last, mut killed) = (Instant::now(), 0u64, false);
        for line in output.lines() {
            let Ok(line) = line else { break };
            if let Some(number) = line.strip_prefix("ACK ").and_then(|n| n.parse().ok()) {
                last = number;
            }
            if !killed && last > 20 && start.elapsed() > Duration::from_millis(150 * round) {
                child.kill().unwrap();
                killed = true;
            }
        }
        child.wait().unwrap();
        assert!(killed && last > 20, "{last}");
        let gateway = open(dir.path(), &clock());
        let reason = gateway.endpoint("term-deposit").unwrap().killed.unwrap().reason;
        let thrown: u64 = reason.parse().unwrap();
        assert!(thrown == last || thrown == last + 1, "{thrown} of {last}");
        // It serves: the model is there too.
        assert!(gateway.predict(call(vec![lead(59)])).unwrap()[0].is_fallback);
        gateway.revive("term-deposit", "ada").unwrap();
        assert!(!gateway.predict(call(vec![lead(59)])).unwrap()[0].is_fallback);
    }
}
