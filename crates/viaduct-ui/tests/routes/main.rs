//! The pages over a real application: what a browser sees, and what it may send.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod login;
mod pages;
mod review;
mod tracking;
mod world;
