//! Where a prediction runs: on the thread that read the request, or on one that may block.
//!
//! A hop to a blocking thread costs about as much as a small model. But whatever blocks a thread
//! of the reactor (a stalled disk, a group fsync, a big model) holds up its other connections. So
//! a small request runs in place while three things hold: few others do (the reactor always keeps
//! threads of its own), the last ones were quick, and the process said how many may at all.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use viaduct_base::{Error, Fault};
use viaduct_gateway::{Entry, Stopwatch};

/// Larger requests go to a thread of their own.
const ROWS_MAX: usize = 64;
/// A run that took longer was not small.
const QUICK: Duration = Duration::from_millis(2);
/// Times that a slow one took, nothing runs in place: slow ones hold a twentieth of the time.
const PAUSE: u32 = 20;
/// Longest pause; then one more may show whether the cause is gone.
const PAUSE_MAX: Duration = Duration::from_millis(500);

static ALLOWED: AtomicUsize = AtomicUsize::new(0);
static RUNNING: AtomicUsize = AtomicUsize::new(0);
/// Microseconds since [`START`] until which nothing runs in place.
static PAUSED_UNTIL: AtomicU64 = AtomicU64::new(0);
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Lets so many predictions at once run on the reactor's threads; fewer than those threads.
pub fn allow(count: usize) {
    ALLOWED.store(count, Ordering::Relaxed);
}

/// A place among those that run on the reactor.
struct Place(Stopwatch);

impl Place {
    fn take(rows: usize) -> Option<Self> {
        let since = START.elapsed().as_micros() as u64;
        if rows > ROWS_MAX || since < PAUSED_UNTIL.load(Ordering::Relaxed) {
            return None;
        }
        // The count is left by `drop`, which also runs when the work panics.
        let place = Self(Stopwatch::start());
        let is_free = RUNNING.fetch_add(1, Ordering::AcqRel) < ALLOWED.load(Ordering::Relaxed);
        is_free.then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::AcqRel);
        let own = self.0.own();
        if own > QUICK {
            let until = START.elapsed() + own.saturating_mul(PAUSE).min(PAUSE_MAX);
            PAUSED_UNTIL.store(until.as_micros() as u64, Ordering::Relaxed);
        }
    }
}

/// Runs an entry's work on so many rows, until its deadline. Work whose caller has left or whose
/// deadline has passed before it began is not begun.
pub(crate) async fn run<T: Send + 'static>(
    mut entry: Entry,
    rows: usize,
    work: impl FnOnce(Entry) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    if entry.is_quick(rows)
        && let Some(_place) = Place::take(rows)
    {
        return work(entry);
    }
    let deadline = entry.deadline();
    // Why a turn before a thread: one slow endpoint must not hold the threads of all.
    match deadline {
        None => entry.turn().await,
        Some(deadline) => {
            let turn = tokio::time::timeout_at(deadline.into(), entry.turn());
            turn.await.map_err(|_| passed())?;
        }
    }
    off(deadline, move || work(entry)).await
}

/// Runs work on a thread that may block.
async fn off<T: Send + 'static>(
    deadline: Option<Instant>,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let is_past = move || deadline.is_some_and(|deadline| Instant::now() >= deadline);
    if is_past() {
        return Err(passed());
    }
    let (answer, answered) = oneshot::channel();
    let journey = viaduct_telemetry::current();
    tokio::task::spawn_blocking(move || {
        if answer.is_closed() {
            return;
        }
        let work = || viaduct_telemetry::within(journey, work);
        let result = if is_past() { Err(passed()) } else { work() };
        // Why ignored: the caller has left meanwhile, and its decisions are in the log.
        let _ = answer.send(result);
    });
    let ended = |answer: Result<Result<T, Error>, oneshot::error::RecvError>| {
        answer.unwrap_or_else(|e| Err(Fault::caused("the prediction did not end", e).into()))
    };
    match deadline {
        None => ended(answered.await),
        Some(deadline) => match tokio::time::timeout_at(deadline.into(), answered).await {
            Ok(answer) => ended(answer),
            Err(_) => Err(passed()),
        },
    }
}

fn passed() -> Error {
    viaduct_gateway::deadline_passed().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use viaduct_base::Kind;

    #[tokio::test]
    async fn a_deadline_ends_the_wait_and_late_work_is_not_begun() {
        let soon = Some(Instant::now() + Duration::from_millis(20));
        let slow = || {
            std::thread::sleep(Duration::from_millis(200));
            Ok(1)
        };
        let Err(Error::Refused(refusal)) = off(soon, slow).await else { panic!() };
        assert_eq!(refusal.kind, Kind::DeadlinePassed);
        let never = || -> Result<u8, Error> { panic!("it was begun") };
        assert!(off(Some(Instant::now()), never).await.is_err());
        assert_eq!(off(None, || Ok(3)).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_panic_is_a_fault_and_not_a_hang() {
        let broken = || -> Result<u8, Error> { panic!("a false invariant") };
        assert!(matches!(off(None, broken).await, Err(Error::Fault(_))));
    }
}
