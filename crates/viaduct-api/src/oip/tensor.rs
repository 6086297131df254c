//! The protocol's tensors to and from typed columns.

use viaduct_base::{FieldError, Kind, Refusal};
use viaduct_gateway::{InputTensor, OutputTensor, TensorData};
use viaduct_wire::oip::{
    Cell, OutputParameters, RequestInput, ResponseData, ResponseOutput, flatten,
};

/// The refusal of a tensor, with its place.
pub fn declined(name: &str, what: &str) -> Refusal {
    let name: String = name.chars().take(80).collect();
    let detail = format!("tensor `{name}`: {what}");
    let pointer = format!("/inputs/{name}/data");
    let error = FieldError { pointer, detail: detail.clone(), line: None, column: None };
    Refusal::new(Kind::InvalidInput, detail).with_errors(vec![error])
}

/// The sentence about a datatype that is none.
pub fn no_datatype(named: &str) -> String {
    let named: String = named.chars().take(20).collect();
    format!(
        "`{named}` is no datatype: use FP16, BF16, FP32, FP64, INT8 to INT64, UINT8 to UINT64, \
         BOOL or BYTES"
    )
}

/// A tensor whose cells are as many as its shape says, and finite or null.
///
/// # Errors
/// `invalid-input` that names the tensor.
pub fn input(name: String, shape: Vec<i64>, data: TensorData) -> Result<InputTensor, Refusal> {
    let count = match &data {
        // Why refused here: infinity would reach the model as if it were null.
        TensorData::Float(cells) => match cells.iter().position(|cell| cell.is_infinite()) {
            Some(place) => return Err(declined(&name, &format!("cell {place} is infinite"))),
            None => cells.len(),
        },
        TensorData::Int(cells) => cells.len(),
        TensorData::Bool(cells) => cells.len(),
        TensorData::Text(cells) => cells.len(),
    };
    if cells_of(&name, &shape)? != count {
        return Err(declined(&name, &format!("it has shape {shape:?} and {count} cells")));
    }
    Ok(InputTensor { name, shape, data })
}

/// How many cells a shape has.
///
/// # Errors
/// A dimension is negative, or there are more cells than anybody can send.
pub fn cells_of(name: &str, shape: &[i64]) -> Result<usize, Refusal> {
    let cells = shape.iter().try_fold(1usize, |all, n| all.checked_mul(usize::try_from(*n).ok()?));
    cells.ok_or_else(|| {
        let what = format!("it has shape {shape:?}: dimensions are 0 or more, and not that many");
        declined(name, &what)
    })
}

/// # Errors
/// A number beyond 63 bits.
pub fn signed(words: &[u64]) -> Result<Vec<i64>, String> {
    let place = words.iter().position(|word| i64::try_from(*word).is_err());
    match place {
        None => Ok(words.iter().map(|word| *word as i64).collect()),
        Some(place) => Err(format!("cell {place} does not fit into 63 bits (UINT64)")),
    }
}

pub(super) fn read(tensor: RequestInput<'_>) -> Result<InputTensor, Refusal> {
    let RequestInput { name, shape, datatype, data, .. } = tensor;
    let Some(json) = data else { return Err(declined(&name, "`data` is missing")) };
    let expected = cells_of(&name, &shape)?;
    let data = match datatype.as_str() {
        "FP16" | "BF16" | "FP32" | "FP64" => {
            cells(json, expected, &datatype, "a number").map(TensorData::Float)
        }
        "BOOL" => cells(json, expected, &datatype, "true or false").map(TensorData::Bool),
        "BYTES" => cells(json, expected, &datatype, "text").map(TensorData::Text),
        whole => match range(whole) {
            None => Err(no_datatype(whole)),
            Some(range) => cells(json, expected, whole, "a whole number").and_then(|cells| {
                match cells.iter().position(|cell| !range.contains(cell)) {
                    None => Ok(TensorData::Int(cells)),
                    Some(place) => Err(format!("cell {place} is out of the range of {whole}")),
                }
            }),
        },
    };
    let data = data.map_err(|what| declined(&name, &what))?;
    input(name, shape, data)
}

fn range(datatype: &str) -> Option<std::ops::RangeInclusive<i64>> {
    Some(match datatype {
        "INT8" => i8::MIN.into()..=i8::MAX.into(),
        "INT16" => i16::MIN.into()..=i16::MAX.into(),
        "INT32" => i32::MIN.into()..=i32::MAX.into(),
        "INT64" => i64::MIN..=i64::MAX,
        "UINT8" => 0..=u8::MAX.into(),
        "UINT16" => 0..=u16::MAX.into(),
        "UINT32" => 0..=u32::MAX.into(),
        "UINT64" => 0..=i64::MAX,
        _ => return None,
    })
}

fn cells<T: Cell>(
    json: &serde_json::value::RawValue,
    expected: usize,
    datatype: &str,
    wanted: &str,
) -> Result<Vec<T>, String> {
    flatten(json, expected).map_err(|place| format!("cell {place} is not {wanted} ({datatype})"))
}

/// The protocol's word for the type of an output.
pub fn datatype(data: &TensorData) -> &'static str {
    match data {
        TensorData::Float(_) => "FP64",
        TensorData::Int(_) => "INT64",
        TensorData::Bool(_) => "BOOL",
        TensorData::Text(_) => "BYTES",
    }
}

/// An output as JSON; with `binary` its cells go behind the JSON.
pub(super) fn write(tensor: OutputTensor, binary: Option<&mut Vec<u8>>) -> ResponseOutput {
    let OutputTensor { name, shape, data } = tensor;
    let datatype = datatype(&data);
    let (parameters, data) = match binary {
        Some(tail) => {
            let before = tail.len();
            super::raw::write(&data, tail);
            (Some(OutputParameters { binary_data_size: tail.len() - before }), None)
        }
        None => {
            let data = match data {
                TensorData::Float(cells) => ResponseData::Float(cells),
                TensorData::Int(cells) => ResponseData::Int(cells),
                TensorData::Bool(cells) => ResponseData::Bool(cells),
                TensorData::Text(cells) => ResponseData::Text(cells),
            };
            (None, Some(data))
        }
    };
    ResponseOutput { name, shape, datatype, parameters, data }
}
