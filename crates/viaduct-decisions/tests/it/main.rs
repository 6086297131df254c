//! The log on a real disk.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod batch;
mod damage;
mod erase;
mod expire;
mod full_disk;
mod kill;
mod packed;
mod read;
mod support;
