//! The corridor with a real model, a real log and a real disk.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod assignment;
mod fallback;
mod inputs;
mod kill;
mod limits;
mod many;
mod metrics;
mod modes;
mod python;
mod refusals;
mod remote;
mod restart;
mod rollout;
mod spared;
mod switch;
mod tensors;
mod world;
