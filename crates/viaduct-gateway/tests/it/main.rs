//! The corridor with a real model, a real log and a real disk.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod assignment;
mod modes;
mod python;
mod refusals;
mod restart;
mod switch;
mod tensors;
mod world;
