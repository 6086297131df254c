//! Time is an argument: whoever needs "now" holds a [`Clock`].

use std::sync::atomic::{AtomicI64, Ordering};

use serde::{Deserialize, Serialize};

use crate::{Span, Timestamp};

/// Which clock a row was written under; travels with rows, facts, estimates and pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockKind {
    /// The machine's clock.
    System,
    /// A clock that only `clock/advance` moves.
    Simulated,
}

/// Tells the time. Two implementations live: the machine's and the simulated one.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
    /// Which kind of clock this is.
    fn kind(&self) -> ClockKind;
}

/// The machine's wall clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_system()
    }

    fn kind(&self) -> ClockKind {
        ClockKind::System
    }
}

/// A clock that stands still until it is advanced; it never goes back.
#[derive(Debug)]
pub struct SimulatedClock(AtomicI64);

impl SimulatedClock {
    /// A clock standing at `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.as_micros()))
    }

    /// Moves forward by `span` and returns the new time.
    pub fn advance(&self, span: Span) -> Timestamp {
        let before = self.0.fetch_add(span.as_micros().max(0), Ordering::SeqCst);
        Timestamp::from_micros(before + span.as_micros().max(0))
    }

    /// Moves forward to `to`; does nothing when `to` is in the past.
    pub fn advance_to(&self, to: Timestamp) -> Timestamp {
        self.0.fetch_max(to.as_micros(), Ordering::SeqCst);
        self.now()
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }

    fn kind(&self) -> ClockKind {
        ClockKind::Simulated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulated_time_only_goes_forward() {
        let clock = SimulatedClock::new("2026-01-01T00:00:00Z".parse().unwrap());
        clock.advance(Span::days(2));
        assert_eq!(clock.now().to_string(), "2026-01-03T00:00:00Z");
        clock.advance_to("2025-01-01T00:00:00Z".parse().unwrap());
        clock.advance(Span::days(-1));
        assert_eq!(clock.now().to_string(), "2026-01-03T00:00:00Z");
    }
}
