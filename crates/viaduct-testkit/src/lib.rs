//! A test world: throw-away servers and what tests share. For tests only.

// Why: a world that cannot be made is a failed test, and says why.
#![expect(clippy::panic, reason = "for tests only")]

mod postgres;
#[cfg(feature = "world")]
mod world;

pub use postgres::{MissingPostgres, PgCluster};
#[cfg(feature = "world")]
pub use world::{Answer, As, World};
