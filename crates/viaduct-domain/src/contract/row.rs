//! Checks one row of a request against the field table.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Number, Value};
use viaduct_base::{Day, FieldError, Timestamp, nearest};

use super::{Availability, Field, LogicalType, OnViolation, Precision};
use crate::manifest::escape;
use crate::output::{Cell, TypedRow};

/// Whole numbers up to here are exact in a float: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// Why a bound: a wrong table has hundreds of columns, and the first few tell it.
const UNKNOWN_MAX: usize = 5;

pub(super) fn check(
    fields: &[Field],
    index: &BTreeMap<Arc<str>, usize>,
    row: &Map<String, Value>,
) -> Result<TypedRow, Vec<FieldError>> {
    let mut typed = TypedRow { cells: Vec::with_capacity(fields.len()), ..TypedRow::default() };
    let (mut errors, mut found) = (Vec::new(), 0);
    for field in fields {
        let given = row.get(&*field.name);
        found += usize::from(given.is_some());
        let cell = match read(field, given) {
            Ok(cell) => cell,
            Err(broken) => match broken.settle(field) {
                Settled::Refused(detail) => {
                    let detail = match given {
                        None => {
                            renamed(detail, &field.name, index, || row.keys().map(String::as_str))
                        }
                        Some(_) => detail,
                    };
                    errors.push(problem(field, detail));
                    continue;
                }
                Settled::Counted(cell, detail) => {
                    typed.outside.push(problem(field, detail));
                    cell
                }
                Settled::Defaulted(cell, detail) => {
                    typed.defaulted.push(problem(field, detail));
                    cell
                }
            },
        };
        typed.cells.push((Arc::clone(&field.name), cell));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    if found < row.len() {
        typed.ignored =
            row.keys().filter(|key| !index.contains_key(key.as_str())).cloned().collect();
    }
    Ok(typed)
}

/// A value that breaks its field.
pub(super) struct Broken {
    /// The value, where it is of the right type and only outside range or list.
    cell: Option<Cell>,
    detail: String,
}

/// What the field's policy makes of a broken value.
pub(super) enum Settled {
    Refused(String),
    Counted(Cell, String),
    Defaulted(Cell, String),
}

impl Broken {
    pub(super) fn settle(self, field: &Field) -> Settled {
        let Self { cell, detail } = self;
        match (field.on_violation, cell, &field.default) {
            (None, Some(cell), _) => Settled::Counted(cell, detail),
            (Some(OnViolation::Count), cell, _) => {
                Settled::Counted(cell.unwrap_or(Cell::Null), detail)
            }
            (Some(OnViolation::Default), _, Some(default)) => {
                Settled::Defaulted(default.clone(), detail)
            }
            _ => Settled::Refused(detail),
        }
    }
}

/// The typed cell of a field, or how it breaks it.
pub(super) fn read(field: &Field, given: Option<&Value>) -> Result<Cell, Broken> {
    match cell(field, given) {
        Ok(cell) => match outside(field, &cell) {
            None => Ok(cell),
            Some(detail) => Err(Broken { cell: Some(cell), detail }),
        },
        Err(detail) => Err(Broken { cell: None, detail }),
    }
}

/// A declared default as a cell.
pub(super) fn default_cell(field: &Field, value: &Value) -> Result<Cell, String> {
    match value {
        Value::Null => Ok(Cell::Null),
        value => typed(field, value),
    }
}

/// Says where a missing field may have gone: a caller that renames a column finds it here.
pub(super) fn renamed<'a, I: Iterator<Item = &'a str>>(
    detail: String,
    field: &str,
    index: &BTreeMap<Arc<str>, usize>,
    sent: impl Fn() -> I,
) -> String {
    let unknown = || sent().filter(|name| !index.contains_key(*name));
    let plain = |name: &str| -> String {
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let wanted = plain(field);
    let is_alike = |name: &str| {
        let found = plain(name);
        let shorter = wanted.len().min(found.len());
        found == wanted || (shorter >= 3 && (found.contains(&wanted) || wanted.contains(&found)))
    };
    let near = unknown().find(|name| is_alike(name)).or_else(|| nearest(field, unknown()));
    if let Some(near) = near {
        return format!(
            "{detail}; the request has `{near}`, which the contract does not know: was `{field}` \
             renamed?"
        );
    }
    let others: Vec<_> = unknown().take(UNKNOWN_MAX).map(|name| format!("`{name}`")).collect();
    match others.is_empty() {
        true => detail,
        false => {
            format!("{detail}; fields that it does not know came instead: {}", others.join(", "))
        }
    }
}

pub(super) fn problem(field: &Field, detail: String) -> FieldError {
    FieldError { pointer: format!("/{}", escape(&field.name)), detail, line: None, column: None }
}

/// The typed cell of a field, or the sentence that declines it.
fn cell(field: &Field, given: Option<&Value>) -> Result<Cell, String> {
    let name = &field.name;
    match given {
        None if field.required && field.available != Some(Availability::AfterDecision) => {
            Err(format!("`{name}` is missing: the contract requires it"))
        }
        None => Ok(Cell::Null),
        Some(Value::Null) if field.nullable => Ok(Cell::Null),
        Some(Value::Null) => Err(format!("`{name}` is null: the contract says it never is")),
        Some(value) => typed(field, value),
    }
}

fn typed(field: &Field, value: &Value) -> Result<Cell, String> {
    match (field.logical_type, value) {
        (LogicalType::Number, Value::Number(number)) => float(field, number),
        (LogicalType::Integer, Value::Number(number)) => whole(field, number),
        (LogicalType::Boolean, Value::Bool(flag)) => Ok(Cell::Bool(*flag)),
        (LogicalType::String | LogicalType::Time, Value::String(text)) => {
            Ok(Cell::Text(text.clone()))
        }
        (LogicalType::Date, Value::String(text)) => {
            if field.has_format || text.parse::<Day>().is_ok() {
                Ok(Cell::Text(text.clone()))
            } else {
                Err(format!("`{}` is not a day: use `2026-01-31`", field.name))
            }
        }
        (LogicalType::Timestamp, Value::String(text)) => {
            if field.has_format || text.parse::<Timestamp>().is_ok() {
                Ok(Cell::Text(text.clone()))
            } else {
                Err(format!(
                    "`{}` is not a time: use RFC 3339 such as `2026-01-31T09:00:00Z`",
                    field.name
                ))
            }
        }
        (LogicalType::Object, Value::Object(_)) | (LogicalType::Array, Value::Array(_)) => {
            Ok(Cell::Text(value.to_string()))
        }
        _ => Err(format!(
            "`{}` is {}: the contract wants {}",
            field.name,
            kind_of(value),
            field.logical_type.wanted()
        )),
    }
}

fn float(field: &Field, number: &Number) -> Result<Cell, String> {
    let wide = number.as_f64().filter(|wide| wide.is_finite());
    let wide = wide.ok_or_else(|| format!("`{}` is not a finite number", field.name))?;
    if field.precision != Precision::Float64 && !(wide as f32).is_finite() {
        return Err(format!(
            "`{}` is beyond float32's range (3.4e38): send a smaller number, or declare \
                 `physicalType: double`",
            field.name
        ));
    }
    Ok(Cell::F64(wide))
}

fn whole(field: &Field, number: &Number) -> Result<Cell, String> {
    // Why floats pass: data frames send whole columns with gaps as `3.0`.
    let exact = number.as_i64().or_else(|| {
        number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() <= EXACT).map(|f| f as i64)
    });
    let whole = exact.ok_or_else(|| {
        format!("`{}` is not a whole number of 64 bits: the contract wants an integer", field.name)
    })?;
    match field.precision {
        Precision::Int(min, max) if !(min..=max).contains(&whole) => Err(format!(
            "`{}` is beyond the range of its `physicalType` ({min} to {max})",
            field.name
        )),
        _ => Ok(Cell::I64(whole)),
    }
}

/// Says that a value of the right type lies outside what the contract declares.
fn outside(field: &Field, cell: &Cell) -> Option<String> {
    let name = &field.name;
    if let Some(number) = cell.as_f64().filter(|number| !number.is_nan()) {
        if field.min.is_some_and(|min| number < min) {
            return Some(format!("`{name}` is below the contract's minimum"));
        }
        if field.max.is_some_and(|max| number > max) {
            return Some(format!("`{name}` is above the contract's maximum"));
        }
    }
    if field.values.is_empty() {
        return None;
    }
    let known = match cell {
        Cell::Null => true,
        Cell::Text(text) => field.texts.contains(text),
        Cell::Bool(flag) => field.values.iter().any(|value| value.as_bool() == Some(*flag)),
        Cell::I64(_) | Cell::F64(_) => {
            field.values.iter().any(|value| value.as_f64() == cell.as_f64())
        }
    };
    (!known).then(|| format!("`{name}` is none of the contract's {} values", field.values.len()))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

impl LogicalType {
    /// The type with its article, for messages.
    fn wanted(self) -> &'static str {
        match self {
            LogicalType::String => "text",
            LogicalType::Number => "a number",
            LogicalType::Integer => "an integer",
            LogicalType::Boolean => "true or false",
            LogicalType::Date => "a day as text",
            LogicalType::Timestamp => "a time as text",
            LogicalType::Time => "a time of day as text",
            LogicalType::Object => "an object",
            LogicalType::Array => "a list",
        }
    }
}
