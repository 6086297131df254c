//! Outputs that are neither label, probabilities nor value, as tensors under the model's own names.

use serde_json::Value;
use viaduct_domain::columns::{Cells, NamedOutput};

use crate::call::Answer;
use crate::infer::{OutputTensor, TensorData};

/// What an output is called that has a meaning; the rest are the model's own.
const KNOWN: [&str; 4] = ["label", "probability", "probabilities", "value"];

/// A named output of the model's columns.
pub(crate) fn of_columns(output: &NamedOutput, count: i64) -> OutputTensor {
    let column = &output.cells;
    let data = match &column.cells {
        Cells::F32(cells) => TensorData::Float(cells.iter().map(|n| f64::from(*n)).collect()),
        Cells::F64(cells) => TensorData::Float(cells.clone()),
        Cells::I64(cells) => TensorData::Int(cells.clone()),
        Cells::Bool(cells) => TensorData::Bool(cells.clone()),
        Cells::Text(cells) => TensorData::Text(cells.iter().cloned().map(Some).collect()),
    };
    OutputTensor { name: output.name.to_string(), shape: vec![count, output.width as i64], data }
}

/// The named outputs of answers that did not all come from the model's columns; rows without one
/// are NaN or null.
pub(crate) fn of_answers(answers: &[Answer]) -> Vec<OutputTensor> {
    let given = answers.iter().find_map(|answer| answer.output.as_ref()?.as_object());
    let names = given.into_iter().flat_map(|output| output.keys());
    let own = names.filter(|name| !KNOWN.contains(&name.as_str()));
    own.filter_map(|name| tensor(name, answers)).collect()
}

fn tensor(name: &str, answers: &[Answer]) -> Option<OutputTensor> {
    let cell = |answer: &Answer| answer.output.as_ref()?.get(name).cloned();
    let cells: Vec<Option<Value>> = answers.iter().map(cell).collect();
    let items = |cell: &Value| cell.as_array().map_or(1, Vec::len);
    let width = cells.iter().flatten().map(items).next()?;
    let mut flat = Vec::with_capacity(width * answers.len());
    for cell in cells {
        match cell {
            Some(Value::Array(row)) if row.len() == width => flat.extend(row),
            Some(one) if width == 1 => flat.push(one),
            _ => flat.extend(std::iter::repeat_n(Value::Null, width)),
        }
    }
    let is_text = flat.iter().any(|v| !v.is_null() && !v.is_number());
    let data = match is_text {
        false => TensorData::Float(flat.iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect()),
        true => TensorData::Text(
            flat.iter()
                .map(|v| match v {
                    Value::Null => None,
                    Value::String(text) => Some(text.clone()),
                    other => Some(other.to_string()),
                })
                .collect(),
        ),
    };
    let shape = vec![answers.len() as i64, width as i64];
    Some(OutputTensor { name: name.to_owned(), shape, data })
}
