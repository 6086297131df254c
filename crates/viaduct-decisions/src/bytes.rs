//! Little-endian bytes out and in; a reader answers `None` where bytes are short.

use std::sync::Arc;

use viaduct_domain::columns::{Cells, Column, Columns, NamedOutput, Outputs, Probabilities};

pub(crate) fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Length, then the bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(out, bytes.len() as u32);
    out.extend_from_slice(bytes);
}

/// Reads what was put.
#[derive(Debug)]
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        self.0.split_off(..length)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn u128(&mut self) -> Option<u128> {
        self.array().map(u128::from_le_bytes)
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    /// A count of things that take at least `each` bytes: a damaged one must not reserve memory.
    pub(crate) fn count(&mut self, each: usize) -> Option<usize> {
        let count = self.u32()? as usize;
        (count.checked_mul(each)? <= self.0.len()).then_some(count)
    }
}

const F32: u8 = 0;
const F64: u8 = 1;
const I64: u8 = 2;
const BOOL: u8 = 3;
const TEXT: u8 = 4;
/// 64-bit floats that are all exactly 32-bit ones: a model's probabilities nearly always are.
const F64_NARROW: u8 = 5;
/// Whole numbers that fit 32 bits.
const I64_NARROW: u8 = 6;
const HAS_NULLS: u8 = 0x80;

fn put_floats(out: &mut Vec<u8>, cells: &[f64]) {
    for cell in cells {
        out.extend_from_slice(&cell.to_le_bytes());
    }
}

fn is_narrow(cells: &[f64]) -> bool {
    cells.iter().all(|cell| f64::from(*cell as f32).to_bits() == cell.to_bits())
}

pub(crate) fn put_column(out: &mut Vec<u8>, column: &Column) {
    let mark = if column.nulls.is_some() { HAS_NULLS } else { 0 };
    let tag = match &column.cells {
        Cells::F32(_) => F32,
        Cells::F64(cells) if is_narrow(cells) => F64_NARROW,
        Cells::F64(_) => F64,
        Cells::I64(cells) if cells.iter().all(|n| i32::try_from(*n).is_ok()) => I64_NARROW,
        Cells::I64(_) => I64,
        Cells::Bool(_) => BOOL,
        Cells::Text(_) => TEXT,
    };
    out.push(tag | mark);
    put_u32(out, column.len() as u32);
    match &column.cells {
        Cells::F32(cells) => cells.iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes())),
        Cells::F64(cells) if tag == F64_NARROW => {
            cells.iter().for_each(|n| out.extend_from_slice(&(*n as f32).to_le_bytes()));
        }
        Cells::F64(cells) => put_floats(out, cells),
        Cells::I64(cells) if tag == I64_NARROW => {
            cells.iter().for_each(|n| out.extend_from_slice(&(*n as i32).to_le_bytes()));
        }
        Cells::I64(cells) => cells.iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes())),
        Cells::Bool(cells) => out.extend(cells.iter().map(|flag| u8::from(*flag))),
        Cells::Text(cells) => cells.iter().for_each(|text| put_bytes(out, text.as_bytes())),
    }
    if let Some(nulls) = &column.nulls {
        put_u32(out, nulls.len() as u32);
        out.extend(nulls.iter().map(|null| u8::from(*null)));
    }
}

fn flags(from: &mut Cursor<'_>, count: usize) -> Option<Vec<bool>> {
    Some(from.take(count)?.iter().map(|byte| *byte != 0).collect())
}

pub(crate) fn column(from: &mut Cursor<'_>) -> Option<Column> {
    let tag = from.u8()?;
    let count = from.u32()? as usize;
    let words = |from: &mut Cursor<'_>, width: usize| {
        let bytes = from.take(count.checked_mul(width)?)?;
        Some(bytes.to_vec())
    };
    let cells = match tag & !HAS_NULLS {
        F32 => Cells::F32(
            words(from, 4)?.as_chunks().0.iter().map(|w| f32::from_le_bytes(*w)).collect(),
        ),
        F64 => Cells::F64(
            words(from, 8)?.as_chunks().0.iter().map(|w| f64::from_le_bytes(*w)).collect(),
        ),
        I64 => Cells::I64(
            words(from, 8)?.as_chunks().0.iter().map(|w| i64::from_le_bytes(*w)).collect(),
        ),
        F64_NARROW => Cells::F64(
            words(from, 4)?
                .as_chunks()
                .0
                .iter()
                .map(|w| f64::from(f32::from_le_bytes(*w)))
                .collect(),
        ),
        I64_NARROW => Cells::I64(
            words(from, 4)?
                .as_chunks()
                .0
                .iter()
                .map(|w| i64::from(i32::from_le_bytes(*w)))
                .collect(),
        ),
        BOOL => Cells::Bool(flags(from, count)?),
        TEXT => {
            if count.checked_mul(4)? > from.0.len() {
                return None;
            }
            Cells::Text((0..count).map(|_| from.text()).collect::<Option<_>>()?)
        }
        _ => return None,
    };
    let nulls = match tag & HAS_NULLS {
        0 => None,
        _ => {
            let count = from.count(1)?;
            Some(flags(from, count)?)
        }
    };
    Some(Column { cells, nulls })
}

pub(crate) fn put_columns(out: &mut Vec<u8>, columns: &Columns) {
    put_u32(out, columns.rows as u32);
    put_u32(out, columns.columns.len() as u32);
    for (name, column) in &columns.columns {
        put_bytes(out, name.as_bytes());
        put_column(out, column);
    }
}

pub(crate) fn columns(from: &mut Cursor<'_>) -> Option<Columns> {
    let rows = from.u32()? as usize;
    let count = from.count(9)?;
    let columns = (0..count)
        .map(|_| Some((Arc::from(from.text()?), column(from)?)))
        .collect::<Option<_>>()?;
    Some(Columns { rows, columns })
}

pub(crate) fn put_outputs(out: &mut Vec<u8>, outputs: &Outputs) {
    put_u32(out, outputs.rows as u32);
    out.push(u8::from(outputs.label.is_some()));
    if let Some(label) = &outputs.label {
        put_column(out, label);
    }
    out.push(u8::from(outputs.probabilities.is_some()));
    if let Some(Probabilities { classes, positive, values }) = &outputs.probabilities {
        put_u32(out, classes.len() as u32);
        classes.iter().for_each(|class| put_bytes(out, class.as_bytes()));
        put_u32(out, positive.map_or(u32::MAX, |class| class as u32));
        put_column(out, &Cells::F64(values.clone()).into());
    }
    out.push(u8::from(outputs.value.is_some()));
    if let Some(values) = &outputs.value {
        put_column(out, &Cells::F64(values.clone()).into());
    }
    put_u32(out, outputs.named.len() as u32);
    for NamedOutput { name, width, cells } in &outputs.named {
        put_bytes(out, name.as_bytes());
        put_u32(out, *width as u32);
        put_column(out, cells);
    }
}

fn floats(from: &mut Cursor<'_>) -> Option<Vec<f64>> {
    match column(from)?.cells {
        Cells::F64(cells) => Some(cells),
        _ => None,
    }
}

pub(crate) fn outputs(from: &mut Cursor<'_>) -> Option<Outputs> {
    let rows = from.u32()? as usize;
    let label = if from.u8()? == 1 { Some(column(from)?) } else { None };
    let probabilities = if from.u8()? == 1 {
        let count = from.count(4)?;
        let classes = (0..count).map(|_| from.text()).collect::<Option<Vec<_>>>()?.into();
        let positive = from.u32().filter(|class| *class != u32::MAX).map(|class| class as usize);
        Some(Probabilities { classes, positive, values: floats(from)? })
    } else {
        None
    };
    let value = if from.u8()? == 1 { Some(floats(from)?) } else { None };
    let count = from.count(13)?;
    let named = (0..count)
        .map(|_| {
            let name = Arc::from(from.text()?);
            Some(NamedOutput { name, width: from.u32()? as usize, cells: column(from)? })
        })
        .collect::<Option<_>>()?;
    Some(Outputs { rows, label, probabilities, value, named })
}
