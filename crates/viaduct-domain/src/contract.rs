//! The contract of an endpoint's input.
