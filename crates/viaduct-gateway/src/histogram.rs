//! A latency histogram: fine enough for percentiles, coarse in the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::counts::Latency;

/// Ten bounds a decade, in microseconds: the corridor takes tens of microseconds, a sick disk
/// seconds, a sick model a minute. A percentile is at most a quarter off.
const DECADE: [u64; 10] = [10, 12, 15, 20, 25, 30, 40, 50, 65, 80];
const DECADES: usize = 7;
const BUCKETS: usize = DECADE.len() * DECADES;
const BOUNDS_US: [u64; BUCKETS] = bounds();
/// Those that the metrics show: every endpoint and variant has as many series.
pub(crate) const SHOWN_US: [u64; 16] = [
    25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    2_500_000, 10_000_000,
];

const fn bounds() -> [u64; BUCKETS] {
    let mut all = [0; BUCKETS];
    let (mut place, mut scale) = (0, 1);
    while place < BUCKETS {
        all[place] = DECADE[place % DECADE.len()] * scale;
        place += 1;
        if place.is_multiple_of(DECADE.len()) {
            scale *= 10;
        }
    }
    all
}

#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BUCKETS + 1],
    sum_ns: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS + 1], sum_ns: AtomicU64::new(0) }
    }
}

impl Histogram {
    pub(crate) fn observe(&self, took: Duration) {
        let us = took.as_nanos().div_ceil(1_000) as u64;
        let place = BOUNDS_US.partition_point(|bound| *bound < us);
        self.buckets[place].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
    }

    pub(crate) fn sum_seconds(&self) -> f64 {
        self.sum_ns.load(Ordering::Relaxed) as f64 / 1e9
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts(std::array::from_fn(|place| self.buckets[place].load(Ordering::Relaxed)))
    }
}

/// A histogram's buckets at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Counts([u64; BUCKETS + 1]);

impl Default for Counts {
    fn default() -> Self {
        Self([0; BUCKETS + 1])
    }
}

impl Counts {
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// How many took at most `bound_us`, which is one of the bounds.
    pub(crate) fn at_most(&self, bound_us: u64) -> u64 {
        let end = BOUNDS_US.partition_point(|bound| *bound <= bound_us);
        self.0[..end].iter().sum()
    }

    /// What came since `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self(std::array::from_fn(|place| self.0[place].saturating_sub(before.0[place])))
    }

    /// The upper bound of the bucket that holds the share `q`; 0 when nothing was observed.
    pub(crate) fn percentile(&self, q: f64) -> u64 {
        let total = self.total();
        if total == 0 {
            return 0;
        }
        let rank = ((total as f64 * q).ceil() as u64).clamp(1, total);
        let mut seen = 0;
        for (place, count) in self.0.iter().enumerate() {
            seen += count;
            if seen >= rank {
                // Above the last bound nothing is known but that it is slower.
                return BOUNDS_US.get(place).copied().unwrap_or(2 * BOUNDS_US[BUCKETS - 1]);
            }
        }
        0
    }

    pub(crate) fn percentiles(&self) -> Latency {
        Latency {
            p50: self.percentile(0.5),
            p95: self.percentile(0.95),
            p99: self.percentile(0.99),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_rise_and_the_shown_ones_are_among_them() {
        assert!(BOUNDS_US.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(SHOWN_US.iter().all(|bound| BOUNDS_US.contains(bound)));
        assert_eq!(BOUNDS_US[BUCKETS - 1], 80_000_000);
    }

    #[test]
    fn percentiles_are_bucket_bounds_and_windows_subtract() {
        let histogram = Histogram::default();
        for us in 1..=1_000 {
            histogram.observe(Duration::from_micros(us));
        }
        let before = histogram.counts();
        let latency = before.percentiles();
        assert_eq!((latency.p50, latency.p95, latency.p99), (500, 1_000, 1_000));
        assert_eq!(before.at_most(250), 250);
        for _ in 0..10 {
            histogram.observe(Duration::from_secs(200));
        }
        let window = histogram.counts().since(&before);
        assert_eq!((window.total(), window.percentile(0.5)), (10, 160_000_000));
        assert_eq!(Counts::default().percentile(0.99), 0);
    }
}
