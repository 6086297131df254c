//! Tensors become outputs: label and probabilities of a classifier, the value of a regressor,
//! named outputs otherwise.

use ort::session::SessionOutputs;
use ort::value::{DynMapValueType, DynValue, TensorElementType, ValueType};
use serde_json::Value;
use viaduct_domain::output::ModelOutput;

use crate::error::PredictError;
use crate::signature::{ModelSignature, TensorSpec};

/// What an output of the graph means.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Role {
    /// The predicted class.
    Label,
    /// Probabilities by class: a matrix, with the classes of its columns when they are known.
    Matrix(Option<Vec<Value>>),
    /// Probabilities by class: a sequence of maps (ZipMap).
    Maps,
    /// A regressor's number.
    Value,
    /// Anything else.
    Named,
}

/// The roles of a graph's outputs; `classes` answers the labels of so many columns.
pub(crate) fn roles(
    signature: &ModelSignature,
    classes: impl Fn(usize) -> Option<Vec<Value>>,
) -> Vec<Role> {
    let outputs = &signature.outputs;
    let has_label = outputs.iter().any(is_label);
    let is_only = outputs.len() == 1;
    outputs
        .iter()
        .map(|output| {
            let is_float = matches!(output.datatype.as_str(), "FP32" | "FP64");
            let columns = match output.shape.as_slice() {
                [_] => 1,
                [_, columns] => *columns,
                _ => 0,
            };
            let says_probability = output.name.to_lowercase().contains("prob");
            if output.shape.is_empty() {
                Role::Maps
            } else if is_label(output) {
                Role::Label
            } else if is_float && (columns > 1 || columns == -1) && (has_label || says_probability)
            {
                Role::Matrix(usize::try_from(columns).ok().and_then(&classes))
            } else if is_float && is_only && columns.abs() == 1 {
                Role::Value
            } else {
                Role::Named
            }
        })
        .collect()
}

fn is_label(output: &TensorSpec) -> bool {
    let is_class = matches!(output.datatype.as_str(), "INT64" | "INT32" | "BYTES" | "BOOL");
    let is_column = matches!(output.shape.as_slice(), [_] | [_, 1] | [_, -1]);
    is_class && is_column && output.name.to_lowercase().contains("label")
}

/// Adds what one run answered for `count` rows to `rows`.
pub(crate) fn outputs(
    found: &SessionOutputs<'_>,
    roles: &[Role],
    count: usize,
    rows: &mut Vec<ModelOutput>,
) -> Result<(), PredictError> {
    let start = rows.len();
    rows.resize_with(start + count, ModelOutput::default);
    let rows = &mut rows[start..];
    for ((name, value), role) in found.iter().zip(roles) {
        let columns = match role {
            Role::Maps => {
                maps(&value, rows)?;
                continue;
            }
            _ => cells(&value, count)?,
        };
        for (row, cells) in rows.iter_mut().zip(columns) {
            fill(row, role, name, cells);
        }
    }
    for row in rows {
        finish(row);
    }
    Ok(())
}

fn fill(row: &mut ModelOutput, role: &Role, name: &str, cells: Vec<Value>) {
    match role {
        Role::Label => row.label = cells.into_iter().next(),
        Role::Value => row.value = cells.first().map(number),
        Role::Named | Role::Maps => {
            let is_one = cells.len() == 1;
            let first = cells.first().cloned();
            let value = first.filter(|_| is_one).unwrap_or(Value::Array(cells));
            row.named.insert(name.to_owned(), value);
        }
        Role::Matrix(classes) => {
            for (column, cell) in cells.iter().enumerate() {
                let class = classes.as_ref().and_then(|classes| classes.get(column));
                let class = class.map_or_else(|| column.to_string(), text);
                row.probabilities.insert(class, number(cell));
            }
            if cells.len() == 2 {
                let positive = classes
                    .as_ref()
                    .and_then(|classes| classes.iter().position(|class| is_positive(&text(class))))
                    .unwrap_or(1);
                row.probability = Some(number(&cells[positive]));
            }
        }
    }
}

/// A label that means yes.
fn is_positive(label: &str) -> bool {
    ["1", "yes", "true"].iter().any(|word| label.eq_ignore_ascii_case(word))
}

/// Fills in what follows from the rest: the class of a graph that gives probabilities only.
fn finish(row: &mut ModelOutput) {
    if row.label.is_none() && !row.probabilities.is_empty() {
        let best = row.probabilities.iter().max_by(|a, b| a.1.total_cmp(b.1));
        row.label = best.map(|(class, _)| Value::String(class.clone()));
    }
}

fn maps(value: &DynValue, rows: &mut [ModelOutput]) -> Result<(), PredictError> {
    let sequence = value.try_extract_sequence::<DynMapValueType>().map_err(failed)?;
    if sequence.len() != rows.len() {
        return Err(short(sequence.len(), rows.len()));
    }
    for (row, map) in rows.iter_mut().zip(sequence) {
        let pairs: Vec<(String, f64)> = match map.dtype() {
            ValueType::Map { key: TensorElementType::String, .. } => map
                .try_extract_key_values::<String, f32>()
                .map_err(failed)?
                .into_iter()
                .map(|(class, p)| (class, f64::from(p)))
                .collect(),
            _ => map
                .try_extract_key_values::<i64, f32>()
                .map_err(failed)?
                .into_iter()
                .map(|(class, p)| (class.to_string(), f64::from(p)))
                .collect(),
        };
        if pairs.len() == 2 {
            // The runtime gives a map's keys in order, so the last one is the last class.
            let positive = pairs.iter().find(|(class, _)| is_positive(class)).or(pairs.last());
            row.probability = positive.map(|(_, p)| *p);
        }
        row.probabilities = pairs.into_iter().collect();
    }
    Ok(())
}

/// The tensor's cells, row by row.
fn cells(value: &DynValue, count: usize) -> Result<Vec<Vec<Value>>, PredictError> {
    let ValueType::Tensor { ty, .. } = value.dtype() else {
        return Err(PredictError::Failed { reason: "an output is no tensor".into() });
    };
    let flat: Vec<Value> = match ty {
        TensorElementType::Float32 => {
            let (_, data) = value.try_extract_tensor::<f32>().map_err(failed)?;
            data.iter().map(|n| Value::from(f64::from(*n))).collect()
        }
        TensorElementType::Float64 => {
            let (_, data) = value.try_extract_tensor::<f64>().map_err(failed)?;
            data.iter().map(|n| Value::from(*n)).collect()
        }
        TensorElementType::Int64 => {
            let (_, data) = value.try_extract_tensor::<i64>().map_err(failed)?;
            data.iter().map(|n| Value::from(*n)).collect()
        }
        TensorElementType::Int32 => {
            let (_, data) = value.try_extract_tensor::<i32>().map_err(failed)?;
            data.iter().map(|n| Value::from(*n)).collect()
        }
        TensorElementType::Bool => {
            let (_, data) = value.try_extract_tensor::<bool>().map_err(failed)?;
            data.iter().map(|flag| Value::from(*flag)).collect()
        }
        TensorElementType::String => {
            let (_, data) = value.try_extract_strings().map_err(failed)?;
            data.into_iter().map(Value::from).collect()
        }
        other => {
            return Err(PredictError::Failed { reason: format!("an output is of type {other}") });
        }
    };
    if count == 0 || !flat.len().is_multiple_of(count) || flat.is_empty() {
        return Err(short(flat.len(), count));
    }
    let width = flat.len() / count;
    let mut rows = Vec::with_capacity(count);
    let mut left = flat.into_iter();
    for _ in 0..count {
        rows.push(left.by_ref().take(width).collect());
    }
    Ok(rows)
}

/// A number of the graph; what JSON cannot hold (NaN, infinity) was null and is NaN.
fn number(cell: &Value) -> f64 {
    cell.as_f64().unwrap_or(f64::NAN)
}

fn text(class: &Value) -> String {
    match class {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn failed(error: ort::Error) -> PredictError {
    PredictError::Failed { reason: error.to_string() }
}

fn short(found: usize, count: usize) -> PredictError {
    PredictError::Failed { reason: format!("{found} answers came back for {count} rows") }
}
