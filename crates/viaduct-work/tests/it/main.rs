//! Evidence and measurements on made cases whose truth is known.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod cases;
mod measure;
mod shadow;
mod trial;
mod world;
