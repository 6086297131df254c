//! Cells become tensors.

use ort::session::SessionInputValue;
use ort::value::Tensor;
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
