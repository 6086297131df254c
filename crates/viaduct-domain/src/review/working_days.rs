//! Working days: Monday to Friday in UTC. Holidays are not known here.

use viaduct_base::{Day, Span, Timestamp};

/// The moment `days` working days after `from`: the same time of day, on a working day. What
/// starts on a weekend starts on Monday at midnight.
pub fn after_working_days(from: Timestamp, days: u32) -> Timestamp {
    let mut at = from;
    if !is_working(at.day()) {
        while !is_working(at.day()) {
            at = at.day().plus(1).start();
        }
    }
    for _ in 0..days {
        at = at + Span::days(1);
        while !is_working(at.day()) {
            at = at + Span::days(1);
        }
    }
    at
}

fn is_working(day: Day) -> bool {
    // Day 0, 1970-01-01, was a Thursday; Monday is 0.
    (i64::from(day.number()) + 3).rem_euclid(7) < 5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weekends_do_not_count() {
        for (from, days, wanted) in [
            ("2026-11-25T15:00:00Z", 3, "2026-11-30T15:00:00Z"), // Wednesday -> Monday
            ("2026-11-23T00:00:00Z", 3, "2026-11-26T00:00:00Z"), // Monday -> Thursday
            ("2026-11-27T23:59:59Z", 1, "2026-11-30T23:59:59Z"), // Friday -> Monday
            ("2026-11-28T10:00:00Z", 1, "2026-12-01T00:00:00Z"), // Saturday counts from Monday
            ("2026-11-29T10:00:00Z", 0, "2026-11-30T00:00:00Z"), // Sunday
            ("2026-11-25T15:00:00Z", 5, "2026-12-02T15:00:00Z"),
            ("1969-12-31T12:00:00Z", 2, "1970-01-02T12:00:00Z"), // Wednesday before the epoch
        ] {
            let from: Timestamp = from.parse().unwrap();
            assert_eq!(after_working_days(from, days).to_string(), wanted, "{from} + {days}");
        }
    }
}
