//! Tensors become outputs: label and probabilities of a classifier, the value of a regressor,
//! named outputs otherwise.

use std::sync::Arc;

use ort::session::SessionOutputs;
use ort::value::{DynMapValueType, DynValue, TensorElementType, ValueType};
use serde_json::Value;
use viaduct_domain::columns::{Cells, Column, NamedOutput, Outputs, Probabilities};

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

/// What one run answered for `count` rows.
pub(crate) fn outputs(
    found: &SessionOutputs<'_>,
    roles: &[Role],
    count: usize,
) -> Result<Outputs, PredictError> {
    let mut outputs = Outputs { rows: count, ..Outputs::default() };
    for ((name, value), role) in found.iter().zip(roles) {
        match role {
            Role::Maps => outputs.probabilities = Some(maps(&value, count)?),
            Role::Label => {
                let (width, cells) = cells(&value, count)?;
                outputs.label = Some(first(cells, width));
            }
            Role::Value => {
                let (width, cells) = cells(&value, count)?;
                outputs.value = Some(numbers(&cells).into_iter().step_by(width).collect());
            }
            Role::Named => {
                let (width, cells) = cells(&value, count)?;
                outputs.named.push(NamedOutput { name: name.into(), width, cells });
            }
            Role::Matrix(classes) => {
                let (width, cells) = cells(&value, count)?;
                outputs.probabilities = Some(matrix(classes.as_deref(), width, numbers(&cells)));
            }
        }
    }
    if outputs.label.is_none() {
        outputs.label = outputs.probabilities.as_ref().map(|found| best(found, count));
    }
    Ok(outputs)
}

/// The first cell of each row.
fn first(column: Column, width: usize) -> Column {
    if width == 1 {
        return column;
    }
    let cells = match column.cells {
        Cells::F32(cells) => Cells::F32(cells.into_iter().step_by(width).collect()),
        Cells::F64(cells) => Cells::F64(cells.into_iter().step_by(width).collect()),
        Cells::I64(cells) => Cells::I64(cells.into_iter().step_by(width).collect()),
        Cells::Bool(cells) => Cells::Bool(cells.into_iter().step_by(width).collect()),
        Cells::Text(cells) => Cells::Text(cells.into_iter().step_by(width).collect()),
    };
    cells.into()
}

fn numbers(column: &Column) -> Vec<f64> {
    (0..column.len()).map(|place| column.number(place).unwrap_or(f64::NAN)).collect()
}

fn matrix(classes: Option<&[Value]>, width: usize, values: Vec<f64>) -> Probabilities {
    let class = |column: usize| classes.and_then(|classes| classes.get(column));
    let names: Arc<[String]> =
        (0..width).map(|column| class(column).map_or_else(|| column.to_string(), text)).collect();
    let known = classes.map_or(0, <[Value]>::len).min(width);
    let says_yes = names[..known].iter().position(|class| is_positive(class));
    let positive = (width == 2).then(|| says_yes.unwrap_or(1));
    Probabilities { classes: names, positive, values }
}

/// The class of a graph that gives probabilities only.
fn best(found: &Probabilities, count: usize) -> Column {
    // Why by name: of equal ones the last name wins, whatever the model's order.
    let mut order: Vec<usize> = (0..found.classes.len()).collect();
    order.sort_by(|a, b| found.classes[*a].cmp(&found.classes[*b]));
    let class = |row: usize| {
        let numbers = found.row(row);
        let best = order.iter().max_by(|a, b| numbers[**a].total_cmp(&numbers[**b]));
        best.map(|class| found.classes[*class].clone()).unwrap_or_default()
    };
    Cells::Text((0..count).map(class).collect()).into()
}

/// Adds the rows of a further run of the same model.
pub(crate) fn extend(all: &mut Outputs, more: Outputs) -> Result<(), PredictError> {
    let other =
        || PredictError::Failed { reason: "the model's outputs changed their shape".into() };
    all.rows += more.rows;
    match (&mut all.label, more.label) {
        (Some(all), Some(more)) => append(all, more).ok_or_else(other)?,
        (None, None) => {}
        _ => return Err(other()),
    }
    match (&mut all.probabilities, more.probabilities) {
        (Some(all), Some(mut more)) if all.classes == more.classes => {
            all.values.append(&mut more.values);
        }
        (None, None) => {}
        _ => return Err(other()),
    }
    if let (Some(all), Some(mut more)) = (&mut all.value, more.value) {
        all.append(&mut more);
    }
    for (all, more) in all.named.iter_mut().zip(more.named) {
        if all.width != more.width {
            return Err(other());
        }
        append(&mut all.cells, more.cells).ok_or_else(other)?;
    }
    Ok(())
}

fn append(all: &mut Column, more: Column) -> Option<()> {
    match (&mut all.cells, more.cells) {
        (Cells::F32(all), Cells::F32(mut more)) => all.append(&mut more),
        (Cells::F64(all), Cells::F64(mut more)) => all.append(&mut more),
        (Cells::I64(all), Cells::I64(mut more)) => all.append(&mut more),
        (Cells::Bool(all), Cells::Bool(mut more)) => all.append(&mut more),
        (Cells::Text(all), Cells::Text(mut more)) => all.append(&mut more),
        _ => return None,
    }
    Some(())
}

/// A label that means yes.
fn is_positive(label: &str) -> bool {
    ["1", "yes", "true"].iter().any(|word| label.eq_ignore_ascii_case(word))
}

fn maps(value: &DynValue, count: usize) -> Result<Probabilities, PredictError> {
    let sequence = value.try_extract_sequence::<DynMapValueType>().map_err(failed)?;
    if sequence.len() != count {
        return Err(short(sequence.len(), count));
    }
    let mut found = Probabilities::default();
    for (row, map) in sequence.into_iter().enumerate() {
        // The runtime gives a map's keys in order, so the last one is the last class.
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
        if row == 0 {
            found.classes = pairs.iter().map(|(class, _)| class.clone()).collect();
            let says_yes = found.classes.iter().position(|class| is_positive(class));
            found.positive = (pairs.len() == 2).then(|| says_yes.unwrap_or(1));
            found.values.reserve(count * pairs.len());
        }
        let is_same = pairs.len() == found.classes.len()
            && pairs.iter().zip(found.classes.iter()).all(|((class, _), known)| class == known);
        if !is_same {
            let reason = format!("row {row} has other classes than the first");
            return Err(PredictError::Failed { reason });
        }
        found.values.extend(pairs.iter().map(|(_, p)| *p));
    }
    Ok(found)
}

/// The tensor's cells, row by row, and how many of them are a row.
fn cells(value: &DynValue, count: usize) -> Result<(usize, Column), PredictError> {
    let ValueType::Tensor { ty, .. } = value.dtype() else {
        return Err(PredictError::Failed { reason: "an output is no tensor".into() });
    };
    let flat: Column = match ty {
        TensorElementType::Float32 => {
            Cells::F32(value.try_extract_tensor::<f32>().map_err(failed)?.1.to_vec())
        }
        TensorElementType::Float64 => {
            Cells::F64(value.try_extract_tensor::<f64>().map_err(failed)?.1.to_vec())
        }
        TensorElementType::Int64 => {
            Cells::I64(value.try_extract_tensor::<i64>().map_err(failed)?.1.to_vec())
        }
        TensorElementType::Int32 => {
            let (_, data) = value.try_extract_tensor::<i32>().map_err(failed)?;
            Cells::I64(data.iter().map(|n| i64::from(*n)).collect())
        }
        TensorElementType::Bool => {
            Cells::Bool(value.try_extract_tensor::<bool>().map_err(failed)?.1.to_vec())
        }
        TensorElementType::String => Cells::Text(value.try_extract_strings().map_err(failed)?.1),
        other => {
            return Err(PredictError::Failed { reason: format!("an output is of type {other}") });
        }
    }
    .into();
    if count == 0 || !flat.len().is_multiple_of(count) || flat.is_empty() {
        return Err(short(flat.len(), count));
    }
    Ok((flat.len() / count, flat))
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
