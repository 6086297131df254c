//! Load: wrk for the most a server gives, h2load where gRPC is compared, and a client of our own
//! that keeps a given rate, because wrk keeps none.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::http::{Client, post};
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

    /// Eight connections that together keep the rate; none waits for another. A request that
    /// could not be sent in time, because the one before was still under way, counts from when it
    /// should have been sent. An infinite rate asks as fast as the answers come.
    pub(super) fn paced(&self, rate: f64, time: Duration) -> Outcome<Paced> {
        const CLIENTS: u32 = 8;
        let bytes = body(&self.body)?;
        let request = post(&self.path, &self.headers, &bytes);
        let step = Duration::try_from_secs_f64(f64::from(CLIENTS) / rate).unwrap_or_default();
        let began = Instant::now();
        let each = thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|number| {
                    let (port, request) = (self.port, &request);
                    let first = began + step * number / CLIENTS;
                    scope.spawn(move || keep(port, request, first, step, began + time))
                })
                .collect();
            clients
                .into_iter()
                .map(|one| one.join().map_err(|_| "a client broke".to_owned()))
                .collect::<Outcome<Vec<_>>>()
        })?;
        let failed = each.iter().map(|(_, failed)| failed).sum();
        let mut times: Vec<f64> = each.into_iter().flat_map(|(times, _)| times).collect();
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied();
        Ok(Paced {
            sent: times.len() + failed,
            failed,
            rate: times.len() as f64 / began.elapsed().as_secs_f64(),
            p50_ms: at(0.5).unwrap_or(f64::NAN),
            p99_ms: at(0.99).unwrap_or(f64::NAN),
        })
    }
}

/// One connection's part: milliseconds of each answer, and how many were none.
fn keep(
    port: u16,
    request: &[u8],
    first: Instant,
    step: Duration,
    end: Instant,
) -> (Vec<f64>, usize) {
    let (mut times, mut failed) = (Vec::new(), 0);
    let mut client = Client::new(port).ok();
    let mut due = first;
    while due < end && Instant::now() < end {
        let now = Instant::now();
        let mut from = due.min(now);
        if due > now {
            thread::sleep(due - now);
            // Why: that the generator slept too long is not the server's time.
            from = Instant::now();
        } else if step.is_zero() {
            from = now;
        }
        match client.as_mut().map(|client| client.ask(request)) {
            Some(Ok(200)) => times.push(from.elapsed().as_secs_f64() * 1e3),
            Some(Ok(_)) => failed += 1,
            Some(Err(_)) | None => {
                failed += 1;
                client = Client::new(port).ok();
            }
        }
        due = if step.is_zero() { Instant::now() } else { due + step };
    }
    (times, failed)
}

fn body(path: &Path) -> Outcome<Vec<u8>> {
    std::fs::read(path).map_err(|e| format!("`{}`: {e}", path.display()))
}

/// `12.3us`, `4.5ms` and `1.2s` of wrk.
fn micros(text: &str) -> Option<f64> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    units.iter().find_map(|(unit, times)| {
        text.strip_suffix(unit)?.parse::<f64>().ok().map(|value| value * times)
    })
}
