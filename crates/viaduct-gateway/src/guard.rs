//! Hot conditions: watched here, from the gateway's own counters, with or without the control
//! plane.

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use viaduct_base::{EndpointId, ReportId, RolloutId};
use viaduct_domain::assign::Variant;

use crate::core::Core;
use crate::counts::{Sample, Tally};
use crate::endpoint::Endpoint;
use crate::report::{Report, ReportEvent};
use crate::snapshot::{Guard, GuardWhat};

/// How often the guards are looked at.
const EVERY: Duration = Duration::from_millis(250);
/// Why a bound: a window is kept as samples in memory.
const WINDOW_MAX: Duration = Duration::from_secs(3_600);

/// The thread that watches; it begins with the first guard and ends with the gateway.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    running: Mutex<Option<(Sender<()>, JoinHandle<()>)>>,
}

impl Watch {
    pub(crate) fn start(&self, core: &Arc<Core>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.is_some() {
            return;
        }
        let (stop, stopped) = mpsc::channel();
        let core = Arc::clone(core);
        let begun = std::thread::Builder::new().name("gateway-guard".into()).spawn(move || {
            let mut windows = Windows::default();
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                windows.look(&core, Instant::now());
            }
        });
        *running = begun.ok().map(|thread| (stop, thread));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((stop, thread)) = running {
            drop(stop);
            // A watch that panicked ended already.
            let _ = thread.join();
        }
    }
}

/// Samples of each rollout's challenger, oldest first.
#[derive(Debug, Default)]
struct Windows(HashMap<EndpointId, (RolloutId, VecDeque<(Instant, Sample)>)>);

impl Windows {
    fn look(&mut self, core: &Core, now: Instant) {
        let Some(table) = core.table.load_full() else { return };
        let watched: Vec<_> = table.order.iter().filter(|e| !e.spec.guards.is_empty()).collect();
        self.0.retain(|id, _| watched.iter().any(|endpoint| endpoint.spec.id == *id));
        for endpoint in watched {
            let Some(challenger) = &endpoint.spec.challenger else { continue };
            let Some(tally) = endpoint.tally(Variant::Challenger) else { continue };
            let entry = self.0.entry(endpoint.spec.id);
            let (rollout, samples) = entry.or_insert_with(|| (challenger.rollout, VecDeque::new()));
            if *rollout != challenger.rollout {
                (*rollout, *samples) = (challenger.rollout, VecDeque::new());
            }
            let current = tally.sample();
            let breach = endpoint.spec.guards.iter().find_map(|guard| {
                measure(guard, samples, &current, now).map(|found| (guard, found))
            });
            samples.push_back((now, current));
            while samples.front().is_some_and(|(at, _)| now.duration_since(*at) > WINDOW_MAX) {
                samples.pop_front();
            }
            if let Some((guard, (measured, n))) = breach {
                roll_back(core, endpoint, tally, guard, measured, n);
            }
        }
    }
}

/// What a guard measures within its window, and over how many; `None` when that is no breach.
fn measure(
    guard: &Guard,
    samples: &VecDeque<(Instant, Sample)>,
    current: &Sample,
    now: Instant,
) -> Option<(f64, u64)> {
    let window = Duration::from_secs(guard.window_s.max(1)).min(WINDOW_MAX);
    // The youngest sample that is older than the window is where it begins.
    let base = samples.iter().rev().find(|(at, _)| now.duration_since(*at) >= window);
    let since = match base {
        Some((_, sample)) => current.since(sample),
        None => current.clone(),
    };
    let share = |part: u64, n: u64| (n > 0).then(|| (part as f64 / n as f64, n));
    let asked = since.rows + since.refused;
    let (measured, n) = match guard.what {
        GuardWhat::ErrorRate => share(since.errors, since.rows),
        GuardWhat::NanRate => share(since.nan, since.rows),
        GuardWhat::ViolationRate => share(since.violations, asked),
        GuardWhat::DisagreementRate => share(since.disagreements, since.compared),
        GuardWhat::LatencyP99Ms => {
            let n = since.latency.total();
            (n > 0).then(|| (since.latency.percentile(0.99) as f64 / 1e3, n))
        }
    }?;
    (n >= guard.min_n.max(1) && measured > guard.max).then_some((measured, n))
}

fn roll_back(
    core: &Core,
    endpoint: &Endpoint,
    tally: &Tally,
    guard: &Guard,
    measured: f64,
    n: u64,
) {
    let Some(rollout) = tally.rollout else { return };
    let what = guard.what.as_str();
    let why = format!(
        "{what} is {measured:.4} over {n} {} in {} s: more than {}",
        if guard.what == GuardWhat::LatencyP99Ms { "requests" } else { "rows" },
        guard.window_s,
        guard.max
    );
    let now = core.clock.now();
    let event = ReportEvent::RolledBack {
        rollout,
        model_version: tally.model_version.unwrap_or_default(),
        guard: *guard,
        measured,
        n,
        why,
    };
    let report = Report {
        id: ReportId::new(now),
        at: now,
        endpoint: endpoint.spec.id,
        endpoint_name: endpoint.spec.name.to_string(),
        event,
    };
    endpoint.counters.breached();
    // Why nothing is done on a sick disk: memory has changed, and the report is said all the same;
    // the next thing that happens here writes the whole file again.
    let _ = core.happened(report, |endpoint| {
        endpoint.spec.challenger.as_ref().is_some_and(|c| c.rollout == rollout)
    });
}
