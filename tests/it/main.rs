//! Tests of the whole house, in one binary: one module a subject.

#![cfg_attr(test, expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking"))]

mod apply;
mod authorisation;
mod expire;
mod gate;
mod gc;
mod project;
mod race;
mod tidy;
mod walk;
