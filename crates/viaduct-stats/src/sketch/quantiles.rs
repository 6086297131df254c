//! Approximate quantiles of a stream.

use datasketches::tdigest::TDigestMut;

use crate::insufficient::{Insufficient, Reason, require};

/// Compression: error in rank is a small fraction of 1 % in the middle and far less in the tails.
const COMPRESSION: u16 = 200;

/// A t-digest (Dunning; Apache DataSketches). Values that are not finite are left out.
#[derive(Debug, Clone)]
pub struct Quantiles {
    digest: TDigestMut,
}

impl Quantiles {
    /// Starts without values.
    ///
    /// # Errors
    /// Never with the compression used here; the sketch's constructor may refuse one.
    pub fn new() -> Result<Self, Insufficient> {
        let rule = "one that the sketch accepts";
        let refused = Reason::OutOfRange { what: "compression", rule };
        TDigestMut::new(COMPRESSION).map(|digest| Self { digest }).map_err(|_| refused.into())
    }

    /// Adds one value.
    pub fn update(&mut self, value: f64) {
        if value.is_finite() {
            self.digest.update(value);
        }
    }

    /// Adds the values of another replica.
    pub fn merge(&mut self, other: &Self) {
        self.digest.merge(&other.digest);
    }

    /// Values added.
    pub fn count(&self) -> u64 {
        self.digest.total_weight()
    }

    /// Approximate quantile.
    ///
    /// # Errors
    /// No values, or `q` outside of [0, 1].
    pub fn quantile(&mut self, q: f64) -> Result<f64, Insufficient> {
        require((0.0..=1.0).contains(&q), "quantile", "between 0 and 1")?;
        let empty = Reason::TooFewRows { what: "values", needed: 1, got: 0 };
        self.digest.quantile(q).ok().flatten().ok_or_else(|| empty.into())
    }

    /// The sketch as bytes (Apache DataSketches' format).
    pub fn to_bytes(&mut self) -> Vec<u8> {
        self.digest.serialize()
    }

    /// Reads what [`Quantiles::to_bytes`] wrote.
    ///
    /// # Errors
    /// Bytes that are not such a sketch.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Insufficient> {
        let refused = Reason::OutOfRange { what: "bytes", rule: "a quantile sketch" };
        TDigestMut::deserialize(bytes).map(|digest| Self { digest }).map_err(|_| refused.into())
    }
}
