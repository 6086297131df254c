//! How long a piece of work held its thread.

use std::time::{Duration, Instant};

/// Shorter work is not looked at twice.
const SHORT: Duration = Duration::from_millis(1);

/// Measures work on one thread, with and without the time in which the operating system gave the
/// thread's core to others.
///
/// Why: on a busy machine any work is pushed off its core for some milliseconds now and then. That
/// says nothing of the work, and no other thread would have spared it.
#[derive(Debug)]
pub struct Stopwatch {
    begun: Instant,
    usage: Option<Usage>,
}

/// What the operating system counted for this thread.
#[derive(Debug, Clone, Copy)]
struct Usage {
    computed: Duration,
    /// How often it waited for something: a disk, a lock, another thread.
    waits: i64,
}

impl Stopwatch {
    /// Begins now, on this thread.
    pub fn start() -> Self {
        Self { begun: Instant::now(), usage: usage() }
    }

    /// When it began.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// The time since it began, as a clock on the wall has it; where the work waited for nothing
    /// and was only pushed off its core, the time that it computed.
    pub fn own(&self) -> Duration {
        let wall = self.begun.elapsed();
        if wall <= SHORT {
            return wall;
        }
        match (self.usage, usage()) {
            (Some(before), Some(now)) if now.waits == before.waits => {
                now.computed.saturating_sub(before.computed).min(wall)
            }
            _ => wall,
        }
    }
}

#[cfg(target_os = "linux")]
fn usage() -> Option<Usage> {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeVal;
    let found = getrusage(UsageWho::RUSAGE_THREAD).ok()?;
    let span = |time: TimeVal| {
        let seconds = Duration::from_secs(u64::try_from(time.tv_sec()).unwrap_or_default());
        seconds + Duration::from_micros(u64::try_from(time.tv_usec()).unwrap_or_default())
    };
    let computed = span(found.user_time()) + span(found.system_time());
    Some(Usage { computed, waits: found.voluntary_context_switches() })
}

/// Elsewhere a thread's own counts are not to be had: every wait counts.
#[cfg(not(target_os = "linux"))]
fn usage() -> Option<Usage> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_counts() {
        let watch = Stopwatch::start();
        std::thread::sleep(Duration::from_millis(20));
        assert!(watch.own() >= Duration::from_millis(20));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_time_of_others_does_not_count() {
        // More threads than cores, none of which ever waits: each gets a part of the time.
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let compute = || {
            let watch = Stopwatch::start();
            let mut sum = 0u64;
            while watch.begun().elapsed() < Duration::from_millis(200) {
                sum = std::hint::black_box(sum.wrapping_mul(31) + 1);
            }
            watch.own()
        };
        let owns: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..cores * 4).map(|_| scope.spawn(compute)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let least = owns.iter().min().unwrap();
        assert!(*least < Duration::from_millis(150), "{owns:?}");
    }
}
