//! Bounded summaries of streams, mergeable across replicas and serialisable.
//!
//! Counters on fixed edges are the hot path: they compare live traffic with a reference, and their
//! bins are fixed at deployment. Quantiles (t-digest), distinct counts (HyperLogLog) and heavy
//! hitters (Misra-Gries with purging) are Apache DataSketches behind our own types.

mod counter;
mod distinct;
mod heavy;
mod quantiles;

pub use counter::{BinCounter, CategoryCounter};
pub use distinct::Distinct;
pub use heavy::{HeavyHitters, Hitter};
pub use quantiles::Quantiles;
