//! The binary tensor extension: cells as little-endian bytes, in row order, and back.
//!
//! REST and gRPC (`raw_input_contents`) use the same form: `BYTES` cells are a length of four
//! bytes and the text, `BOOL` cells are one byte.

use half::{bf16, f16};
use viaduct_base::Refusal;
use viaduct_gateway::{InputTensor, TensorData};

use super::tensor::{cells_of, declined, input};

/// Reads one tensor's bytes.
///
/// # Errors
/// `invalid-input` that names the tensor: a datatype that is none, a length that is not what the
/// shape says, a text that is not UTF-8, a number that does not fit.
pub fn read(
    name: String,
    datatype: &str,
    shape: Vec<i64>,
    bytes: &[u8],
) -> Result<InputTensor, Refusal> {
    let data = match datatype {
        "BYTES" => texts(bytes).map_err(|what| declined(&name, &what))?,
        _ => {
            let width = width(datatype).map_err(|what| declined(&name, &what))?;
            let cells = cells_of(&name, &shape)?;
            if cells.checked_mul(width) != Some(bytes.len()) {
                let what = format!(
                    "shape {shape:?} of {datatype} takes {cells} times {width} bytes, and there \
                     are {}",
                    bytes.len()
                );
                return Err(declined(&name, &what));
            }
            numbers(datatype, bytes).map_err(|what| declined(&name, &what))?
        }
    };
    input(name, shape, data)
}

fn width(datatype: &str) -> Result<usize, String> {
    Ok(match datatype {
        "BOOL" | "INT8" | "UINT8" => 1,
        "FP16" | "BF16" | "INT16" | "UINT16" => 2,
        "FP32" | "INT32" | "UINT32" => 4,
        "FP64" | "INT64" | "UINT64" => 8,
        other => return Err(super::tensor::no_datatype(other)),
    })
}

/// How many cells of this datatype the bytes are; `None` where they are not a whole number.
pub(super) fn cells_in(datatype: &str, bytes: &[u8]) -> Option<i64> {
    if datatype == "BYTES" {
        let TensorData::Text(cells) = texts(bytes).ok()? else { return None };
        return i64::try_from(cells.len()).ok();
    }
    let width = width(datatype).ok().filter(|width| bytes.len().is_multiple_of(*width))?;
    i64::try_from(bytes.len() / width).ok()
}

fn each<const N: usize, T>(bytes: &[u8], cell: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|word| cell(*word)).collect()
}

fn numbers(datatype: &str, bytes: &[u8]) -> Result<TensorData, String> {
    Ok(match datatype {
        "FP64" => TensorData::Float(each(bytes, f64::from_le_bytes)),
        "FP32" => TensorData::Float(each(bytes, |w| f32::from_le_bytes(w).into())),
        "FP16" => TensorData::Float(each(bytes, |w| f16::from_le_bytes(w).into())),
        "BF16" => TensorData::Float(each(bytes, |w| bf16::from_le_bytes(w).into())),
        "INT64" => TensorData::Int(each(bytes, i64::from_le_bytes)),
        "INT32" => TensorData::Int(each(bytes, |w| i32::from_le_bytes(w).into())),
        "INT16" => TensorData::Int(each(bytes, |w| i16::from_le_bytes(w).into())),
        "INT8" => TensorData::Int(each(bytes, |w| i8::from_le_bytes(w).into())),
        "UINT32" => TensorData::Int(each(bytes, |w| u32::from_le_bytes(w).into())),
        "UINT16" => TensorData::Int(each(bytes, |w| u16::from_le_bytes(w).into())),
        "UINT8" => TensorData::Int(each(bytes, |[byte]: [u8; 1]| byte.into())),
        "UINT64" => {
            let words = each(bytes, u64::from_le_bytes);
            TensorData::Int(super::tensor::signed(&words)?)
        }
        "BOOL" => match bytes.iter().position(|byte| *byte > 1) {
            None => TensorData::Bool(bytes.iter().map(|byte| *byte == 1).collect()),
            Some(place) => return Err(format!("cell {place} is neither 0 nor 1 (BOOL)")),
        },
        other => return Err(super::tensor::no_datatype(other)),
    })
}

fn texts(mut bytes: &[u8]) -> Result<TensorData, String> {
    let mut cells = Vec::new();
    while !bytes.is_empty() {
        let cut = || {
            format!("cell {} is cut off (BYTES: four bytes of length, then the text)", cells.len())
        };
        let length = bytes.split_off(..4).ok_or_else(cut)?;
        let length = length.first_chunk().map_or(0, |word| u32::from_le_bytes(*word)) as usize;
        let text = bytes.split_off(..length).ok_or_else(cut)?;
        let text = std::str::from_utf8(text)
            .map_err(|_| format!("cell {} is not UTF-8 (BYTES)", cells.len()))?;
        cells.push(Some(text.to_owned()));
    }
    Ok(TensorData::Text(cells))
}

/// The bytes of an output; null is NaN, zero or an empty text.
pub fn write(data: &TensorData, out: &mut Vec<u8>) {
    match data {
        TensorData::Float(cells) => cells.iter().for_each(|n| out.extend(n.to_le_bytes())),
        TensorData::Int(cells) => cells.iter().for_each(|n| out.extend(n.to_le_bytes())),
        TensorData::Bool(cells) => out.extend(cells.iter().map(|flag| u8::from(*flag))),
        TensorData::Text(cells) => {
            for text in cells {
                let text = text.as_deref().unwrap_or_default();
                out.extend((text.len() as u32).to_le_bytes());
                out.extend(text.as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(datatype: &str, bytes: &[u8]) -> Vec<f64> {
        let width = width(datatype).unwrap();
        let shape = vec![(bytes.len() / width) as i64];
        match read("x".into(), datatype, shape, bytes).unwrap().data {
            TensorData::Float(cells) => cells,
            TensorData::Int(cells) => cells.into_iter().map(|n| n as f64).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_number() {
        assert_eq!(floats("FP64", &(-1.25f64).to_le_bytes()), [-1.25]);
        assert_eq!(floats("FP32", &0.1f32.to_le_bytes()), [f64::from(0.1f32)]);
        assert_eq!(floats("FP16", &[0x00, 0x3c, 0x00, 0xc0]), [1.0, -2.0]);
        assert_eq!(floats("BF16", &[0x80, 0x3f]), [1.0]);
        assert_eq!(floats("INT8", &[0xff, 0x7f]), [-1.0, 127.0]);
        assert_eq!(floats("UINT8", &[0xff]), [255.0]);
        assert_eq!(floats("INT16", &(-300i16).to_le_bytes()), [-300.0]);
        assert_eq!(floats("UINT16", &65_535u16.to_le_bytes()), [65_535.0]);
        assert_eq!(floats("INT32", &(-70_000i32).to_le_bytes()), [-70_000.0]);
        assert_eq!(floats("UINT32", &u32::MAX.to_le_bytes()), [f64::from(u32::MAX)]);
        assert_eq!(floats("INT64", &(-5i64).to_le_bytes()), [-5.0]);
        assert_eq!(floats("UINT64", &7u64.to_le_bytes()), [7.0]);
    }

    #[test]
    fn what_is_written_is_read() {
        for (datatype, data) in [
            ("FP64", TensorData::Float(vec![1.5, -2.0])),
            ("INT64", TensorData::Int(vec![-1, i64::MAX])),
            ("BOOL", TensorData::Bool(vec![true, false])),
            ("BYTES", TensorData::Text(vec![Some("grün".into()), Some(String::new())])),
        ] {
            let mut bytes = Vec::new();
            write(&data, &mut bytes);
            let back = read("x".into(), datatype, vec![2, 1], &bytes).unwrap();
            assert_eq!(back.data, data);
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let refused = |datatype: &str, shape: &[i64], bytes: &[u8]| {
            read("age".into(), datatype, shape.to_vec(), bytes).unwrap_err().detail
        };
        for (datatype, shape, bytes, said) in [
            ("FP32", &[2][..], &[0; 4][..], "there are 4"),
            ("FP32", &[-1], &[0; 4], "shape [-1]"),
            ("FP32", &[i64::MAX, 4], &[0; 4], "shape"),
            ("FP8", &[1], &[0], "`FP8` is no datatype"),
            ("FP32", &[1], &f32::INFINITY.to_le_bytes(), "cell 0 is infinite"),
            ("UINT64", &[1], &u64::MAX.to_le_bytes(), "does not fit"),
            ("BOOL", &[1], &[7], "neither 0 nor 1"),
            ("BYTES", &[1], &[9, 0, 0, 0, b'x'], "cut off"),
            ("BYTES", &[1], &[1, 0, 0], "cut off"),
            ("BYTES", &[1], &[1, 0, 0, 0, 0xff], "not UTF-8"),
            ("BYTES", &[2], &[1, 0, 0, 0, b'x'], "and 1 cells"),
        ] {
            let detail = refused(datatype, shape, bytes);
            assert!(detail.contains(said) && detail.contains("`age`"), "{said}: {detail}");
        }
    }
}
