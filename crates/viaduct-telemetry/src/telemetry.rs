//! The handle that everybody holds: a queue, counters, and how to begin and end.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::context::{Carried, TraceContext};
use crate::export::{self, Gather};
use crate::journey::{Hop, Journey};
use crate::sampler::Sampler;
use crate::span::{Begun, Span};
use crate::wire::Wire;

/// What is told, and how much.
#[derive(Debug, Clone)]
pub struct Options {
    /// `service.name` and whatever else is said of this process.
    pub resource: Vec<(String, String)>,
    /// Which traces are kept.
    pub sampler: Sampler,
    /// Whether spans are sent.
    pub traces: bool,
    /// Whether metrics are sent.
    pub metrics: bool,
    /// Spans that may wait.
    pub queue_max: usize,
    /// How long a span waits for others.
    pub span_delay: Duration,
    /// Between two times that metrics are sent.
    pub metric_interval: Duration,
}

/// Everything about sending; clones share it.
#[derive(Debug, Clone)]
pub struct Telemetry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: Options,
    begun: Begun,
    queue: Mutex<Queue>,
    changed: Condvar,
    counts: Counts,
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) spans: VecDeque<Span>,
    pub(crate) is_stopping: bool,
    pub(crate) is_done: bool,
}

/// What became of spans and of times that something was sent.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) sent: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) trace_exports: Tries,
    pub(crate) metric_exports: Tries,
}

#[derive(Debug, Default)]
pub(crate) struct Tries {
    pub(crate) worked: AtomicU64,
    pub(crate) failed: AtomicU64,
}

impl Telemetry {
    /// A handle; nothing is sent before [`Telemetry::begin`].
    pub fn new(options: Options) -> Self {
        Self(Arc::new(Inner {
            options,
            begun: Begun::now(),
            queue: Mutex::default(),
            changed: Condvar::new(),
            counts: Counts::default(),
        }))
    }

    /// Starts the thread that sends; `gather` gives the text of `/metrics`.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn begin(&self, wire: Wire, runtime: Handle, gather: Gather) -> std::io::Result<()> {
        let telemetry = self.clone();
        let work = move || export::run(&telemetry, wire, &runtime, &gather);
        std::thread::Builder::new().name("telemetry".into()).spawn(work).map(drop)
    }

    /// A request came, with what its headers say.
    pub fn journey(&self, parent: Option<&str>, state: Option<&str>) -> Arc<Journey> {
        Arc::new(Journey::begin(self, parent, state))
    }

    /// Begins a call for a request that left its context for later.
    pub fn resume(&self, carried: &Carried, name: &'static str) -> Option<Hop> {
        let parent = TraceContext::parse(&carried.parent)?;
        Some(Hop::begin(self, parent, carried.state.clone(), true, name.into()))
    }

    pub(crate) fn options(&self) -> &Options {
        &self.0.options
    }

    pub(crate) fn begun(&self) -> Begun {
        self.0.begun
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.0.counts
    }

    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change of the queue, or until `wait` is over.
    pub(crate) fn wait<'a>(
        &self,
        queue: MutexGuard<'a, Queue>,
        wait: Duration,
    ) -> MutexGuard<'a, Queue> {
        self.0.changed.wait_timeout(queue, wait).unwrap_or_else(PoisonError::into_inner).0
    }

    pub(crate) fn done(&self) {
        self.queue().is_done = true;
        self.0.changed.notify_all();
    }

    /// Takes a span that has ended, or counts it as dropped.
    pub(crate) fn push(&self, span: Span) {
        let mut queue = self.queue();
        if queue.is_stopping || queue.spans.len() >= self.0.options.queue_max {
            drop(queue);
            self.0.counts.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        queue.spans.push_back(span);
        let waiting = queue.spans.len();
        drop(queue);
        // Why not each time: the thread looks by itself when its time comes.
        if waiting == export::BATCH {
            self.0.changed.notify_all();
        }
    }

    /// Sends what waits, and gives up after `within`. Blocks.
    pub fn stop(&self, within: Duration) {
        let end = Instant::now() + within;
        let mut queue = self.queue();
        queue.is_stopping = true;
        self.0.changed.notify_all();
        while !queue.is_done {
            let Some(left) = end.checked_duration_since(Instant::now()).filter(|d| !d.is_zero())
            else {
                break;
            };
            queue = self.wait(queue, left);
        }
        let (waiting, is_done) = (queue.spans.len(), queue.is_done);
        drop(queue);
        if !is_done || waiting > 0 {
            tracing::warn!(spans = waiting, "the collector did not take everything before the end");
        }
    }

    /// What became of spans and metrics, in the OpenMetrics text format.
    pub fn write_metrics(&self, out: &mut String) {
        let counts = &self.0.counts;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let waiting = self.queue().spans.len();
        let (traces, metrics) = (&counts.trace_exports, &counts.metric_exports);
        // Why ignored: writing to a string cannot fail.
        let _ = write!(
            out,
            "# TYPE viaduct_telemetry_spans counter\n\
             # HELP viaduct_telemetry_spans Spans by what became of them: sent, dropped because \
             the queue was full, refused by the collector.\n\
             viaduct_telemetry_spans_total{{outcome=\"sent\"}} {}\n\
             viaduct_telemetry_spans_total{{outcome=\"dropped\"}} {}\n\
             viaduct_telemetry_spans_total{{outcome=\"refused\"}} {}\n\
             # TYPE viaduct_telemetry_waiting_spans gauge\n\
             # HELP viaduct_telemetry_waiting_spans Spans in the queue.\n\
             viaduct_telemetry_waiting_spans {waiting}\n\
             # TYPE viaduct_telemetry_exports counter\n\
             # HELP viaduct_telemetry_exports Requests to the collector by signal and outcome.\n\
             viaduct_telemetry_exports_total{{signal=\"traces\",outcome=\"worked\"}} {}\n\
             viaduct_telemetry_exports_total{{signal=\"traces\",outcome=\"failed\"}} {}\n\
             viaduct_telemetry_exports_total{{signal=\"metrics\",outcome=\"worked\"}} {}\n\
             viaduct_telemetry_exports_total{{signal=\"metrics\",outcome=\"failed\"}} {}\n",
            get(&counts.sent),
            get(&counts.dropped),
            get(&counts.refused),
            get(&traces.worked),
            get(&traces.failed),
            get(&metrics.worked),
            get(&metrics.failed),
        );
    }
}
