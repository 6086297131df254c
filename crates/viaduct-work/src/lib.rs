//! Runs the queue and the schedules, and measures the facts that gates read.
//!
//! [`Worker`] claims jobs under a lease and comes back in through the application's door as the
//! platform itself. What a job computes is pure and lives in [`evidence`] and [`measure`].

pub mod evidence;
mod job;
pub mod measure;
mod ticker;
mod worker;

pub use worker::Worker;
