//! The store's contract, run on SQLite and on PostgreSQL.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails should stop there")]

mod chains;
mod decisions;
mod engine;
mod evidence;
mod kill;
mod mlflow;
mod mlflow_found;
mod mlflow_search;
mod opening;
mod people;
mod projects;
mod queue;
mod serving;
mod statements;
mod throughput;
mod world;
