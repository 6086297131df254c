//! REST over the use cases: native, MLflow and Open Inference Protocol routes.
//!
//! Bytes become domain types here and nowhere below; every route is mounted together with the row
//! of the authorisation table that guards it.

pub mod authenticate;
pub mod body;
pub mod extract;
pub mod guard;
pub mod inline;
mod lane;
pub mod mlflow;
mod native;
pub mod oip;
pub mod openapi;
pub mod predict;
pub mod problem;
mod router;
pub mod routes;
mod scoring;
mod trace;
pub use lane::{Grpc, grpc};
pub use native::metrics_page;
pub use router::{Pages, grpc_router, router, rows};

#[cfg(test)]
mod serving_tests;
