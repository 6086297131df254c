//! A test world: throw-away servers and what tests share. For tests only.

mod postgres;

pub use postgres::{MissingPostgres, PgCluster};
