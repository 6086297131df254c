//! What travels: JSON shapes of requests and answers, as they are on the wire.
//!
//! Raw on purpose: types here say what was said; what it means is decided where it is used.

pub mod mlflow;
pub mod oip;
pub mod predict;
