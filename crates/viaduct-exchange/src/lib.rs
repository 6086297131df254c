//! Whole MLflow databases in and out: rows under their own ids, artifacts in place or copied.
//!
//! [`import`] reads the database of an MLflow 2.x or 3.x server; [`export`] fills an empty one that
//! a stock server opens. Neither changes what it reads.
//!
//! Invariant: an import adds what is missing and changes nothing that is there. So it may be cut
//! off at any moment and run again, and running it twice is running it once.

mod error;
mod export;
mod files;
mod import;
mod report;
mod source;

pub use error::ExchangeError;
pub use export::{Export, export};
pub use import::{Import, check_source, import};
pub use report::{Line, Report, Watch};
