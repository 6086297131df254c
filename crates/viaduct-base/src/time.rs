//! Moments, days and spans. Microseconds since the Unix epoch, UTC only.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Why a text is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {wanted}")]
pub struct InvalidTime {
    text: String,
    wanted: &'static str,
}

impl InvalidTime {
    fn new(text: &str, wanted: &'static str) -> Self {
        Self { text: text.chars().take(80).collect(), wanted }
    }
}

/// A moment: microseconds since 1970-01-01T00:00:00Z. Prints and reads as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `micros` after the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Now by the machine. Only [`crate::SystemClock`] and timers of the process call this.
    pub fn from_system() -> Self {
        Self(jiff::Timestamp::now().as_microsecond())
    }

    /// The UTC day this moment falls on.
    pub fn day(self) -> Day {
        Day(self.0.div_euclid(MICROS_PER_DAY) as i32)
    }

    /// `self - earlier`, negative when `earlier` is later.
    pub fn since(self, earlier: Timestamp) -> Span {
        Span(self.0 - earlier.0)
    }
}

impl Add<Span> for Timestamp {
    type Output = Timestamp;
    fn add(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Timestamp;
    fn sub(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_sub(span.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(t) => write!(f, "{t}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTime;
    /// Reads RFC 3339 with any offset, or a plain day (`2026-01-31`: its first moment).
    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        if let Ok(day) = text.parse::<Day>() {
            return Ok(day.start());
        }
        text.parse::<jiff::Timestamp>().map(|t| Self(t.as_microsecond())).map_err(|_| {
            InvalidTime::new(text, "a time: use RFC 3339 such as `2026-01-31T09:00:00Z`")
        })
    }
}

/// A UTC calendar day, as days since 1970-01-01. Prints as `2026-01-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

impl Day {
    /// The day `number` days after 1970-01-01.
    pub const fn from_number(number: i32) -> Self {
        Self(number)
    }

    /// Days since 1970-01-01.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Its first moment.
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 as i64 * MICROS_PER_DAY)
    }

    /// The day `days` later.
    #[must_use]
    pub const fn plus(self, days: i32) -> Day {
        Day(self.0 + days)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.start().to_string();
        f.write_str(text.split('T').next().unwrap_or_default())
    }
}

impl FromStr for Day {
    type Err = InvalidTime;
    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let invalid = || InvalidTime::new(text, "a day: use `2026-01-31`");
        let date: jiff::civil::Date = if text.len() == 10 {
            text.parse().map_err(|_| invalid())?
        } else {
            return Err(invalid());
        };
        let moment = format!("{date}T00:00:00Z");
        let moment: jiff::Timestamp = moment.parse().map_err(|_| invalid())?;
        Ok(Timestamp(moment.as_microsecond()).day())
    }
}

/// A length of time. Reads and prints ISO 8601 with fixed units: `P14D`, `PT2H`, `PT0.5S`, `P2W`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(i64);

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// `n` microseconds.
    pub const fn micros(n: i64) -> Self {
        Self(n)
    }

    /// `n` milliseconds.
    pub const fn millis(n: i64) -> Self {
        Self(n * 1_000)
    }

    /// `n` seconds.
    pub const fn seconds(n: i64) -> Self {
        Self(n * MICROS_PER_SECOND)
    }

    /// `n` minutes.
    pub const fn minutes(n: i64) -> Self {
        Self::seconds(n * 60)
    }

    /// `n` hours.
    pub const fn hours(n: i64) -> Self {
        Self::seconds(n * 3_600)
    }

    /// `n` days of 24 hours.
    pub const fn days(n: i64) -> Self {
        Self(n * MICROS_PER_DAY)
    }

    /// Microseconds.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Days, with a fraction.
    pub fn as_days(self) -> f64 {
        self.0 as f64 / MICROS_PER_DAY as f64
    }

    /// For timers; a negative span is zero.
    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_micros(self.0.max(0) as u64)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let micros = self.0.unsigned_abs();
        let (days, rest) = (micros / MICROS_PER_DAY as u64, micros % MICROS_PER_DAY as u64);
        f.write_str("P")?;
        if days > 0 || rest == 0 {
            write!(f, "{days}D")?;
        }
        if rest > 0 {
            let (hours, rest) = (rest / 3_600_000_000, rest % 3_600_000_000);
            let (minutes, rest) = (rest / 60_000_000, rest % 60_000_000);
            f.write_str("T")?;
            if hours > 0 {
                write!(f, "{hours}H")?;
            }
            if minutes > 0 {
                write!(f, "{minutes}M")?;
            }
            if rest > 0 {
                write!(f, "{}S", rest as f64 / 1e6)?;
            }
        }
        Ok(())
    }
}

impl FromStr for Span {
    type Err = InvalidTime;
    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let invalid = || InvalidTime::new(text, "a span: use ISO 8601 such as `P14D` or `PT2H`");
        let (negative, body) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let body = body.strip_prefix('P').ok_or_else(invalid)?;
        let (dates, times) = match body.split_once('T') {
            Some((_, "")) => return Err(invalid()),
            Some((dates, times)) => (dates, times),
            None => (body, ""),
        };
        if dates.is_empty() && times.is_empty() {
            return Err(invalid());
        }
        let date_units = [('W', 7 * MICROS_PER_DAY), ('D', MICROS_PER_DAY)];
        let time_units = [('H', 3_600_000_000), ('M', 60_000_000), ('S', MICROS_PER_SECOND)];
        let total = sum_units(dates, &date_units)
            .and_then(|a| sum_units(times, &time_units).and_then(|b| a.checked_add(b)))
            .ok_or_else(invalid)?;
        Ok(Self(if negative { -total } else { total }))
    }
}

/// Adds up `3W2D`-like text; every unit at most once and in order; `None` when it does not fit.
fn sum_units(text: &str, units: &[(char, i64)]) -> Option<i64> {
    let mut total = 0i64;
    let mut left = units.iter();
    let mut number = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() || c == '.' {
            number.push(c);
            continue;
        }
        let (_, size) = left.find(|(unit, _)| *unit == c)?;
        let value: f64 = number.parse().ok()?;
        let micros = value * *size as f64;
        if micros > i64::MAX as f64 / 4.0 {
            return None;
        }
        total = total.checked_add(micros.round() as i64)?;
        number.clear();
    }
    number.is_empty().then_some(total)
}

macro_rules! text_serde {
    ($($name:ident),+) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

text_serde!(Timestamp, Day, Span);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_round_trip() {
        for text in ["P14D", "PT2H", "P1DT30M", "PT0.5S", "P0D", "-P3D"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        assert_eq!("P2W".parse::<Span>().unwrap(), Span::days(14));
        for bad in ["", "P", "PT", "14D", "P1M", "P1D2D", "P1", "PxD", "P9999999999999999W"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn days_and_moments() {
        let t: Timestamp = "2008-05-01T10:00:00+02:00".parse().unwrap();
        assert_eq!(t.to_string(), "2008-05-01T08:00:00Z");
        assert_eq!(t.day().to_string(), "2008-05-01");
        assert_eq!("1969-12-31".parse::<Day>().unwrap().number(), -1);
        assert_eq!("1969-12-31".parse::<Timestamp>().unwrap().day().to_string(), "1969-12-31");
        assert!("2026-13-01".parse::<Day>().is_err());
    }
}
