//! Rows that outlive the process, on SQLite and on PostgreSQL, by one SQL text.
//!
//! A use case opens a transaction with [`Store::write`] or [`Store::read`] and calls the free
//! functions of the noun modules with the [`Tx`] it gets. Statements are declared with
//! [`statement!`], registered, and prepared on both engines by one test.
//!
//! Invariant: nothing outside this crate names a driver, and no noun function begins or ends a
//! transaction. The crate knows columns and JSON text; what they mean is the domain's business.

mod columns;
mod config;
mod engine;
mod error;
mod foresight;
mod lock;
mod migrate;
mod queue;
mod scope;
mod statement;
mod store;
mod tx;
mod value;
mod writer;

pub mod audit;
pub mod binding;
pub mod chain;
pub mod consumer;
pub mod contract;
pub mod endpoint;
pub mod estimate;
pub mod evaluation;
pub mod event;
pub mod fact;
pub mod foreign;
pub mod job;
pub mod kpi;
pub mod kpi_history;
pub mod kpi_point;
pub mod mlflow;
pub mod outcome;
pub mod project;
pub mod review;
pub mod rollout;
pub mod schedule;
pub mod section;
pub mod serving;
pub mod session;
pub mod setting;
pub mod signature;
pub mod token;
pub mod trial;
pub mod user;
pub mod waiver;
pub mod workspace;

#[doc(hidden)]
pub use inventory;

pub use config::{DatabaseConfig, DatabaseUrl};
pub use engine::Cells;
pub use error::{OpenError, StoreError};
pub use foresight::{Foresight, Question};
pub use lock::DataDirLock;
pub use scope::Scope;
pub use statement::{Reach, Registered, Statement, statements};
pub use store::{Store, StoreStats};
pub use tx::{Dialect, Tx};
pub use value::{Row, Value};
