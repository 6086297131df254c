//! Runs that go on when nobody waits any more are stopped.
//!
//! Why a look at all of them now and then, and no timer a run: most runs are over in microseconds,
//! and a timer would cost them more than they take. ONNX Runtime looks whether it is to stop
//! between two nodes of the graph, so one node that takes long is not cut.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use ort::session::{NoSelectedOutputs, RunOptions};

/// How long a run may go on behind its deadline.
const LOOK: Duration = Duration::from_millis(200);

/// Everything that may have to be stopped; `is_watched` once the thread is there.
struct All {
    sessions: Vec<Weak<Watched>>,
    is_watched: bool,
}

static ALL: Mutex<All> = Mutex::new(All { sessions: Vec::new(), is_watched: false });

/// A session's run, if one is under way.
pub(crate) struct Watched {
    options: RunOptions<NoSelectedOutputs>,
    run: Mutex<Run>,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").field("run", &self.run).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Run {
    until: Option<Instant>,
    is_stopped: bool,
}

impl Watched {
    pub(crate) fn new() -> ort::Result<Arc<Self>> {
        let watched = Arc::new(Self { options: RunOptions::new()?, run: Mutex::default() });
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.sessions.push(Arc::downgrade(&watched));
        if !all.is_watched {
            let started =
                std::thread::Builder::new().name("model-deadline".to_owned()).spawn(watch);
            // Without a thread runs are not cut; the next session tries again.
            all.is_watched = started.is_ok();
        }
        Ok(watched)
    }

    fn run(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work`, which hands the options to its session, until that moment at most; also says
    /// whether it was stopped.
    pub(crate) fn until<T>(
        &self,
        until: Option<Instant>,
        work: impl FnOnce(&RunOptions<NoSelectedOutputs>) -> T,
    ) -> (T, bool) {
        self.run().until = until;
        let done = work(&self.options);
        let run = std::mem::take(&mut *self.run());
        if run.is_stopped {
            // A failure shows itself: the next run of the session is stopped at once and says so.
            let _ = self.options.unterminate();
        }
        (done, run.is_stopped)
    }

    fn stop_late(&self, now: Instant) {
        let mut run = self.run();
        if run.is_stopped || run.until.is_none_or(|until| now < until) {
            return;
        }
        // Why under the lock: the next run of the session must not be the one that is stopped.
        run.is_stopped = self.options.terminate().is_ok();
    }
}

fn watch() {
    loop {
        std::thread::sleep(LOOK);
        let now = Instant::now();
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.sessions.retain(|session| {
            let session = session.upgrade();
            session.iter().for_each(|session| session.stop_late(now));
            session.is_some()
        });
    }
}
