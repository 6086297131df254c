//! Checks whole columns of a request against the field table.
//!
//! A column that is in order is looked through once and moved; only one with a problem is read
//! cell by cell, by the rules for rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use viaduct_base::FieldError;

use super::row::{self, Settled};
use super::{Availability, Field, LogicalType, Precision};
use crate::columns::{Cells, Column, Columns};
use crate::output::{Cell, TypedRow};

/// The columns of a request that met the contract.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CheckedColumns {
    /// One column a contract field, in the contract's order.
    pub columns: Columns,
    /// Places that were accepted and are worth counting: row and field.
    pub outside: Vec<(usize, Arc<str>)>,
    /// Places where the field's default stands in: row and field.
    pub defaulted: Vec<(usize, Arc<str>)>,
}

pub(super) fn check(
    fields: &[Field],
    index: &BTreeMap<Arc<str>, usize>,
    sent: Columns,
) -> Result<CheckedColumns, Vec<(usize, FieldError)>> {
    let rows = sent.rows;
    let names: Vec<Arc<str>> = sent.columns.iter().map(|(name, _)| Arc::clone(name)).collect();
    let mut sent: Vec<Option<Column>> = sent.columns.into_iter().map(|(_, c)| Some(c)).collect();
    let mut checked = CheckedColumns::default();
    checked.columns.rows = rows;
    let mut errors = Vec::new();
    for field in fields {
        let place = names.iter().position(|name| **name == *field.name);
        let column = match place.and_then(|place| sent.get_mut(place)?.take()) {
            Some(column) => match in_order(field, column) {
                Ok(column) => column,
                Err(column) => {
                    by_cell(field, rows, &mut checked, &mut errors, |row| Some(column.json(row)))
                }
            },
            None if field.required && field.available != Some(Availability::AfterDecision) => {
                let before = errors.len();
                let column = by_cell(field, rows, &mut checked, &mut errors, |_| None);
                for (_, error) in &mut errors[before..] {
                    let detail = std::mem::take(&mut error.detail);
                    let sent = || names.iter().map(|name| &**name);
                    error.detail = row::renamed(detail, &field.name, index, sent);
                }
                column
            }
            None => empty(field.logical_type, rows),
        };
        checked.columns.columns.push((Arc::clone(&field.name), column));
    }
    if errors.is_empty() {
        return Ok(checked);
    }
    errors.sort_by_key(|(row, _)| *row);
    Err(errors)
}

pub(super) fn of_rows(fields: &[Field], rows: &[TypedRow]) -> Columns {
    let columns = fields.iter().enumerate().map(|(place, field)| {
        let cell =
            |row: &TypedRow| row.cells.get(place).map_or(Cell::Null, |(_, cell)| cell.clone());
        let cells = rows.iter().map(cell).collect();
        (Arc::clone(&field.name), column_of(field.logical_type, cells))
    });
    Columns { rows: rows.len(), columns: columns.collect() }
}

/// A column without a value.
fn empty(kind: LogicalType, rows: usize) -> Column {
    let cells = match kind {
        LogicalType::Number => Cells::F64(vec![f64::NAN; rows]),
        LogicalType::Integer => Cells::I64(vec![0; rows]),
        LogicalType::Boolean => Cells::Bool(vec![false; rows]),
        _ => Cells::Text(vec![String::new(); rows]),
    };
    Column { cells, nulls: Some(vec![true; rows]) }
}

/// The column as the field types it; the column again when a cell must be looked at.
fn in_order(field: &Field, mut column: Column) -> Result<Column, Column> {
    if !mark_nan(field, &mut column) {
        return Err(column);
    }
    let has_null = column.nulls.as_ref().is_some_and(|nulls| nulls.contains(&true));
    if has_null && !field.nullable {
        return Err(column);
    }
    let fits = match (field.logical_type, &column.cells) {
        (LogicalType::Number, Cells::F32(cells)) => numbers(field, &column, cells, f64::from),
        (LogicalType::Number, Cells::F64(cells)) => numbers(field, &column, cells, |n| n),
        (LogicalType::Number, Cells::I64(cells)) => numbers(field, &column, cells, |n| n as f64),
        (LogicalType::Integer, Cells::I64(cells)) => {
            let (low, high) = match field.precision {
                Precision::Int(low, high) => (low, high),
                _ => (i64::MIN, i64::MAX),
            };
            cells.iter().all(|n| (low..=high).contains(n))
                && numbers(field, &column, cells, |n| n as f64)
        }
        (LogicalType::Boolean, Cells::Bool(_)) => field.values.is_empty(),
        (LogicalType::String | LogicalType::Time, Cells::Text(cells)) => {
            field.values.is_empty() || listed(&field.texts, &column, cells)
        }
        _ => false,
    };
    match fits {
        true => Ok(as_number(field, column)),
        false => Err(column),
    }
}

/// Why: a contract's number is a float for whoever reads it later, also where integers came.
fn as_number(field: &Field, column: Column) -> Column {
    match (field.logical_type, column.cells) {
        (LogicalType::Number, Cells::I64(cells)) => {
            let cells = Cells::F64(cells.into_iter().map(|n| n as f64).collect());
            Column { cells, nulls: column.nulls }
        }
        (_, cells) => Column { cells, nulls: column.nulls },
    }
}

/// Tensors send NaN for null: marks it. False where a number is infinite.
fn mark_nan(field: &Field, column: &mut Column) -> bool {
    fn marks<T: Copy>(cells: &[T], nulls: &mut Option<Vec<bool>>, is_nan: impl Fn(T) -> bool) {
        if cells.iter().any(|cell| is_nan(*cell)) {
            let marks = nulls.get_or_insert_with(|| vec![false; cells.len()]);
            for (mark, cell) in marks.iter_mut().zip(cells) {
                *mark |= is_nan(*cell);
            }
        }
    }
    match &column.cells {
        Cells::F32(cells) => {
            marks(cells, &mut column.nulls, f32::is_nan);
            !cells.iter().any(|cell| cell.is_infinite())
        }
        Cells::F64(cells) => {
            marks(cells, &mut column.nulls, f64::is_nan);
            let is_wide = field.precision == Precision::Float64;
            cells
                .iter()
                .all(|n| n.is_nan() || (n.is_finite() && (is_wide || (*n as f32).is_finite())))
        }
        _ => true,
    }
}

/// Whether all numbers lie within the field's range and list.
fn numbers<T: Copy>(
    field: &Field,
    column: &Column,
    cells: &[T],
    number: impl Fn(T) -> f64,
) -> bool {
    if field.min.is_none() && field.max.is_none() && field.values.is_empty() {
        return true;
    }
    let low = field.min.unwrap_or(f64::NEG_INFINITY);
    let high = field.max.unwrap_or(f64::INFINITY);
    let listed: Vec<_> = field.values.iter().filter_map(Value::as_f64).collect();
    cells.iter().enumerate().all(|(row, cell)| {
        let number = number(*cell);
        let is_in = number >= low && number <= high;
        let is_listed = field.values.is_empty() || listed.contains(&number);
        (is_in && is_listed) || column.is_null(row)
    })
}

fn listed(known: &BTreeSet<String>, column: &Column, cells: &[String]) -> bool {
    cells.iter().enumerate().all(|(row, text)| known.contains(text) || column.is_null(row))
}

/// Reads a column cell by cell, by the rules for rows.
fn by_cell(
    field: &Field,
    rows: usize,
    checked: &mut CheckedColumns,
    errors: &mut Vec<(usize, FieldError)>,
    given: impl Fn(usize) -> Option<Value>,
) -> Column {
    let cells = (0..rows).map(|row| match row::read(field, given(row).as_ref()) {
        Ok(cell) => cell,
        Err(broken) => match broken.settle(field) {
            Settled::Refused(detail) => {
                errors.push((row, row::problem(field, detail)));
                Cell::Null
            }
            Settled::Counted(cell, _) => {
                checked.outside.push((row, Arc::clone(&field.name)));
                cell
            }
            Settled::Defaulted(cell, _) => {
                checked.defaulted.push((row, Arc::clone(&field.name)));
                cell
            }
        },
    });
    column_of(field.logical_type, cells.collect())
}

fn column_of(kind: LogicalType, cells: Vec<Cell>) -> Column {
    let mut column = empty(kind, cells.len());
    let nulls: Vec<bool> = cells.iter().map(|cell| *cell == Cell::Null).collect();
    for (row, cell) in cells.into_iter().enumerate() {
        match (&mut column.cells, cell) {
            (Cells::F64(found), cell @ (Cell::F64(_) | Cell::I64(_))) => {
                found[row] = cell.as_f64().unwrap_or(f64::NAN);
            }
            (Cells::I64(found), Cell::I64(number)) => found[row] = number,
            (Cells::Bool(found), Cell::Bool(flag)) => found[row] = flag,
            (Cells::Text(found), Cell::Text(text)) => found[row] = text,
            _ => {}
        }
    }
    column.nulls = nulls.contains(&true).then_some(nulls);
    column
}
