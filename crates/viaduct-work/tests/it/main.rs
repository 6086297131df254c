//! Evidence and measurements on made cases whose truth is known.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod cases;
mod measure;
mod shadow;
mod trial;
mod world;
