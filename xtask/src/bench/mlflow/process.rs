//! CPU time and memory of a process with all that it started.

use std::collections::BTreeMap;
use std::fs;

/// Ticks a second of `/proc/PID/stat`: 100 on every Linux of today.
const TICKS: f64 = 100.0;

/// The process and its descendants that live now.
pub(super) fn tree(pid: u32) -> Vec<u32> {
    let mut parents: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some(parent) = fields(child).and_then(|fields| fields.get(1)?.parse().ok()) {
            parents.entry(parent).or_default().push(child);
        }
    }
    let mut found = vec![pid];
    let mut at = 0;
    while let Some(pid) = found.get(at) {
        found.extend(parents.get(pid).into_iter().flatten());
        at += 1;
    }
    found
}

/// The fields of `/proc/PID/stat` behind the name: state, parent, …
fn fields(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}

/// Seconds of CPU that the tree has used, with children that have ended.
pub(super) fn cpu_seconds(pid: u32) -> f64 {
    let ticks = |pid: u32| -> f64 {
        let fields = fields(pid).unwrap_or_default();
        // utime, stime, cutime, cstime.
        (11..15).filter_map(|i| fields.get(i)?.parse::<f64>().ok()).sum()
    };
    tree(pid).into_iter().map(ticks).sum::<f64>() / TICKS
}

/// Memory in MiB: resident, and proportional (shared pages counted once).
pub(super) fn memory_mib(pid: u32) -> (f64, f64) {
    let read = |pid: u32, file: &str, name: &str| -> f64 {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        text.lines()
            .find_map(|line| {
                line.strip_prefix(name)?.trim().strip_suffix("kB")?.trim().parse().ok()
            })
            .unwrap_or(0.0)
    };
    let tree = tree(pid);
    let sum = |file: &str, name: &str| -> f64 {
        tree.iter().map(|pid| read(*pid, file, name)).sum::<f64>() / 1024.0
    };
    (sum("status", "VmRSS:"), sum("smaps_rollup", "Pss:"))
}
