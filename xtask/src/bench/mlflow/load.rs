//! Work for a server, timed.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::http::{Client, field};
use super::process;
use crate::Outcome;

const API: &str = "/api/2.0/mlflow";
/// Clients that ask at once.
pub(super) const CLIENTS: usize = 8;
const ARTIFACT: usize = 100 << 20;

/// What some seconds of calls gave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Calls a second.
    pub rate: f64,
    /// Milliseconds of one call.
    pub p50: f64,
    pub p99: f64,
    /// CPU milliseconds of the server a call.
    pub cpu: f64,
}

/// What a large file gave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Carried {
    /// MB a second.
    pub up: f64,
    pub down: f64,
    /// MiB that the server's memory grew at most meanwhile.
    pub grown: f64,
}

/// Runs `work` on that many connections for that long. It is given the client and how often that
/// client called before, and answers how many units it did.
fn drive<W>(port: u16, pid: u32, clients: usize, time: Duration, work: W) -> Outcome<Load>
where
    W: Fn(&mut Client, usize, usize) -> Outcome<()> + Sync,
{
    let work = &work;
    let before = process::cpu_seconds(pid);
    let began = Instant::now();
    let each = thread::scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|number| {
                scope.spawn(move || -> Outcome<Vec<f64>> {
                    let mut client = Client::new(port)?;
                    let mut times = Vec::new();
                    while began.elapsed() < time {
                        let asked = Instant::now();
                        work(&mut client, number, times.len())?;
                        times.push(asked.elapsed().as_secs_f64() * 1e3);
                    }
                    Ok(times)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a client broke".to_owned())))
            .collect::<Outcome<Vec<_>>>()
    })?;
    let took = began.elapsed().as_secs_f64();
    let cpu = process::cpu_seconds(pid) - before;
    let mut times: Vec<f64> = each.into_iter().flatten().collect();
    times.sort_by(f64::total_cmp);
    let count = times.len();
    let at = |share: f64| times.get(((count as f64 * share) as usize).min(count.saturating_sub(1)));
    Ok(Load {
        rate: count as f64 / took,
        p50: at(0.5).copied().unwrap_or(f64::NAN),
        p99: at(0.99).copied().unwrap_or(f64::NAN),
        cpu: cpu * 1e3 / count as f64,
    })
}

/// What the generator itself can do: against a responder that only answers.
pub(super) fn ceiling(time: Duration) -> Outcome<Load> {
    let of = |e: std::io::Error| format!("the responder: {e}");
    let listener = TcpListener::bind("127.0.0.1:0").map_err(of)?;
    let port = listener.local_addr().map_err(of)?.port();
    let over = AtomicBool::new(false);
    let load = thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let (listener, over) = (listener.try_clone().map_err(of)?, &over);
            scope.spawn(move || {
                let Ok((mut stream, _)) = listener.accept() else { return };
                let mut piece = [0; 4096];
                while !over.load(Ordering::Relaxed) {
                    match stream.read(&mut piece) {
                        Ok(n) if n > 0 => {}
                        _ => return,
                    }
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
        let load = drive(port, std::process::id(), CLIENTS, time, |client, number, call| {
            let body = metric(&format!("{number:032x}"), call);
            client.ok("POST", &format!("{API}/runs/log-metric"), &body).map(|_| ())
        });
        over.store(true, Ordering::Relaxed);
        load
    })?;
    Ok(load)
}

fn metric(run: &str, step: usize) -> String {
    format!(
        "{{\"run_id\":\"{run}\",\"key\":\"loss\",\"value\":{}.5,\"timestamp\":{},\"step\":{step}}}",
        step % 97,
        1_760_000_000_000_u64 + step as u64
    )
}

fn create(client: &mut Client, experiment: &str) -> Outcome<String> {
    let body = format!(
        "{{\"experiment_id\":\"{experiment}\",\"start_time\":1760000000000,\"user_id\":\"ana\",\"tags\":[{{\"key\":\"mlflow.user\",\"value\":\"ana\"}}]}}"
    );
    let answer = client.ok("POST", &format!("{API}/runs/create"), &body)?;
    field(&answer, "run_id").ok_or_else(|| format!("no run in {answer}"))
}

/// A server under measurement.
pub(super) struct Target {
    pub port: u16,
    pub pid: u32,
    pub time: Duration,
}

impl Target {
    fn client(&self) -> Outcome<Client> {
        Client::new(self.port)
    }

    /// `log_metric`, each client into a run of its own.
    pub(super) fn log_metric(&self) -> Outcome<Load> {
        let mut client = self.client()?;
        let runs: Vec<String> =
            (0..CLIENTS).map(|_| create(&mut client, "0")).collect::<Outcome<_>>()?;
        let path = format!("{API}/runs/log-metric");
        let runs = &runs;
        drive(self.port, self.pid, CLIENTS, self.time, move |client, number, call| {
            client.ok("POST", &path, &metric(&runs[number], call)).map(|_| ())
        })
    }

    /// `log_batch` of 1000 metrics by one client: ten series of a hundred steps. The rate is of
    /// metrics.
    pub(super) fn log_batch(&self) -> Outcome<Load> {
        let run = create(&mut self.client()?, "0")?;
        let path = format!("{API}/runs/log-batch");
        let load = drive(self.port, self.pid, 1, self.time, |client, _, call| {
            let points: Vec<String> = (0..1000)
                .map(|i| {
                    let step = call * 100 + i / 10;
                    format!(
                        "{{\"key\":\"m{}\",\"value\":{}.25,\"timestamp\":{},\"step\":{step}}}",
                        i % 10,
                        i % 89,
                        1_760_000_000_000_u64 + step as u64
                    )
                })
                .collect();
            let body = format!("{{\"run_id\":\"{run}\",\"metrics\":[{}]}}", points.join(","));
            client.ok("POST", &path, &body).map(|_| ())
        })?;
        Ok(Load { rate: load.rate * 1000.0, ..load })
    }

    /// A new run and a batch of 10 metrics, 10 params and 3 tags.
    pub(super) fn create_and_batch(&self) -> Outcome<Load> {
        let path = format!("{API}/runs/log-batch");
        let list = |count: usize, one: fn(usize) -> String| {
            (0..count).map(one).collect::<Vec<_>>().join(",")
        };
        let metrics = list(10, |i| {
            format!("{{\"key\":\"m{i}\",\"value\":0.{i},\"timestamp\":1760000000000,\"step\":0}}")
        });
        let params = list(10, |i| format!("{{\"key\":\"p{i}\",\"value\":\"{i}\"}}"));
        let tags = list(3, |i| format!("{{\"key\":\"t{i}\",\"value\":\"{i}\"}}"));
        drive(self.port, self.pid, CLIENTS, self.time, |client, _, _| {
            let run = create(client, "0")?;
            let body = format!(
                "{{\"run_id\":\"{run}\",\"metrics\":[{metrics}],\"params\":[{params}],\"tags\":[{tags}]}}"
            );
            client.ok("POST", &path, &body).map(|_| ())
        })
    }

    /// One client repeats a search; the answer must have that many runs.
    fn search(&self, body: &str, rows: usize, time: Duration) -> Outcome<Load> {
        let path = format!("{API}/runs/search");
        drive(self.port, self.pid, 1, time, |client, _, _| {
            let answer = client.ok("POST", &path, body)?;
            let found = answer.matches("\"run_uuid\"").count();
            if found == rows {
                return Ok(());
            }
            Err(format!("{found} runs where {rows} were expected"))
        })
    }

    /// Filter on metric and param, ordered by the metric, a page of 100.
    pub(super) fn search_page(&self) -> Outcome<Load> {
        let body = "{\"experiment_ids\":[\"1\"],\"filter\":\"metrics.acc > 0.5 and params.depth = '3'\",\"order_by\":[\"metrics.acc DESC\"],\"max_results\":100}";
        self.search(body, 100, self.time)
    }

    /// No filter, ordered by a metric, 1000 rows.
    pub(super) fn search_ordered(&self) -> Outcome<Load> {
        let body =
            "{\"experiment_ids\":[\"1\"],\"order_by\":[\"metrics.acc DESC\"],\"max_results\":1000}";
        self.search(body, 1000, self.time)
    }

    /// A history of 100,000 points by pages of 25,000, as the client reads it.
    pub(super) fn history(&self) -> Outcome<Load> {
        drive(self.port, self.pid, 1, self.time, |client, _, _| {
            let (mut token, mut points) = (String::new(), 0);
            loop {
                let path = format!(
                    "{API}/metrics/get-history?run_id={}&metric_key=loss&max_results=25000{token}",
                    super::seed::LONG_RUN
                );
                let answer = client.ok("GET", &path, "")?;
                points += answer.matches("\"timestamp\"").count();
                match field(&answer, "next_page_token").filter(|token| !token.is_empty()) {
                    Some(next) => token = format!("&page_token={}", next.replace('=', "%3D")),
                    None => break,
                }
            }
            if points == super::seed::LONG_POINTS {
                return Ok(());
            }
            Err(format!("{points} points where {} were expected", super::seed::LONG_POINTS))
        })
    }

    /// 320 of those points, for a chart.
    pub(super) fn chart(&self) -> Outcome<Load> {
        let path = format!(
            "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?run_ids={}&metric_key=loss&max_results=320",
            super::seed::LONG_RUN
        );
        drive(self.port, self.pid, 1, self.time, |client, _, _| {
            let answer = client.ok("GET", &path, "")?;
            let points = answer.matches("\"timestamp\"").count();
            if (300..=400).contains(&points) {
                return Ok(());
            }
            Err(format!("{points} points where about 320 were expected"))
        })
    }

    /// 100 MiB up and down, three times; the best of each.
    pub(super) fn carry(&self) -> Outcome<Carried> {
        let mut client = self.client()?;
        let before = process::memory_mib(self.pid).0;
        let over = AtomicBool::new(false);
        let (pid, flag) = (self.pid, &over);
        thread::scope(|scope| {
            let watcher = scope.spawn(move || {
                let mut most: f64 = 0.0;
                while !flag.load(Ordering::Relaxed) {
                    most = most.max(process::memory_mib(pid).0);
                    thread::sleep(Duration::from_millis(20));
                }
                most
            });
            let carried = (|| {
                let mut best = Carried { up: 0.0, down: 0.0, grown: 0.0 };
                for round in 0..3 {
                    let path = format!(
                        "/api/2.0/mlflow-artifacts/artifacts/0/bench/artifacts/big-{round}.bin"
                    );
                    let rate =
                        |began: Instant| ARTIFACT as f64 / 1e6 / began.elapsed().as_secs_f64();
                    let began = Instant::now();
                    client.upload(&path, ARTIFACT)?;
                    best.up = best.up.max(rate(began));
                    let began = Instant::now();
                    let read = client.download(&path)?;
                    if read != ARTIFACT {
                        return Err(format!("{read} bytes came back"));
                    }
                    best.down = best.down.max(rate(began));
                }
                Ok(best)
            })();
            over.store(true, Ordering::Relaxed);
            let most = watcher.join().unwrap_or(f64::NAN);
            carried.map(|best| Carried { grown: (most - before).max(0.0), ..best })
        })
    }
}
