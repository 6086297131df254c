//! Remote commands: they speak to a server over HTTP and print for people or as JSON.
//!
//! Two steps as everywhere: [`Remote`] is what was said on the command line; a [`Session`] holds
//! where to speak, as whom, and how to print. The crate reads no environment variable and knows
//! nothing of stores, gates or statistics: the server decides, this prints.
//!
//! Invariant: standard output is data; everything said to a person goes to standard error.

mod apply;
mod args;
mod client;
mod decisions;
mod failure;
mod gates;
mod gc;
mod manifest;
mod measure;
mod nouns;
mod parity;
mod people;
mod printer;
mod problem;
mod rollout;
mod serving;
mod table;

pub use args::Remote;
pub use client::{Connection, Identity};
pub use failure::{Failure, exit};
pub use printer::{Format, Printer};

use client::Client;

/// What a command works with.
pub struct Session<'a> {
    client: Client,
    printer: &'a mut Printer,
}

/// Runs one remote command.
///
/// # Errors
/// A [`Failure`], whose [`Failure::code`] is the exit code.
pub fn run(command: Remote, connection: Connection, printer: &mut Printer) -> Result<(), Failure> {
    let mut session = Session { client: Client::new(connection)?, printer };
    command.run(&mut session)
}
