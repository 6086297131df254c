//! Typed access to the fields of a case, with refusals that name the field.

use serde_json::{Map, Value};

use crate::{insufficient::Insufficient, moments::Moments, value::noninferiority::Direction};

/// Why a case has no answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Refusal {
    /// The data carry no evidence.
    Insufficient(Insufficient),
    /// The input is not what the family reads.
    Invalid(String),
}

impl From<Insufficient> for Refusal {
    fn from(insufficient: Insufficient) -> Self {
        Self::Insufficient(insufficient)
    }
}

pub(crate) type Answer = Result<Value, Refusal>;

/// Most elements of any one array; more is refused before any work is done.
const ELEMENTS_MAX: usize = 5_000_000;

/// The fields of one JSON object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    map: &'a Map<String, Value>,
}

fn invalid<T>(name: &str, rule: &str) -> Result<T, Refusal> {
    Err(Refusal::Invalid(format!("`{name}` must be {rule}")))
}

impl<'a> Fields<'a> {
    pub(crate) fn of(map: &'a Map<String, Value>) -> Self {
        Self { map }
    }

    pub(crate) fn of_value(name: &str, value: &'a Value) -> Result<Self, Refusal> {
        match value {
            Value::Object(map) => Ok(Self { map }),
            _ => invalid(name, "an object"),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_null())
    }

    pub(crate) fn raw(&self, name: &str) -> Result<&'a Value, Refusal> {
        match self.map.get(name) {
            Some(value) => Ok(value),
            None => Err(Refusal::Invalid(format!("the field `{name}` is missing"))),
        }
    }

    pub(crate) fn object(&self, name: &str) -> Result<Self, Refusal> {
        Self::of_value(name, self.raw(name)?)
    }

    /// Names and values of an object field, in order of the names.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.map.iter()
    }

    pub(crate) fn number(&self, name: &str) -> Result<f64, Refusal> {
        number(name, self.raw(name)?)
    }

    pub(crate) fn number_or(&self, name: &str, default: f64) -> Result<f64, Refusal> {
        if self.has(name) { self.number(name) } else { Ok(default) }
    }

    pub(crate) fn number_opt(&self, name: &str) -> Result<Option<f64>, Refusal> {
        if self.has(name) { self.number(name).map(Some) } else { Ok(None) }
    }

    pub(crate) fn count(&self, name: &str) -> Result<u64, Refusal> {
        count(name, self.raw(name)?)
    }

    pub(crate) fn count_or(&self, name: &str, default: u64) -> Result<u64, Refusal> {
        if self.has(name) { self.count(name) } else { Ok(default) }
    }

    /// A count that is small enough to index memory.
    pub(crate) fn index(&self, name: &str) -> Result<usize, Refusal> {
        let value = self.count(name)?;
        match usize::try_from(value) {
            Ok(index) if index <= ELEMENTS_MAX => Ok(index),
            _ => invalid(name, "at most 5000000"),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Result<&'a str, Refusal> {
        match self.raw(name)? {
            Value::String(text) => Ok(text),
            _ => invalid(name, "a string"),
        }
    }

    pub(crate) fn flag_or(&self, name: &str, default: bool) -> Result<bool, Refusal> {
        match self.map.get(name) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => invalid(name, "true or false"),
        }
    }

    pub(crate) fn array(&self, name: &str) -> Result<&'a [Value], Refusal> {
        array(name, self.raw(name)?)
    }

    pub(crate) fn numbers(&self, name: &str) -> Result<Vec<f64>, Refusal> {
        self.array(name)?.iter().map(|value| number(name, value)).collect()
    }

    /// Numbers where `null` means missing.
    pub(crate) fn numbers_opt(&self, name: &str) -> Result<Vec<Option<f64>>, Refusal> {
        numbers_opt(name, self.raw(name)?)
    }

    pub(crate) fn counts(&self, name: &str) -> Result<Vec<u64>, Refusal> {
        counts(name, self.raw(name)?)
    }

    /// A sample: an array, `{n, mean, sd}` or `{n, sum, sum_sq}`.
    pub(crate) fn sample(&self, name: &str) -> Result<Moments, Refusal> {
        if let Value::Array(_) = self.raw(name)? {
            let values = self.numbers(name)?;
            crate::insufficient::require_finite("sample", &values)?;
            return Ok(Moments::of(&values));
        }
        let fields = self.object(name)?;
        let n = fields.count("n")?;
        if fields.has("mean") {
            Ok(Moments::from_mean_sd(n, fields.number("mean")?, fields.number("sd")?)?)
        } else {
            Ok(Moments::from_sums(n, fields.number("sum")?, fields.number("sum_sq")?)?)
        }
    }

    pub(crate) fn direction(&self, name: &str) -> Result<Direction, Refusal> {
        match self.text(name)? {
            "increase" => Ok(Direction::Increase),
            "decrease" => Ok(Direction::Decrease),
            _ => invalid(name, "`increase` or `decrease`"),
        }
    }
}

pub(crate) fn number(name: &str, value: &Value) -> Result<f64, Refusal> {
    match value.as_f64() {
        Some(number) if number.is_finite() => Ok(number),
        _ => invalid(name, "a finite number"),
    }
}

pub(crate) fn count(name: &str, value: &Value) -> Result<u64, Refusal> {
    const COUNT_MAX: f64 = 9_007_199_254_740_992.0;
    match (value.as_u64(), value.as_f64()) {
        (Some(count), _) if count as f64 <= COUNT_MAX => Ok(count),
        (_, Some(number)) if number.fract() == 0.0 && (0.0..=COUNT_MAX).contains(&number) => {
            Ok(number as u64)
        }
        _ => invalid(name, "a whole number from 0 to 2^53"),
    }
}

pub(crate) fn array<'a>(name: &str, value: &'a Value) -> Result<&'a [Value], Refusal> {
    match value {
        Value::Array(values) if values.len() <= ELEMENTS_MAX => Ok(values),
        Value::Array(_) => invalid(name, "no longer than 5000000"),
        _ => invalid(name, "an array"),
    }
}

pub(crate) fn numbers(name: &str, value: &Value) -> Result<Vec<f64>, Refusal> {
    array(name, value)?.iter().map(|value| number(name, value)).collect()
}

pub(crate) fn numbers_opt(name: &str, value: &Value) -> Result<Vec<Option<f64>>, Refusal> {
    array(name, value)?
        .iter()
        .map(|value| if value.is_null() { Ok(None) } else { number(name, value).map(Some) })
        .collect()
}

pub(crate) fn counts(name: &str, value: &Value) -> Result<Vec<u64>, Refusal> {
    array(name, value)?.iter().map(|value| count(name, value)).collect()
}

pub(crate) fn whole(name: &str, value: &Value) -> Result<i64, Refusal> {
    const WHOLE_MAX: f64 = 1e15;
    match value.as_f64() {
        Some(number) if number.fract() == 0.0 && number.abs() <= WHOLE_MAX => Ok(number as i64),
        _ => invalid(name, "a whole number"),
    }
}
