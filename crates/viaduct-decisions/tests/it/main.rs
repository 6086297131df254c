//! The log on a real disk.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod damage;
mod full_disk;
mod kill;
mod read;
mod support;
