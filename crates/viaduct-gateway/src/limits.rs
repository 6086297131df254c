//! How much may be asked: an endpoint's queue, a consumer's rate and quota.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use viaduct_base::{Kind, Refusal, Timestamp};

use crate::metrics::Counters;
use crate::snapshot::{ConsumerSnapshot, Limits};

const DAY_S: u64 = 86_400;

/// A place among an endpoint's requests; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Counters>);

impl Permit {
    pub(crate) fn take(
        counters: &Arc<Counters>,
        limits: &Limits,
        endpoint: &str,
    ) -> Result<Self, Refusal> {
        let inside = counters.inside.fetch_add(1, Ordering::AcqRel);
        let permit = Self(Arc::clone(counters));
        if inside < limits.queue {
            return Ok(permit);
        }
        let detail = format!(
            "endpoint `{endpoint}` has {} requests under way, as many as its `limits.queue` lets in: \
             come again in a second, or send several rows in one request",
            limits.queue
        );
        Err(Refusal::new(Kind::QueueFull, detail).with_retry_after(1))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::AcqRel);
    }
}

/// How many requests of an endpoint are inside.
pub(crate) type Inside = AtomicU32;

/// The day of a moment, in days since 1970 (UTC), and when it began.
pub(crate) fn day(now: Timestamp) -> (u64, Timestamp) {
    let day = u64::try_from(now.as_micros() / 1_000_000).unwrap_or_default() / DAY_S;
    (day, Timestamp::from_micros((day * DAY_S * 1_000_000) as i64))
}

/// What one consumer used; lives on when a new snapshot comes. The bucket begins full with the
/// process, the day's rows where the log says.
#[derive(Debug, Default)]
pub(crate) struct Limiter(Mutex<Account>);

#[derive(Debug, Default)]
struct Account {
    used: Option<Used>,
    /// Rows of a day that were used before the process began.
    before: (u64, u64),
}

#[derive(Debug)]
struct Used {
    tokens: f64,
    at: Instant,
    day: u64,
    rows: u64,
}

impl Limiter {
    /// Rows of a day that were used before the process began.
    pub(crate) fn used_before(&self, day: u64, rows: u64) {
        let mut account = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        account.before = (day, rows);
    }

    /// Takes `rows` from the consumer's bucket and from its day, both or neither.
    ///
    /// Why the machine's clock: a simulated one jumps, and a machine's capacity does not.
    pub(crate) fn take(
        &self,
        consumer: &ConsumerSnapshot,
        rows: u64,
        now: Instant,
        wall: Timestamp,
    ) -> Result<(), Refusal> {
        if consumer.rate_per_second.is_none() && consumer.quota_per_day.is_none() {
            return Ok(());
        }
        let seconds = u64::try_from(wall.as_micros() / 1_000_000).unwrap_or_default();
        let (day, _) = day(wall);
        let rate = consumer.rate_per_second.filter(|rate| rate.is_finite() && *rate >= 0.0);
        let burst = rate.map(|rate| match consumer.burst {
            Some(burst) => f64::from(burst),
            None => rate.max(1.0),
        });
        let mut account = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = if account.before.0 == day { account.before.1 } else { 0 };
        let fresh = || Used { tokens: burst.unwrap_or_default(), at: now, day, rows: 0 };
        let used = account.used.get_or_insert_with(fresh);
        if used.day != day {
            (used.day, used.rows) = (day, 0);
        }
        if let Some(quota) = consumer.quota_per_day
            && before + used.rows + rows > quota
        {
            let left = quota.saturating_sub(before + used.rows);
            let detail = format!(
                "consumer `{}` has a quota of {quota} rows a day, and {left} are left today: the \
                 request has {rows}",
                consumer.name
            );
            let wait = u32::try_from(DAY_S - seconds % DAY_S).unwrap_or(u32::MAX);
            return Err(Refusal::new(Kind::QuotaUsed, detail).with_retry_after(wait));
        }
        if let (Some(rate), Some(burst)) = (rate, burst) {
            let passed = now.saturating_duration_since(used.at).as_secs_f64();
            used.tokens = (used.tokens + passed * rate).min(burst);
            used.at = now;
            // A request that is larger than the bucket passes when the bucket is full, and owes
            // the rest: otherwise it could never pass.
            let needed = (rows as f64).min(burst);
            if used.tokens + 1e-9 < needed {
                return Err(too_fast(consumer, rate, needed - used.tokens));
            }
            used.tokens -= rows as f64;
        }
        used.rows += rows;
        Ok(())
    }
}

fn too_fast(consumer: &ConsumerSnapshot, rate: f64, missing: f64) -> Refusal {
    let wait =
        if rate > 0.0 { (missing / rate).ceil().clamp(1.0, 86_400.0) as u32 } else { 86_400 };
    let detail = format!(
        "consumer `{}` may ask for {rate} rows a second: come again in {wait} s",
        consumer.name
    );
    Refusal::new(Kind::TooManyRequests, detail).with_retry_after(wait)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use viaduct_base::{ConsumerId, Digest};

    use super::*;

    fn consumer(rate: Option<f64>, burst: Option<u32>, quota: Option<u64>) -> ConsumerSnapshot {
        ConsumerSnapshot {
            id: ConsumerId::from_u128(1),
            name: "app".into(),
            key_hash: Digest::of(b"k"),
            department: None,
            rate_per_second: rate,
            burst,
            quota_per_day: quota,
        }
    }

    #[test]
    fn a_bucket_fills_at_its_rate_and_a_large_request_owes() {
        let (limiter, start) = (Limiter::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let wall: Timestamp = "2026-03-01T08:00:00Z".parse().unwrap();
        let app = consumer(Some(10.0), Some(20), None);
        let take = |rows, ms| limiter.take(&app, rows, at(ms), wall);
        assert!(take(20, 0).is_ok());
        let refused = take(5, 0).unwrap_err();
        assert_eq!((refused.kind, refused.retry_after_s), (Kind::TooManyRequests, Some(1)));
        assert!(take(5, 500).is_ok(), "half a second brings five");
        assert!(take(100, 1_000).is_err());
        assert!(take(100, 3_000).is_ok(), "the bucket is full again: it owes 80");
        let refused = take(1, 3_000).unwrap_err();
        assert_eq!(refused.retry_after_s, Some(9));
        assert!(take(1, 11_200).is_ok());
    }

    #[test]
    fn a_quota_ends_at_midnight_and_refused_rows_are_not_used() {
        let limiter = Limiter::default();
        let app = consumer(None, None, Some(10));
        let take =
            |rows, wall: &str| limiter.take(&app, rows, Instant::now(), wall.parse().unwrap());
        assert!(take(8, "2026-03-01T23:00:00Z").is_ok());
        let refused = take(3, "2026-03-01T23:59:00Z").unwrap_err();
        assert_eq!((refused.kind, refused.retry_after_s), (Kind::QuotaUsed, Some(60)));
        assert!(refused.detail.contains("2 are left"), "{}", refused.detail);
        assert!(take(2, "2026-03-01T23:59:30Z").is_ok());
        assert!(take(10, "2026-03-02T00:00:00Z").is_ok());
    }

    #[test]
    fn what_was_used_before_counts_on_its_day_alone() {
        let limiter = Limiter::default();
        let app = consumer(None, None, Some(10));
        let take =
            |rows, wall: &str| limiter.take(&app, rows, Instant::now(), wall.parse().unwrap());
        let (today, midnight) = day("2026-03-01T23:00:00Z".parse().unwrap());
        assert_eq!(midnight, "2026-03-01T00:00:00Z".parse().unwrap());
        assert!(take(3, "2026-03-01T23:00:00Z").is_ok());
        limiter.used_before(today, 5);
        let refused = take(3, "2026-03-01T23:30:00Z").unwrap_err();
        assert!(refused.detail.contains("2 are left"), "{}", refused.detail);
        assert!(take(2, "2026-03-01T23:30:00Z").is_ok());
        assert!(take(10, "2026-03-02T00:00:00Z").is_ok());
    }
}
