//! JSON tensor data straight into typed cells: nested or flat, without a value tree in between.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// One cell of a JSON tensor.
pub trait Cell: Sized {
    /// What null is; `None` where null is no cell of this type.
    fn null() -> Option<Self> {
        None
    }
    /// A number with a fraction.
    fn float(_: f64) -> Option<Self> {
        None
    }
    /// A whole number.
    fn whole(_: i64) -> Option<Self> {
        None
    }
    /// A boolean.
    fn flag(_: bool) -> Option<Self> {
        None
    }
    /// A text.
    fn text(_: &str) -> Option<Self> {
        None
    }
}

impl Cell for f64 {
    fn null() -> Option<Self> {
        Some(f64::NAN)
    }
    fn float(number: f64) -> Option<Self> {
        Some(number)
    }
    fn whole(number: i64) -> Option<Self> {
        Some(number as f64)
    }
}

impl Cell for i64 {
    fn whole(number: i64) -> Option<Self> {
        Some(number)
    }
}

impl Cell for bool {
    fn flag(flag: bool) -> Option<Self> {
        Some(flag)
    }
}

impl Cell for Option<String> {
    fn null() -> Option<Self> {
        Some(None)
    }
    fn text(text: &str) -> Option<Self> {
        Some(Some(text.to_owned()))
    }
}

/// All cells in row order: rows of rows are one list, the shape says how it folds.
///
/// # Errors
/// The place of the first cell that is not of this type.
pub fn flatten<T: Cell>(data: &RawValue, expected: usize) -> Result<Vec<T>, usize> {
    // Why bounded by the text: a shape may claim any number of cells, a cell takes two bytes.
    let mut cells = Vec::with_capacity(expected.min(data.get().len() / 2 + 1));
    let mut reader = serde_json::Deserializer::from_str(data.get());
    match Flat(&mut cells).deserialize(&mut reader) {
        Ok(()) => Ok(cells),
        Err(_) => Err(cells.len()),
    }
}

struct Flat<'v, T>(&'v mut Vec<T>);

impl<T> Flat<'_, T> {
    fn push<E: Error>(self, cell: Option<T>) -> Result<(), E> {
        self.0.push(cell.ok_or_else(|| E::custom("not a cell of this type"))?);
        Ok(())
    }
}

impl<'de, T: Cell> DeserializeSeed<'de> for Flat<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de, T: Cell> Visitor<'de> for Flat<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cell or a list of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Flat(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.push(T::null())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.push(T::float(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.push(T::whole(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.push(match i64::try_from(number) {
            Ok(number) => T::whole(number),
            Err(_) => T::float(number as f64),
        })
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<(), E> {
        self.push(T::flag(flag))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.push(T::text(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Cell>(json: &str) -> Result<Vec<T>, usize> {
        flatten(serde_json::from_str::<&RawValue>(json).unwrap(), usize::MAX)
    }

    #[test]
    fn nested_is_flat() {
        assert_eq!(read::<f64>("[[1, 2.5], [3, -4e2]]"), Ok(vec![1.0, 2.5, 3.0, -400.0]));
        assert_eq!(read::<i64>("[1, [[2]], []]"), Ok(vec![1, 2]));
        assert_eq!(read::<bool>("true"), Ok(vec![true]));
        let texts = vec![Some("a\"b".to_owned()), None];
        assert_eq!(read::<Option<String>>(r#"["a\"b", null]"#), Ok(texts));
        assert!(read::<f64>("[null]").unwrap()[0].is_nan());
    }

    #[test]
    fn the_first_wrong_cell_is_named() {
        assert_eq!(read::<f64>(r#"[1, "x"]"#), Err(1));
        assert_eq!(read::<f64>("[1, 1e999]"), Err(1));
        assert_eq!(read::<i64>("[1, 2, null]"), Err(2));
        assert_eq!(read::<i64>("[9223372036854775808]"), Err(0));
        assert_eq!(read::<i64>("[1.5]"), Err(0));
        assert_eq!(read::<bool>("[1]"), Err(0));
        assert_eq!(read::<Option<String>>("[{}]"), Err(0));
        assert!(read::<f64>(&("[".repeat(500) + &"]".repeat(500))).is_err());
    }
}
