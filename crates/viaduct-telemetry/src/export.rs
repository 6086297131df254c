//! The one thread that sends. Nobody waits for it but a shutdown, for a bounded time.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use tokio::runtime::Handle;

use crate::encode::Encoder;
use crate::telemetry::Telemetry;
use crate::wire::{Line, Unsent, Wire};

/// Spans of one request to the collector.
pub(crate) const BATCH: usize = 512;
/// The longest pause after a failure; the first is [`PAUSE_MIN`], each is twice the one before.
const PAUSE_MAX: Duration = Duration::from_secs(30);
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Why a bound: the numbers of the database may not come while it is away.
const GATHER: Duration = Duration::from_secs(5);

/// The text of `/metrics`, being made.
pub type Gathered = Pin<Box<dyn Future<Output = String> + Send>>;
/// Makes it.
pub type Gather = Box<dyn Fn() -> Gathered + Send>;

/// Spans on their way.
struct Batch {
    request: ExportTraceServiceRequest,
    spans: u64,
}

struct Exporter<'a> {
    telemetry: &'a Telemetry,
    encoder: Encoder,
    line: Line<'a>,
    address: String,
    runtime: &'a Handle,
    gather: &'a Gather,
    /// Kept until it is taken; meanwhile the queue fills, and then drops.
    batch: Option<Batch>,
    pause: Duration,
    spans_at: Instant,
    metrics_at: Instant,
    is_silent: bool,
}

enum Due {
    Spans,
    Metrics,
    Stop,
}

pub(crate) fn run(telemetry: &Telemetry, wire: Wire, runtime: &Handle, gather: &Gather) {
    let now = Instant::now();
    let mut exporter = Exporter {
        telemetry,
        encoder: Encoder::new(telemetry.options(), telemetry.begun()),
        address: wire.address().to_owned(),
        line: wire.connect(runtime),
        runtime,
        gather,
        batch: None,
        pause: Duration::ZERO,
        spans_at: now + telemetry.options().span_delay,
        metrics_at: now + telemetry.options().metric_interval,
        is_silent: false,
    };
    loop {
        match exporter.next() {
            Due::Spans => exporter.send_spans(),
            Due::Metrics => exporter.send_metrics(),
            Due::Stop => break,
        }
    }
    exporter.finish();
    telemetry.done();
}

impl Exporter<'_> {
    /// Waits for what is due.
    fn next(&self) -> Due {
        let options = self.telemetry.options();
        let mut queue = self.telemetry.queue();
        loop {
            if queue.is_stopping {
                return Due::Stop;
            }
            let now = Instant::now();
            // A full batch does not wait for its time, but a pause it does keep.
            let is_full = queue.spans.len() >= BATCH && self.pause.is_zero();
            let has_spans = self.batch.is_some() || !queue.spans.is_empty();
            if has_spans && (is_full || now >= self.spans_at) {
                return Due::Spans;
            }
            if options.metrics && now >= self.metrics_at {
                return Due::Metrics;
            }
            // Why a look in between: a span that comes rings no bell.
            let delay = options.span_delay;
            let spans = self.spans_at.checked_duration_since(now).unwrap_or(delay);
            let metrics = match options.metrics {
                true => self.metrics_at.saturating_duration_since(now),
                false => delay,
            };
            queue = self.telemetry.wait(queue, spans.min(metrics));
        }
    }

    fn send_spans(&mut self) {
        let sent = self.send_batch();
        let pause = match &sent {
            Ok(()) => Duration::ZERO,
            Err(asked) => asked.unwrap_or((self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX)),
        };
        self.pause = pause.min(PAUSE_MAX);
        let waits_more = self.telemetry.queue().spans.len() >= BATCH;
        let delay = if waits_more { Duration::ZERO } else { self.telemetry.options().span_delay };
        self.spans_at = Instant::now() + if sent.is_ok() { delay } else { self.pause };
    }

    /// Sends a batch, the one before if it was not taken.
    ///
    /// # Errors
    /// It is to be tried again, after so long where the collector says.
    fn send_batch(&mut self) -> Result<(), Option<Duration>> {
        let batch = match self.batch.take() {
            Some(batch) => batch,
            None => {
                let mut queue = self.telemetry.queue();
                let end = queue.spans.len().min(BATCH);
                let spans: Vec<_> = queue.spans.drain(..end).collect();
                drop(queue);
                if spans.is_empty() {
                    return Ok(());
                }
                Batch { spans: spans.len() as u64, request: self.encoder.traces(spans) }
            }
        };
        let counts = self.telemetry.counts();
        let sent = self.line.send_traces(&batch.request);
        let tries = &counts.trace_exports;
        let tries = if sent.is_ok() { &tries.worked } else { &tries.failed };
        tries.fetch_add(1, Ordering::Relaxed);
        match sent {
            Ok(refused) => {
                let refused = refused.min(batch.spans);
                counts.sent.fetch_add(batch.spans - refused, Ordering::Relaxed);
                counts.refused.fetch_add(refused, Ordering::Relaxed);
                self.heard();
                Ok(())
            }
            Err(Unsent::Never(said)) => {
                counts.refused.fetch_add(batch.spans, Ordering::Relaxed);
                self.unheard(&said);
                Ok(())
            }
            Err(Unsent::Later(said, pause)) => {
                self.unheard(&said);
                self.batch = Some(batch);
                Err(pause)
            }
        }
    }

    /// Why one try: the next numbers say all that these do, and more.
    fn send_metrics(&mut self) {
        self.metrics_at = Instant::now() + self.telemetry.options().metric_interval;
        let gathered =
            self.runtime.block_on(async { tokio::time::timeout(GATHER, (self.gather)()).await });
        let counts = &self.telemetry.counts().metric_exports;
        let sent = match gathered {
            Ok(text) => self.line.send_metrics(self.encoder.metrics(&text)),
            Err(_) => {
                counts.failed.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        match sent {
            Ok(()) => {
                counts.worked.fetch_add(1, Ordering::Relaxed);
                self.heard();
            }
            Err(Unsent::Later(said, _) | Unsent::Never(said)) => {
                counts.failed.fetch_add(1, Ordering::Relaxed);
                self.unheard(&said);
            }
        }
    }

    /// The last of everything, as long as the collector takes it.
    fn finish(&mut self) {
        while self.batch.is_some() || !self.telemetry.queue().spans.is_empty() {
            if self.send_batch().is_err() {
                let lost = self.batch.take().map_or(0, |batch| batch.spans);
                tracing::warn!(spans = lost, "spans of the last moments were not taken");
                break;
            }
        }
        if self.telemetry.options().metrics {
            self.send_metrics();
        }
    }

    fn heard(&mut self) {
        if std::mem::replace(&mut self.is_silent, false) {
            tracing::info!(collector = %self.address, "the collector answers again");
        }
    }

    /// Why once: a collector may be away for days.
    fn unheard(&mut self, said: &str) {
        if !std::mem::replace(&mut self.is_silent, true) {
            let collector = &self.address;
            tracing::warn!(%collector, said, "the collector takes nothing: spans wait, then drop");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use prost::Message as _;

    use super::*;
    use crate::sampler::Sampler;
    use crate::telemetry::Options;
    use crate::wire::{Post, Posted, Targets};

    fn telemetry(queue_max: usize) -> Telemetry {
        Telemetry::new(Options {
            resource: vec![("service.name".into(), "test".into())],
            sampler: Sampler::read("always_on", "").unwrap(),
            traces: true,
            metrics: true,
            queue_max,
            span_delay: Duration::from_millis(10),
            metric_interval: Duration::from_secs(3600),
        })
    }

    fn begin(telemetry: &Telemetry, runtime: &tokio::runtime::Runtime, post: Post) {
        let secret = vec![("authorization".to_owned(), "Bearer hush".to_owned())];
        let wire = Wire::http(Targets::new(Some("http://collector/"), None, None), secret, post);
        assert!(!format!("{wire:?}").contains("hush"));
        let page = || -> Gathered { Box::pin(async { "# TYPE a gauge\na 1\n".to_owned() }) };
        telemetry.begin(wire, runtime.handle().clone(), Box::new(page)).unwrap();
    }

    fn spans(telemetry: &Telemetry, count: usize) {
        for _ in 0..count {
            telemetry.journey(None, None).end();
        }
    }

    fn told(telemetry: &Telemetry, line: &str) -> u64 {
        let mut page = String::new();
        telemetry.write_metrics(&mut page);
        let found = page.lines().find_map(|text| text.strip_prefix(line)?.trim().parse().ok());
        found.unwrap_or_else(|| panic!("no `{line}` in\n{page}"))
    }

    fn wait_for(what: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(10);
        while !what() {
            assert!(Instant::now() < end, "it does not come");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn what_is_not_taken_is_sent_again_and_all_arrives_once() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let telemetry = telemetry(2_000);
        let seen: Arc<Mutex<Vec<(String, usize)>>> = Arc::default();
        let log = Arc::clone(&seen);
        let post: Post = Box::new(move |url, headers, body| {
            assert!(headers.contains(&("authorization", "Bearer hush".to_owned())));
            let mut seen = log.lock().unwrap();
            let spans = match url.ends_with("/v1/traces") {
                true => {
                    let read = ExportTraceServiceRequest::decode(body).unwrap();
                    read.resource_spans[0].scope_spans[0].spans.len()
                }
                false => 0,
            };
            let status = if seen.is_empty() { 503 } else { 200 };
            seen.push((url.to_owned(), spans));
            Ok(Posted { status, retry_after: Some(Duration::from_millis(1)), body: Vec::new() })
        });
        spans(&telemetry, 1_200);
        begin(&telemetry, &runtime, post);
        let sent = "viaduct_telemetry_spans_total{outcome=\"sent\"}";
        wait_for(|| told(&telemetry, sent) == 1_200);
        let traces = "viaduct_telemetry_exports_total{signal=\"traces\",outcome=\"failed\"}";
        assert_eq!(told(&telemetry, traces), 1);
        telemetry.stop(Duration::from_secs(5));
        let seen = seen.lock().unwrap();
        let by_batch: Vec<usize> = seen.iter().map(|(_, spans)| *spans).collect();
        assert_eq!(by_batch, [512, 512, 512, 176, 0]);
        assert_eq!(seen.last().unwrap().0, "http://collector/v1/metrics");
        // Whoever comes after the end is counted, not kept.
        spans(&telemetry, 1);
        assert_eq!(told(&telemetry, "viaduct_telemetry_spans_total{outcome=\"dropped\"}"), 1);
        assert_eq!(told(&telemetry, "viaduct_telemetry_waiting_spans"), 0);
    }

    #[test]
    fn a_dead_collector_costs_a_bounded_queue_and_a_refusing_one_nothing() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let dead = telemetry(100);
        begin(&dead, &runtime, Box::new(|_, _, _| Err("nobody answers".into())));
        spans(&dead, 5_000);
        let dropped = told(&dead, "viaduct_telemetry_spans_total{outcome=\"dropped\"}");
        let waiting = told(&dead, "viaduct_telemetry_waiting_spans");
        assert!(waiting <= 100, "{waiting}");
        // What is neither is the batch that is being sent.
        assert!((4_300..=4_900).contains(&dropped), "{dropped}");
        dead.stop(Duration::from_secs(5));
        let refusing = telemetry(100);
        let no = |_: &str, _: &[(&str, String)], _: &[u8]| {
            Ok(Posted { status: 400, ..Posted::default() })
        };
        spans(&refusing, 7);
        begin(&refusing, &runtime, Box::new(no));
        refusing.stop(Duration::from_secs(5));
        assert_eq!(told(&refusing, "viaduct_telemetry_spans_total{outcome=\"refused\"}"), 7);
    }

    #[test]
    fn a_stop_does_not_wait_for_a_collector_that_hangs() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let telemetry = telemetry(100);
        let hang = |_: &str, _: &[(&str, String)], _: &[u8]| {
            std::thread::sleep(Duration::from_secs(60));
            Err("late".to_owned())
        };
        begin(&telemetry, &runtime, Box::new(hang));
        spans(&telemetry, 1);
        let start = Instant::now();
        telemetry.stop(Duration::from_millis(200));
        let took = start.elapsed();
        assert!((200..2_000).contains(&took.as_millis()), "{took:?}");
    }

    #[test]
    fn a_trace_that_is_not_kept_is_passed_on_and_not_sent() {
        let telemetry = telemetry(100);
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        let options = Options {
            sampler: Sampler::read("parentbased_always_on", "").unwrap(),
            ..telemetry.options().clone()
        };
        let telemetry = Telemetry::new(options);
        let journey = telemetry.journey(Some(parent), Some("vendor=1"));
        let mut hop = journey.hop("call");
        hop.answered(200);
        let [(_, said), (_, state)] = hop.headers().try_into().unwrap();
        assert!(said.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{said}");
        assert!(said.ends_with("-00"), "{said}");
        assert_eq!(state, "vendor=1");
        drop(hop);
        journey.end();
        assert_eq!(told(&telemetry, "viaduct_telemetry_waiting_spans"), 0);
        let kept = telemetry.journey(Some(&parent.replace("b7-00", "b7-01")), None);
        assert!(kept.is_kept());
        drop(kept.hop("call"));
        kept.end();
        assert_eq!(told(&telemetry, "viaduct_telemetry_waiting_spans"), 2);
    }
}
