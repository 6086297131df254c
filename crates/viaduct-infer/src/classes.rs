//! Reads a classifier's labels out of the ONNX file, because a plain probability tensor does not
//! carry them.
//!
//! Only the few protobuf fields that hold labels are looked at: `classlabels_*` attributes of
//! `ai.onnx.ml` nodes, and the `classes` constant that skl2onnx writes for other classifiers.

use serde_json::Value;

/// The labels in the order of the probability columns, or `None` when the file does not say.
pub(crate) fn labels(onnx: &[u8], width: usize) -> Option<Vec<Value>> {
    let graph = Fields(onnx).find_map(|(number, field)| match field {
        Field::Bytes(bytes) if number == 7 => Some(bytes),
        _ => None,
    })?;
    let mut from_nodes = None;
    let mut from_constant = None;
    for (number, field) in Fields(graph) {
        match (number, field) {
            (1, Field::Bytes(node)) => {
                from_nodes = node_labels(node).filter(|l| l.len() == width).or(from_nodes);
            }
            (5, Field::Bytes(tensor)) => {
                from_constant =
                    constant_labels(tensor).filter(|l| l.len() == width).or(from_constant);
            }
            _ => {}
        }
    }
    // Why the constant wins: in a vote of classifiers the nodes carry the members' own encodings.
    from_constant.or(from_nodes)
}

/// `NodeProto`: attributes are field 5; `AttributeProto`: name 1, ints 8, strings 9.
fn node_labels(node: &[u8]) -> Option<Vec<Value>> {
    for (number, field) in Fields(node) {
        let (5, Field::Bytes(attribute)) = (number, field) else { continue };
        let name = Fields(attribute).find_map(|(number, field)| match field {
            Field::Bytes(bytes) if number == 1 => Some(bytes),
            _ => None,
        });
        let (ints, strings) = match name {
            Some(b"classlabels_ints" | b"classlabels_int64s") => (Some(8), None),
            Some(b"classlabels_strings") => (None, Some(9)),
            _ => continue,
        };
        let labels = values(attribute, ints, strings);
        if !labels.is_empty() {
            return Some(labels);
        }
    }
    None
}

/// `TensorProto`: data type 2, int32_data 5, string_data 6, int64_data 7, name 8, raw_data 9.
fn constant_labels(tensor: &[u8]) -> Option<Vec<Value>> {
    let (mut is_classes, mut kind, mut raw) = (false, 0, None);
    for (number, field) in Fields(tensor) {
        match (number, field) {
            (8, Field::Bytes(name)) => is_classes = name.starts_with(b"classes"),
            (2, Field::Number(value)) => kind = value,
            (9, Field::Bytes(bytes)) => raw = Some(bytes),
            _ => {}
        }
    }
    if !is_classes {
        return None;
    }
    // Data types: 6 INT32, 7 INT64, 8 STRING.
    match (kind, raw) {
        (6, Some(raw)) => Some(
            raw.as_chunks::<4>().0.iter().map(|word| i32::from_le_bytes(*word).into()).collect(),
        ),
        (7, Some(raw)) => Some(
            raw.as_chunks::<8>().0.iter().map(|word| i64::from_le_bytes(*word).into()).collect(),
        ),
        (6, None) => Some(values(tensor, Some(5), None)),
        (7, None) => Some(values(tensor, Some(7), None)),
        (8, None) => Some(values(tensor, None, Some(6))),
        _ => None,
    }
}

/// All numbers of one repeated field (packed or not) or all texts of another.
fn values(message: &[u8], ints: Option<u64>, strings: Option<u64>) -> Vec<Value> {
    let mut found = Vec::new();
    for (number, field) in Fields(message) {
        match field {
            Field::Number(value) if ints == Some(number) => found.push((value as i64).into()),
            Field::Bytes(mut packed) if ints == Some(number) => {
                while let Some(value) = varint(&mut packed) {
                    found.push((value as i64).into());
                }
            }
            Field::Bytes(text) if strings == Some(number) => {
                found.push(String::from_utf8_lossy(text).into_owned().into());
            }
            _ => {}
        }
    }
    found
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of one protobuf message; stops at the first byte that does not fit.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Field<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let tag = varint(&mut self.0)?;
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut self.0)?),
            1 => Field::Bytes(self.0.split_off(..8)?),
            2 => {
                let length = usize::try_from(varint(&mut self.0)?).ok()?;
                Field::Bytes(self.0.split_off(..length)?)
            }
            5 => Field::Bytes(self.0.split_off(..4)?),
            _ => return None,
        };
        Some((tag >> 3, field))
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_and_cut_messages_end_quietly() {
        for bytes in [&b""[..], &[0xff; 40], &[0x3a, 0x7f, 1, 2], &[0x3a, 2, 0x0a, 0x50]] {
            assert_eq!(labels(bytes, 2), None);
        }
    }
}
