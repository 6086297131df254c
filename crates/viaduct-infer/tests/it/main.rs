//! Models of scikit-learn through the real runtime, against what Python answers.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod cache;
mod parity;
mod python;
mod refusals;
