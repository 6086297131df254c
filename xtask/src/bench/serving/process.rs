//! CPU time of a process with all that it started.

use std::fs;

/// Ticks a second of `/proc/PID/stat`: 100 on every Linux of today.
const TICKS: f64 = 100.0;

/// Seconds of CPU that the process and its living descendants have used.
pub(super) fn cpu_seconds(pid: u32) -> f64 {
    let mut found = vec![pid];
    let mut at = 0;
    while let Some(pid) = found.get(at).copied() {
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
        }
        at += 1;
    }
    found.into_iter().map(ticks).sum::<f64>() / TICKS
}

fn ticks(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<_> = text.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').collect();
    // utime and stime.
    (11..13).filter_map(|i| fields.get(i)?.parse::<f64>().ok()).sum()
}
