//! Runs the queue and the schedules, and measures the facts that gates read.

pub mod evidence;
pub mod measure;
