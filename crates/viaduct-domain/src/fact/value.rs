//! The value of a fact: a number, an interval, or a flag.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Shape, Unit};

/// A measured value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "shape", rename_all = "snake_case")]
pub enum FactValue {
    /// One number.
    Scalar {
        /// The number.
        value: f64,
    },
    /// An estimate with its interval. An open end is written as `null`.
    Interval {
        /// The estimate.
        estimate: f64,
        /// The lower end.
        #[serde(with = "lower_end")]
        lower: f64,
        /// The upper end.
        #[serde(with = "upper_end")]
        upper: f64,
        /// The confidence of the interval, such as 0.95.
        level: f64,
    },
    /// Yes or no.
    Flag {
        /// Whether it holds.
        value: bool,
    },
}

impl FactValue {
    /// A number.
    pub const fn scalar(value: f64) -> Self {
        FactValue::Scalar { value }
    }

    /// A yes or no.
    pub const fn flag(value: bool) -> Self {
        FactValue::Flag { value }
    }

    /// An estimate with its ends and their confidence.
    pub const fn interval(estimate: f64, ends: (f64, f64), level: f64) -> Self {
        FactValue::Interval { estimate, lower: ends.0, upper: ends.1, level }
    }

    /// Its shape.
    pub const fn shape(&self) -> Shape {
        match self {
            FactValue::Scalar { .. } => Shape::Scalar,
            FactValue::Interval { .. } => Shape::Interval,
            FactValue::Flag { .. } => Shape::Flag,
        }
    }

    /// Whether its numbers are numbers: no NaN, a finite estimate inside its ends, a level
    /// between 0 and 1. Only an interval's ends may be infinite.
    pub fn is_sound(&self) -> bool {
        match *self {
            FactValue::Scalar { value } => value.is_finite(),
            FactValue::Interval { estimate, lower, upper, level } => {
                estimate.is_finite()
                    && lower <= estimate
                    && estimate <= upper
                    && level > 0.0
                    && level < 1.0
            }
            FactValue::Flag { .. } => true,
        }
    }

    /// As people read it.
    pub fn text(&self, unit: Unit, unit_text: &str) -> String {
        match *self {
            FactValue::Scalar { value } => unit.text(value, unit_text),
            FactValue::Interval { estimate, lower, upper, level } => {
                let word = |v| unit.text(v, unit_text);
                format!(
                    "{} ({} % interval {} to {})",
                    word(estimate),
                    super::unit::number(level * 100.0),
                    word(lower),
                    word(upper)
                )
            }
            FactValue::Flag { value: true } => "yes".into(),
            FactValue::Flag { value: false } => "no".into(),
        }
    }
}

/// JSON has no infinity: an open lower end travels as `null`.
mod lower_end {
    use super::*;

    pub(super) fn serialize<S: Serializer>(end: &f64, s: S) -> Result<S::Ok, S::Error> {
        end.is_finite().then_some(*end).serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        Ok(Option::<f64>::deserialize(d)?.unwrap_or(f64::NEG_INFINITY))
    }
}

/// The same for an open upper end.
mod upper_end {
    use super::*;

    pub(super) use super::lower_end::serialize;

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        Ok(Option::<f64>::deserialize(d)?.unwrap_or(f64::INFINITY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_back_open_ends_too() {
        for value in [
            FactValue::scalar(0.25),
            FactValue::flag(false),
            FactValue::interval(0.1, (-0.2, 0.4), 0.95),
            FactValue::interval(0.1, (-0.2, f64::INFINITY), 0.95),
            FactValue::interval(0.1, (f64::NEG_INFINITY, 0.4), 0.8),
        ] {
            let json = serde_json::to_string(&value).unwrap();
            assert_eq!(serde_json::from_str::<FactValue>(&json).unwrap(), value, "{json}");
        }
    }

    #[test]
    fn soundness() {
        assert!(FactValue::interval(0.1, (-0.2, f64::INFINITY), 0.95).is_sound());
        for bad in [
            FactValue::scalar(f64::NAN),
            FactValue::scalar(f64::NEG_INFINITY),
            FactValue::interval(f64::NAN, (0.0, 1.0), 0.95),
            FactValue::interval(0.5, (f64::NAN, 1.0), 0.95),
            FactValue::interval(0.5, (0.0, f64::NAN), 0.95),
            FactValue::interval(0.5, (0.6, 1.0), 0.95),
            FactValue::interval(0.5, (0.0, 1.0), f64::NAN),
            FactValue::interval(0.5, (0.0, 1.0), 1.0),
        ] {
            assert!(!bad.is_sound(), "{bad:?}");
        }
    }
}
