//! Tasks of this repository: `cargo xtask setup|test|demo|stop|bench|check`.
//!
//! The Makefile calls these. They know programs and folders, and none of the product's crates, so
//! that they build in seconds.

mod bench;
mod check;
mod demo;
mod run;
mod server;
mod setup;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What a task answers; the text names what failed and the mend.
pub(crate) type Outcome<T = ()> = Result<T, String>;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Tasks of this repository")]
struct Xtask {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Bring in what tests and demo need: PostgreSQL, Chromium, a Python environment
    Setup,
    /// Run every test: Rust, then the built binary with real clients and a browser
    Test {
        /// Only the Rust tests
        #[arg(long)]
        no_e2e: bool,
    },
    /// Run the example on a new server and leave the server running
    Demo {
        /// Replay this file instead of generated people
        #[arg(long, value_name = "CSV")]
        data: Option<PathBuf>,
        /// Where the server answers
        #[arg(long, default_value_t = 7878)]
        port: u16,
    },
    /// Stop the server of the demo
    Stop,
    /// Measure a release build
    Bench {
        #[command(subcommand)]
        what: bench::Bench,
    },
    /// What a commit must pass: format, lints, law tests
    Check,
}

fn main() -> ExitCode {
    let done = match Xtask::parse().task {
        Task::Setup => setup::setup(setup::Wanted::Everything),
        Task::Test { no_e2e } => test::test(no_e2e),
        Task::Demo { data, port } => demo::demo(data.as_deref(), port),
        Task::Stop => demo::stop(),
        Task::Bench { what } => bench::bench(&what),
        Task::Check => check::check(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("xtask: {text}");
            ExitCode::FAILURE
        }
    }
}
