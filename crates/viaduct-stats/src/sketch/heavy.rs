//! The most frequent values of a stream.

use datasketches::frequencies::{ErrorType, FrequentItemsSketch};

use crate::insufficient::{Insufficient, Reason};

/// Slots of the map: values above about 0.2 % of the stream are never missed.
const SLOTS: usize = 1024;

/// A frequent-items sketch (Misra-Gries with purging; Apache DataSketches).
#[derive(Debug, Clone)]
pub struct HeavyHitters {
    sketch: FrequentItemsSketch<String>,
}

/// A value with bounds of its count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hitter {
    /// The value.
    pub value: String,
    /// It was seen at least so often.
    pub at_least: u64,
    /// It was seen at most so often.
    pub at_most: u64,
}

fn refused(what: &'static str) -> Insufficient {
    Reason::OutOfRange { what, rule: "one that the sketch accepts" }.into()
}

impl HeavyHitters {
    /// Starts without values.
    ///
    /// # Errors
    /// Never with the size used here; the sketch's constructor may refuse one.
    pub fn new() -> Result<Self, Insufficient> {
        FrequentItemsSketch::new(SLOTS).map(|sketch| Self { sketch }).map_err(|_| refused("slots"))
    }

    /// Adds one value.
    pub fn update(&mut self, value: &str) {
        self.sketch.update(value.to_owned());
    }

    /// Adds the values of another replica.
    pub fn merge(&mut self, other: &Self) {
        self.sketch.merge(&other.sketch);
    }

    /// Values added.
    pub fn count(&self) -> u64 {
        self.sketch.total_weight()
    }

    /// Up to `n` values by their upper bound, most frequent first, ties by name; every value that is
    /// frequent enough is among them.
    pub fn top(&self, n: usize) -> Vec<Hitter> {
        let mut hitters: Vec<Hitter> = self
            .sketch
            .frequent_items(ErrorType::NoFalseNegatives)
            .into_iter()
            .map(|row| Hitter {
                value: row.item().clone(),
                at_least: row.lower_bound(),
                at_most: row.upper_bound(),
            })
            .collect();
        hitters.sort_by(|a, b| b.at_most.cmp(&a.at_most).then_with(|| a.value.cmp(&b.value)));
        hitters.truncate(n);
        hitters
    }

    /// The sketch as bytes (Apache DataSketches' format).
    pub fn to_bytes(&self) -> Vec<u8> {
        self.sketch.serialize()
    }

    /// Reads what [`HeavyHitters::to_bytes`] wrote.
    ///
    /// # Errors
    /// Bytes that are not such a sketch.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Insufficient> {
        FrequentItemsSketch::deserialize(bytes)
            .map(|sketch| Self { sketch })
            .map_err(|_| refused("bytes"))
    }
}
