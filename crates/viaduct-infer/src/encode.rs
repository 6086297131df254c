//! Cells become tensors.

use std::ops::Range;

use ort::session::SessionInputValue;
use ort::value::{Tensor, TensorRef};
use viaduct_domain::columns::{Cells, Column, Columns};
use viaduct_domain::output::{Cell, TypedRow};

use crate::bind::Input;
use crate::error::PredictError;
use crate::signature::DataType;

/// The tensor of one input over all rows.
pub(crate) fn tensor(
    input: &Input,
    places: &[usize],
    rows: &[TypedRow],
) -> Result<SessionInputValue<'static>, PredictError> {
    let shape = match input.is_flat {
        true => vec![rows.len() as i64],
        false => vec![rows.len() as i64, places.len() as i64],
    };
    let failed = |error: ort::Error| PredictError::Failed { reason: error.to_string() };
    let fill = Fill { rows, places, wanted: wanted(input.datatype) };
    Ok(match input.datatype {
        DataType::Float32 => {
            let values = fill.values(|cell| cell.as_f64().map(|number| number as f32))?;
            Tensor::from_array((shape, values)).map_err(failed)?.into()
        }
        DataType::Float64 => {
            let values = fill.values(Cell::as_f64)?;
            Tensor::from_array((shape, values)).map_err(failed)?.into()
        }
        DataType::Int64 => {
            let values = fill.values(whole)?;
            Tensor::from_array((shape, values)).map_err(failed)?.into()
        }
        DataType::Int32 => {
            let values = fill.values(|cell| whole(cell).and_then(|n| i32::try_from(n).ok()))?;
            Tensor::from_array((shape, values)).map_err(failed)?.into()
        }
        DataType::Bool => {
            let values = fill.values(|cell| match cell {
                Cell::Bool(flag) => Some(*flag),
                _ => None,
            })?;
            Tensor::from_array((shape, values)).map_err(failed)?.into()
        }
        DataType::Text => {
            let values = fill.values(|cell| match cell {
                Cell::Text(text) => Some(text.clone()),
                _ => None,
            })?;
            Tensor::from_string_array((shape, values.as_slice())).map_err(failed)?.into()
        }
    })
}

/// The tensor of one input over some rows of the columns. A single column that already has the
/// input's type is lent to the runtime as it is.
pub(crate) fn tensor_of_columns<'v>(
    input: &Input,
    places: &[usize],
    columns: &'v Columns,
    rows: Range<usize>,
) -> Result<SessionInputValue<'v>, PredictError> {
    let shape = match input.is_flat {
        true => vec![rows.len() as i64],
        false => vec![rows.len() as i64, places.len() as i64],
    };
    let failed = |error: ort::Error| PredictError::Failed { reason: error.to_string() };
    if let [place] = places
        && let (_, Column { cells, nulls: None }) = &columns.columns[*place]
    {
        match (input.datatype, cells) {
            (DataType::Float32, Cells::F32(cells)) => {
                let view = TensorRef::from_array_view((shape, &cells[rows]));
                return Ok(view.map_err(failed)?.into());
            }
            (DataType::Float64, Cells::F64(cells)) => {
                let view = TensorRef::from_array_view((shape, &cells[rows]));
                return Ok(view.map_err(failed)?.into());
            }
            (DataType::Int64, Cells::I64(cells)) => {
                let view = TensorRef::from_array_view((shape, &cells[rows]));
                return Ok(view.map_err(failed)?.into());
            }
            (DataType::Bool, Cells::Bool(cells)) => {
                let view = TensorRef::from_array_view((shape, &cells[rows]));
                return Ok(view.map_err(failed)?.into());
            }
            (DataType::Text, Cells::Text(cells)) => {
                let texts = Tensor::from_string_array((shape, &cells[rows]));
                return Ok(texts.map_err(failed)?.into());
            }
            _ => {}
        }
    }
    let matrix = Matrix { columns, places, rows, wanted: wanted(input.datatype) };
    Ok(match input.datatype {
        DataType::Float32 => {
            Tensor::from_array((shape, matrix.numbers(|n| n as f32)?)).map_err(failed)?.into()
        }
        DataType::Float64 => {
            Tensor::from_array((shape, matrix.numbers(|n| n)?)).map_err(failed)?.into()
        }
        DataType::Int64 => {
            Tensor::from_array((shape, matrix.cells(|cell| whole(&cell))?)).map_err(failed)?.into()
        }
        DataType::Int32 => {
            let narrow = |cell: Cell| whole(&cell).and_then(|n| i32::try_from(n).ok());
            Tensor::from_array((shape, matrix.cells(narrow)?)).map_err(failed)?.into()
        }
        DataType::Bool => {
            let flag = |cell| if let Cell::Bool(flag) = cell { Some(flag) } else { None };
            Tensor::from_array((shape, matrix.cells(flag)?)).map_err(failed)?.into()
        }
        DataType::Text => {
            let text = |cell| if let Cell::Text(text) = cell { Some(text) } else { None };
            let texts = matrix.cells(text)?;
            Tensor::from_string_array((shape, texts.as_slice())).map_err(failed)?.into()
        }
    })
}

/// Columns that fill one tensor, row by row.
struct Matrix<'a> {
    columns: &'a Columns,
    places: &'a [usize],
    rows: Range<usize>,
    wanted: &'static str,
}

impl Matrix<'_> {
    /// Numbers of any type; null is NaN.
    fn numbers<T: Copy + Default>(
        &self,
        convert: impl Fn(f64) -> T,
    ) -> Result<Vec<T>, PredictError> {
        let width = self.places.len();
        let mut values = vec![T::default(); self.rows.len() * width];
        for (number, place) in self.places.iter().enumerate() {
            let (_, column) = &self.columns.columns[*place];
            let rows = self.rows.clone();
            let cells = values.iter_mut().skip(number).step_by(width);
            match &column.cells {
                Cells::F32(found) => fill(cells, &found[rows], |n| convert(f64::from(*n))),
                Cells::F64(found) => fill(cells, &found[rows], |n| convert(*n)),
                Cells::I64(found) => fill(cells, &found[rows], |n| convert(*n as f64)),
                Cells::Bool(found) => {
                    fill(cells, &found[rows], |flag| convert(f64::from(u8::from(*flag))));
                }
                Cells::Text(_) => match rows.clone().find(|row| !column.is_null(*row)) {
                    Some(row) => return Err(self.refuse(row, *place)),
                    None => cells.for_each(|cell| *cell = convert(f64::NAN)),
                },
            }
            if column.nulls.is_some() {
                for (at, _) in self.rows.clone().enumerate().filter(|(_, r)| column.is_null(*r)) {
                    values[at * width + number] = convert(f64::NAN);
                }
            }
        }
        Ok(values)
    }

    fn cells<T>(&self, convert: impl Fn(Cell) -> Option<T>) -> Result<Vec<T>, PredictError> {
        let mut values = Vec::with_capacity(self.rows.len() * self.places.len());
        for row in self.rows.clone() {
            for place in self.places {
                let cell = self.columns.columns[*place].1.cell(row);
                values.push(convert(cell).ok_or_else(|| self.refuse(row, *place))?);
            }
        }
        Ok(values)
    }

    fn refuse(&self, row: usize, place: usize) -> PredictError {
        let (name, column) = &self.columns.columns[place];
        let (field, found) = (name.to_string(), kind(&column.cell(row)));
        PredictError::Cell { field, row, found, wanted: self.wanted }
    }
}

fn fill<'a, T: 'a, F>(
    cells: impl Iterator<Item = &'a mut T>,
    found: &[F],
    convert: impl Fn(&F) -> T,
) {
    for (cell, value) in cells.zip(found) {
        *cell = convert(value);
    }
}

struct Fill<'a> {
    rows: &'a [TypedRow],
    places: &'a [usize],
    wanted: &'static str,
}

impl<'a> Fill<'a> {
    /// Row by row, column by column; `convert` answers `None` for a cell that does not fit.
    fn values<T>(&self, convert: impl Fn(&'a Cell) -> Option<T>) -> Result<Vec<T>, PredictError> {
        let mut values = Vec::with_capacity(self.rows.len() * self.places.len());
        for (number, row) in self.rows.iter().enumerate() {
            for place in self.places {
                let cell = row.cells.get(*place).map(|(_, cell)| cell);
                match cell.and_then(&convert) {
                    Some(value) => values.push(value),
                    None => return Err(self.refuse(number, *place)),
                }
            }
        }
        Ok(values)
    }

    fn refuse(&self, row: usize, place: usize) -> PredictError {
        let cell = self.rows[row].cells.get(place);
        PredictError::Cell {
            field: cell.map(|(name, _)| name.to_string()).unwrap_or_default(),
            row,
            found: cell.map_or("absent", |(_, cell)| kind(cell)),
            wanted: self.wanted,
        }
    }
}

/// Why floats pass: a contract may type a column as number that the model keeps as integer.
fn whole(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::I64(number) => Some(*number),
        Cell::Bool(flag) => Some(i64::from(*flag)),
        Cell::F64(number) if number.fract() == 0.0 && number.abs() < 9.0e15 => Some(*number as i64),
        _ => None,
    }
}

fn kind(cell: &Cell) -> &'static str {
    match cell {
        Cell::F64(_) => "a number with a fraction",
        Cell::I64(_) => "an integer",
        Cell::Text(_) => "text",
        Cell::Bool(_) => "a boolean",
        Cell::Null => "null",
    }
}

fn wanted(datatype: DataType) -> &'static str {
    match datatype {
        DataType::Float32 | DataType::Float64 => "a number",
        DataType::Int64 => "an integer",
        DataType::Int32 => "a 32-bit integer",
        DataType::Bool => "true or false",
        DataType::Text => "text",
    }
}
