//! Operators and thresholds: which shapes they read, and how people read them.

use serde::{Serialize, Serializer};

use crate::fact::{Shape, Unit};

macro_rules! operators {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $($shape:ident)|+;)+) => {
        /// How a fact is compared.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Operator { $($(#[$doc])* $name,)+ }

        impl Operator {
            /// Every operator.
            pub const ALL: &'static [Operator] = &[$(Operator::$name,)+];

            /// Its text in the policy.
            pub const fn as_str(self) -> &'static str {
                match self { $(Operator::$name => $text,)+ }
            }

            /// Whether it reads values of this shape.
            pub const fn reads(self, shape: Shape) -> bool {
                match self { $(Operator::$name => matches!(shape, $(Shape::$shape)|+),)+ }
            }
        }
    };
}

operators! {
    /// At least.
    AtLeast = ">=", Scalar;
    /// At most.
    AtMost = "<=", Scalar;
    /// More than.
    MoreThan = ">", Scalar;
    /// Less than.
    LessThan = "<", Scalar;
    /// Just this.
    Equal = "==", Scalar;
    /// One of these.
    In = "in", Scalar;
    /// The whole interval lies inside the band.
    Inside = "inside", Interval;
    /// The whole interval lies above.
    LowerAbove = "ci_lower_gt", Interval;
    /// The whole interval lies at or above.
    LowerAtLeast = "ci_lower_gte", Interval;
    /// The whole interval lies below.
    UpperBelow = "ci_upper_lt", Interval;
    /// At least so many.
    CountAtLeast = "count_gte", Scalar;
    /// It was measured.
    Exists = "exists", Scalar | Interval | Flag;
    /// It is so.
    IsTrue = "is_true", Flag;
}

impl Serialize for Operator {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

/// What a fact is compared with.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Threshold {
    /// Nothing: `exists` and `is_true` need none.
    Nothing,
    /// A number.
    Number(f64),
    /// A lowest and a highest value.
    Band(f64, f64),
    /// Some numbers.
    OneOf(Vec<f64>),
    /// The project's shadow margin, below zero: `-shadow_margin`.
    MinusShadowMargin,
}

impl Threshold {
    /// The number that a single-number threshold stands for.
    pub(crate) fn number(&self, shadow_margin: f64) -> Option<f64> {
        match self {
            Threshold::Number(number) => Some(*number),
            Threshold::MinusShadowMargin => Some(-shadow_margin),
            Threshold::Nothing | Threshold::Band(..) | Threshold::OneOf(_) => None,
        }
    }
}

impl Operator {
    /// Whether `threshold` is what the operator compares with.
    pub(super) fn takes(self, threshold: &Threshold) -> bool {
        match self {
            Operator::Exists | Operator::IsTrue => *threshold == Threshold::Nothing,
            Operator::Inside => matches!(threshold, Threshold::Band(..)),
            Operator::In => matches!(threshold, Threshold::OneOf(_)),
            Operator::AtLeast
            | Operator::AtMost
            | Operator::MoreThan
            | Operator::LessThan
            | Operator::Equal
            | Operator::LowerAbove
            | Operator::LowerAtLeast
            | Operator::UpperBelow
            | Operator::CountAtLeast => {
                matches!(threshold, Threshold::Number(_) | Threshold::MinusShadowMargin)
            }
        }
    }

    /// What the operator wants as its threshold, in words.
    pub(super) fn wants(self) -> &'static str {
        match self {
            Operator::Exists | Operator::IsTrue => "no threshold",
            Operator::Inside => "a lowest and a highest number, such as `[0.01, 0.30]`",
            Operator::In => "a list of numbers",
            _ => "a number, or `-shadow_margin`",
        }
    }

    /// The whole condition as people read it: `at least 90 %`.
    pub(crate) fn text(self, threshold: &Threshold, unit: Unit, shadow_margin: f64) -> String {
        let word = |number: f64| unit.text(number, unit.as_str());
        let single = threshold.number(shadow_margin).map(word).unwrap_or_default();
        match (self, threshold) {
            (Operator::AtLeast | Operator::CountAtLeast, _) => format!("at least {single}"),
            (Operator::AtMost, _) => format!("at most {single}"),
            (Operator::MoreThan, _) => format!("more than {single}"),
            (Operator::LessThan, _) => format!("less than {single}"),
            (Operator::Equal, _) => single,
            (Operator::In, Threshold::OneOf(numbers)) => {
                format!(
                    "one of {}",
                    numbers.iter().map(|n| word(*n)).collect::<Vec<_>>().join(", ")
                )
            }
            (Operator::Inside, Threshold::Band(low, high)) => {
                format!("an interval inside {} to {}", word(*low), word(*high))
            }
            (Operator::LowerAbove, _) => format!("an interval above {single}"),
            (Operator::LowerAtLeast, _) => format!("an interval not below {single}"),
            (Operator::UpperBelow, _) => format!("an interval below {single}"),
            (Operator::Exists, _) => "measured".into(),
            (Operator::IsTrue, _) => "yes".into(),
            (Operator::In | Operator::Inside, _) => String::new(),
        }
    }
}
