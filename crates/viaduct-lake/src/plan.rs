//! Which columns a file has.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use viaduct_decisions::{DecisionRow, LogError, Record};

/// The type of a column made of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers.
    Int,
    /// Numbers.
    Float,
    /// Booleans.
    Bool,
    /// Texts; also of a field that was null in every row.
    Text,
    /// JSON text: the field mixes types or holds objects or lists.
    Json,
}

impl Kind {
    /// The type of one value; `None` for null, which fits all.
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Null => None,
            Value::Bool(_) => Some(Kind::Bool),
            Value::String(_) => Some(Kind::Text),
            Value::Number(number) if number.is_i64() => Some(Kind::Int),
            Value::Number(_) => Some(Kind::Float),
            Value::Array(_) | Value::Object(_) => Some(Kind::Json),
        }
    }

    fn with(self, other: Kind) -> Kind {
        match (self, other) {
            (a, b) if a == b => a,
            (Kind::Int, Kind::Float) | (Kind::Float, Kind::Int) => Kind::Float,
            _ => Kind::Json,
        }
    }

    /// Whether a column of this type holds the value as it is.
    pub(crate) fn holds(self, value: &Value) -> bool {
        Kind::of(value).is_none_or(|found| self == Kind::Json || self.with(found) == self)
    }
}

/// Why a bound: a caller who sends a new field name with every row must not fill the memory.
const FIELDS_MAX: usize = 2_000;

/// The columns of the fields: `input.…`, `output.…`, in name order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    pub(crate) fields: BTreeMap<String, Option<Kind>>,
}

impl Plan {
    /// Reads the rows once and forgets them.
    ///
    /// # Errors
    /// A row that cannot be read.
    pub fn of(rows: impl Iterator<Item = Result<Record, LogError>>) -> Result<Self, LogError> {
        let mut plan = Plan::default();
        for record in rows {
            if let Record::Decision(row) = record? {
                fields(&row, &mut |name, value| plan.see(name, value));
            }
        }
        Ok(plan)
    }

    fn see(&mut self, name: String, value: &Value) {
        let is_room = self.fields.len() < FIELDS_MAX;
        let found = Kind::of(value);
        match self.fields.get_mut(&name) {
            Some(known) => {
                *known = match (*known, found) {
                    (Some(a), Some(b)) => Some(a.with(b)),
                    (a, b) => a.or(b),
                };
            }
            None if is_room => drop(self.fields.insert(name, found)),
            None => {}
        }
    }

    /// Names and types of the columns made of fields.
    pub fn columns(&self) -> impl Iterator<Item = (&str, Kind)> {
        self.fields.iter().map(|(name, kind)| (name.as_str(), kind.unwrap_or(Kind::Text)))
    }
}

/// Every field of a row under its column's name.
pub(crate) fn fields<'a>(row: &'a DecisionRow, each: &mut dyn FnMut(String, &'a Value)) {
    for (name, value) in &row.inputs {
        each(format!("input.{name}"), value);
    }
    if let Some(Value::Object(output)) = &row.output {
        outputs(output, each);
    }
}

fn outputs<'a>(output: &'a Map<String, Value>, each: &mut dyn FnMut(String, &'a Value)) {
    for (name, value) in output {
        match value {
            Value::Object(classes) if name == "probabilities" => {
                for (class, p) in classes {
                    each(format!("output.probabilities.{class}"), p);
                }
            }
            _ => each(format!("output.{name}"), value),
        }
    }
}
