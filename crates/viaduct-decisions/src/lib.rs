//! The decision log: append-only segment files that own the format of a decision on disk.
//!
//! [`DecisionLog::append`] returns once the rows are in the operating system's hands (or on the
//! disk, with [`Durability::Fsync`]), so kill -9 loses nothing that was answered. Opening cuts a
//! torn tail and reports it; a damaged row is found by its CRC and named with segment and offset.
//! Invariant: a row is never changed; a row that was half written is never read as a row.
//! It does not know models, contracts or HTTP: inputs and outputs are JSON values here.

mod disk_index;
mod error;
mod frame;
mod log;
mod memory_index;
mod recovery;
mod row;
mod scan;
mod segment;
mod sync;
mod write;

pub use error::LogError;
pub use log::{DecisionLog, Durability, LogOptions, LogStats};
pub use memory_index::DayCount;
pub use recovery::{Corruption, RecoveryReport, TornTail};
pub use row::{DecisionRow, Flag, Record, RefusedRow, RowError};
pub use scan::Scan;
