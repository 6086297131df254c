//! The decision log: append-only segment files that own the format of a decision on disk.
//!
//! [`DecisionLog::append`] returns once the rows are in the operating system's hands (or on the
//! disk, with [`Durability::Fsync`]), so kill -9 loses nothing that was answered. Opening cuts a
//! torn tail and reports it; a damaged row is found by its CRC and named with segment and offset.
//! [`DecisionLog::append_batch`] writes the rows of a request as one record of typed columns; the
//! readers give the same rows. Sealed segments are packed by a thread of their own.
//! Invariant: a row is never changed where it stands ([`DecisionLog::erase`] writes the segment
//! again); a row that was half written is never read as a row.
//! It does not know models, contracts or HTTP: inputs and outputs are values here.

mod batch;
mod batch_frame;
mod bytes;
mod disk_index;
mod error;
mod expire;
mod find;
mod frame;
mod gate;
mod log;
mod memory_index;
mod pack;
mod recovery;
mod rewrite;
mod row;
mod scan;
mod segment;
mod segments;
mod sync;
mod write;

pub use batch::{Answered, BatchHead, BatchRow, DecisionBatch, OutputAt, Way};
pub use error::LogError;
pub use expire::{Expiring, Expiry};
pub use log::{DecisionLog, Durability, LogOptions, LogStats, OnFull};
pub use memory_index::DayCount;
pub use recovery::{Corruption, RecoveryReport, TornTail};
pub use rewrite::{Fate, Rewritten};
pub use row::{BesideRow, DecisionRow, Flag, Record, RefusedRow, RowError};
pub use scan::Scan;
