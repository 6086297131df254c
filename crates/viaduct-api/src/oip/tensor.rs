//! The protocol's JSON tensors to and from typed columns.

use serde_json::{Number, Value};
use viaduct_base::{FieldError, Kind, Refusal};
use viaduct_gateway::{InputTensor, OutputTensor, TensorData};
use viaduct_wire::oip::{RequestInput, ResponseOutput};

pub(super) fn read(input: RequestInput) -> Result<InputTensor, Refusal> {
    let RequestInput { name, shape, datatype, parameters, data } = input;
    let declined = |what: &str| {
        let detail = format!("tensor `{name}`: {what}");
        let pointer = format!("/inputs/{name}/data");
        let error = FieldError { pointer, detail: detail.clone(), line: None, column: None };
        Refusal::new(Kind::InvalidInput, detail).with_errors(vec![error])
    };
    if parameters.contains_key("binary_data_size") {
        return Err(declined(
            "binary tensor data is not read here: send `data` as JSON (tritonclient: \
             `set_data_from_numpy(…, binary_data=False)`)",
        ));
    }
    let Some(data) = data else { return Err(declined("`data` is missing")) };
    let mut cells = Vec::new();
    flatten(data, &mut cells);
    let data = typed(&datatype, cells).map_err(|what| declined(&what))?;
    Ok(InputTensor { name, shape, data })
}

/// Rows of rows are one list: the shape says how it folds.
fn flatten(data: Value, cells: &mut Vec<Value>) {
    match data {
        Value::Array(items) => items.into_iter().for_each(|item| flatten(item, cells)),
        cell => cells.push(cell),
    }
}

fn typed(datatype: &str, cells: Vec<Value>) -> Result<TensorData, String> {
    let wrong = |place: usize, wanted: &str| format!("cell {place} is not {wanted} ({datatype})");
    match datatype {
        "FP16" | "BF16" | "FP32" | "FP64" => each(cells, |cell| match cell {
            Value::Null => Some(f64::NAN),
            other => other.as_f64(),
        })
        .map(TensorData::Float)
        .map_err(|place| wrong(place, "a number")),
        "INT8" | "INT16" | "INT32" | "INT64" | "UINT8" | "UINT16" | "UINT32" | "UINT64" => {
            each(cells, |cell| cell.as_i64())
                .map(TensorData::Int)
                .map_err(|place| wrong(place, "a whole number of 64 bits"))
        }
        "BOOL" => each(cells, |cell| cell.as_bool())
            .map(TensorData::Bool)
            .map_err(|place| wrong(place, "true or false")),
        "BYTES" => each(cells, |cell| match cell {
            Value::Null => Some(None),
            Value::String(text) => Some(Some(text.clone())),
            _ => None,
        })
        .map(TensorData::Text)
        .map_err(|place| wrong(place, "text")),
        other => {
            let other: String = other.chars().take(20).collect();
            Err(format!("`{other}` is no datatype: use FP32, FP64, INT64, BOOL or BYTES"))
        }
    }
}

/// # Errors
/// The place of the first cell that does not convert.
fn each<T>(cells: Vec<Value>, convert: impl Fn(&Value) -> Option<T>) -> Result<Vec<T>, usize> {
    cells.iter().enumerate().map(|(place, cell)| convert(cell).ok_or(place)).collect()
}

pub(super) fn write(tensor: OutputTensor) -> ResponseOutput {
    let OutputTensor { name, shape, data } = tensor;
    let (datatype, data) = match data {
        TensorData::Float(cells) => {
            let cell = |n: f64| Number::from_f64(n).map_or(Value::Null, Value::Number);
            ("FP64", cells.into_iter().map(cell).collect())
        }
        TensorData::Int(cells) => ("INT64", cells.into_iter().map(Value::from).collect()),
        TensorData::Bool(cells) => ("BOOL", cells.into_iter().map(Value::from).collect()),
        TensorData::Text(cells) => ("BYTES", cells.into_iter().map(Value::from).collect()),
    };
    ResponseOutput { name, shape, datatype, data }
}
