//! Every verb of the control plane: authorise, read, decide, write, commit. One folder a noun, one
//! file a verb; `grep promote` shows a feature from page to table.
//!
//! Invariant: only here does a transaction begin and end, and only [`App::authorise`] makes a
//! [`viaduct_store::Scope`].

pub mod alert;
mod app;
mod audit;
pub mod clock;
pub mod decision;
pub mod drill;
pub mod endpoint;
pub mod fact;
pub mod gate;
pub mod identity;
pub mod kpi;
pub mod mlflow;
pub mod outcome;
pub mod project;
pub mod rollout;
pub mod trial;

pub use app::{App, Parts, RemoteModel, Reproduce, Settings, is_away};
