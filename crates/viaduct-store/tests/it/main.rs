//! The store's contract, run on SQLite and on PostgreSQL.

mod chains;
mod decisions;
mod engine;
mod evidence;
mod kill;
mod opening;
mod people;
mod projects;
mod queue;
mod statements;
mod throughput;
mod world;
