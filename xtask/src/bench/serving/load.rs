//! Load: wrk for the most a server gives, h2load where gRPC is compared and where a rate is kept,
//! which wrk does not.

use std::path::PathBuf;

use super::process::cpu_seconds;
use crate::Outcome;
use crate::run::{output, program};

/// What is asked again and again.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub port: u16,
    pub pid: u32,
    pub path: String,
    /// `Name: value`, by line.
    pub headers: String,
    pub body: PathBuf,
}

/// What a server gave at most.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Peak {
    pub rate: f64,
    pub p50_us: f64,
    /// CPU of the server, microseconds a request.
    pub cpu_us: f64,
}

/// What a server gave at a rate that was kept.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Paced {
    pub sent: usize,
    pub failed: usize,
    pub rate: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Ask {
    /// wrk with one thread and that many connections. Any answer but 2xx is an error.
    pub(super) fn wrk(&self, connections: usize, seconds: u64) -> Outcome<Peak> {
        self.wrk_over(connections, seconds, 0)
    }

    /// [`Ask::wrk`] over `paths` paths in turn; `%d` of the path is the number.
    pub(super) fn wrk_over(&self, connections: usize, seconds: u64, paths: usize) -> Outcome<Peak> {
        let cpu = cpu_seconds(self.pid);
        let mut wrk = program("wrk");
        wrk.args(["-t1", "--latency", "-s", "xtask/bench/serving.lua"]);
        wrk.arg(format!("-c{connections}")).arg(format!("-d{seconds}"));
        wrk.env("BENCH_BODY", &self.body).env("BENCH_HEADERS", &self.headers);
        wrk.env("BENCH_PATHS", paths.to_string()).env("BENCH_PATH", &self.path);
        let first = self.path.replace("%d", "0");
        let text = output(wrk.arg(format!("http://127.0.0.1:{}{first}", self.port)))?;
        let cpu = cpu_seconds(self.pid) - cpu;
        if text.contains("Non-2xx") || text.contains("Socket errors") {
            return Err(format!("{}: not every request was answered\n{text}", self.path));
        }
        let after = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name));
        let rate = after("Requests/sec:").and_then(|word| word.trim().parse().ok());
        let count = text.lines().find_map(|line| line.trim().split_once(" requests in "));
        let count = count.and_then(|(count, _)| count.parse::<f64>().ok());
        let p50_us = after("50%").and_then(|word| micros(word.trim()));
        match (rate, count, p50_us) {
            (Some(rate), Some(count), Some(p50_us)) => {
                Ok(Peak { rate, p50_us, cpu_us: cpu / count * 1e6 })
            }
            _ => Err(format!("wrk said what this does not understand:\n{text}")),
        }
    }

    /// The best of some numbers of connections.
    pub(super) fn peak(&self, seconds: u64) -> Outcome<Peak> {
        let mut best = Peak::default();
        for connections in [2, 8, 32] {
            let peak = self.wrk(connections, seconds)?;
            if peak.rate > best.rate {
                best = peak;
            }
        }
        Ok(best)
    }

    /// h2load with eight connections: requests a second, and how many were answered with 2xx.
    pub(super) fn h2load(&self, is_grpc: bool, seconds: u64) -> Outcome<(f64, f64)> {
        let mut h2load = program("h2load");
        h2load.args(["-t1", "-c8", "-m1", "--warm-up-time=1", "-d"]).arg(&self.body);
        h2load.arg(format!("--duration={seconds}"));
        if !is_grpc {
            h2load.arg("--h1");
        }
        for header in self.headers.lines() {
            h2load.arg("-H").arg(header);
        }
        let text = output(h2load.arg(format!("http://127.0.0.1:{}{}", self.port, self.path)))?;
        let rate = text.split(", ").find_map(|part| part.strip_suffix(" req/s")?.parse().ok());
        let codes = text.lines().find_map(|line| line.strip_prefix("status codes: "));
        let numbers: Vec<f64> = codes
            .unwrap_or_default()
            .split(", ")
            .filter_map(|part| part.split(' ').next()?.parse().ok())
            .collect();
        match (rate, numbers.as_slice()) {
            (Some(rate), [good, bad @ ..]) if bad.iter().all(|count| *count == 0.0) => {
                Ok((rate, *good))
            }
            _ => Err(format!("{}: not every request was answered\n{text}", self.path)),
        }
    }

    /// h2load with eight connections that together keep the rate, or ask as fast as the answers
    /// come where there is none.
    ///
    /// Why times are corrected: a connection whose answer is late sends its next request late too.
    /// For each answer that took longer than its connection's interval, those that should have been
    /// sent meanwhile are counted with what they would have waited, as HdrHistogram does
    /// ("recordValueWithExpectedInterval").
    pub(super) fn paced(&self, rate: Option<f64>, seconds: u64) -> Outcome<Paced> {
        const CLIENTS: f64 = 8.0;
        let log = std::env::temp_dir().join(format!("viaduct-h2load-{}.log", std::process::id()));
        // Why ignored: there is none unless a run before was cut.
        let _ = std::fs::remove_file(&log);
        let mut h2load = program("h2load");
        h2load.args(["--h1", "-t1", "-c8", "-m1", "--warm-up-time=1", "-d"]).arg(&self.body);
        h2load.arg(format!("--duration={seconds}")).arg("--log-file").arg(&log);
        let each = rate.map(|rate| (rate / CLIENTS).round().max(1.0));
        if let Some(each) = each {
            h2load.arg(format!("--rps={each}"));
        }
        for header in self.headers.lines() {
            h2load.arg("-H").arg(header);
        }
        output(h2load.arg(format!("http://127.0.0.1:{}{}", self.port, self.path)))?;
        let text = std::fs::read_to_string(&log);
        let text = text.map_err(|e| format!("`{}`: {e}", log.display()))?;
        // Why ignored: the next run begins with it.
        let _ = std::fs::remove_file(&log);
        summary(&text, each.map(|each| 1e3 / each), seconds)
    }
}

/// From h2load's lines of begin, status and microseconds; `interval_ms` is a connection's.
fn summary(log: &str, interval_ms: Option<f64>, seconds: u64) -> Outcome<Paced> {
    let (mut times, mut failed) = (Vec::new(), 0);
    for line in log.lines() {
        let mut words = line.split('\t').skip(1);
        let status = words.next();
        let took = words.next().and_then(|word| word.parse::<f64>().ok());
        match (status, took) {
            (Some("200"), Some(us)) => times.push(us / 1e3),
            (Some(_), Some(_)) => failed += 1,
            _ => return Err(format!("h2load wrote what this does not understand: `{line}`")),
        }
    }
    let answered = times.len();
    if let Some(interval) = interval_ms {
        for place in 0..answered {
            let mut waited = times[place] - interval;
            while waited > interval {
                times.push(waited);
                waited -= interval;
            }
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied();
    Ok(Paced {
        sent: answered + failed,
        failed,
        rate: answered as f64 / seconds as f64,
        p50_ms: at(0.5).unwrap_or(f64::NAN),
        p99_ms: at(0.99).unwrap_or(f64::NAN),
    })
}

/// `12.3us`, `4.5ms` and `1.2s` of wrk.
fn micros(text: &str) -> Option<f64> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    units.iter().find_map(|(unit, times)| {
        text.strip_suffix(unit)?.parse::<f64>().ok().map(|value| value * times)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_counts_for_those_that_waited_behind_it() {
        let log = "1\t200\t1000\n2\t200\t1000\n3\t200\t10500\n4\t503\t100\n";
        let open = summary(log, None, 2).unwrap();
        assert_eq!((open.sent, open.failed, open.rate, open.p50_ms), (4, 1, 1.5, 1.0));
        // Behind the third: 8.5, 6.5, 4.5 and 2.5 ms.
        let kept = summary(log, Some(2.0), 2).unwrap();
        assert_eq!((kept.sent, kept.rate, kept.p50_ms, kept.p99_ms), (4, 1.5, 4.5, 10.5));
        assert!(summary("nonsense", None, 1).is_err());
    }
}
