//! A test world: throw-away servers and what tests share. For tests only.

mod postgres;
#[cfg(feature = "world")]
mod world;

pub use postgres::{MissingPostgres, PgCluster};
#[cfg(feature = "world")]
pub use world::{Answer, As, World};
