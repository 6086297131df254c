//! Approximate number of distinct values of a stream.

use std::hash::Hash;

use datasketches::hll::{HllSketch, HllType, HllUnion};

use crate::insufficient::{Insufficient, Reason};

/// 2^12 registers: a standard error of about 1.6 %, in 4 KiB.
const LG_REGISTERS: u8 = 12;

/// A HyperLogLog counter (Apache DataSketches).
#[derive(Debug, Clone)]
pub struct Distinct {
    sketch: HllSketch,
}

fn refused(what: &'static str) -> Insufficient {
    Reason::OutOfRange { what, rule: "one that the sketch accepts" }.into()
}

impl Distinct {
    /// Starts without values.
    ///
    /// # Errors
    /// Never with the size used here; the sketch's constructor may refuse one.
    pub fn new() -> Result<Self, Insufficient> {
        HllSketch::new(LG_REGISTERS, HllType::Hll8)
            .map(|sketch| Self { sketch })
            .map_err(|_| refused("registers"))
    }

    /// Adds one value.
    pub fn update(&mut self, value: impl Hash) {
        self.sketch.update(value);
    }

    /// Adds the values of another replica.
    ///
    /// # Errors
    /// Never with the size used here; the union's constructor may refuse one.
    pub fn merge(&mut self, other: &Self) -> Result<(), Insufficient> {
        let mut union = HllUnion::new(LG_REGISTERS).map_err(|_| refused("registers"))?;
        union.update(&self.sketch);
        union.update(&other.sketch);
        self.sketch = union.to_sketch(HllType::Hll8);
        Ok(())
    }

    /// Approximate number of distinct values.
    pub fn estimate(&self) -> f64 {
        self.sketch.estimate()
    }

    /// The sketch as bytes (Apache DataSketches' format).
    pub fn to_bytes(&self) -> Vec<u8> {
        self.sketch.serialize()
    }

    /// Reads what [`Distinct::to_bytes`] wrote.
    ///
    /// # Errors
    /// Bytes that are not such a sketch.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Insufficient> {
        HllSketch::deserialize(bytes).map(|sketch| Self { sketch }).map_err(|_| refused("bytes"))
    }
}
