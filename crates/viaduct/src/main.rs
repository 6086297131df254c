//! The viaduct binary: reads what was said (command line, environment, file), gives it its meaning
//! and hands it down; wires the rooms together and is the only place that knows them all.
//!
//! Invariant: the environment is read here and nowhere below.

mod audit;
mod backup;
mod calc;
mod cli;
mod config;
mod data_dir;
mod doctor;
mod exchange;
mod files;
mod listen;
mod logging;
mod mlflow_env;
mod mlflow_ui;
mod runtime;
mod server;
mod telemetry_env;
mod wiring;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use viaduct_base::Secret;
use viaduct_cli::{Connection, Failure, Format, Identity, Printer};

use cli::{AuditVerb, Cli, Command, ConfigVerb, LocalArgs, SetupWhat};
use config::{Config, Detail, Inputs, Settings};
use exchange::{ExportWhat, ImportWhat};

/// Why: a request is a few hundred small pieces of memory, taken on one thread and given back on
/// another, where the system's allocator waits for locks.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let colour = std::io::stdout().is_terminal()
        && std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none();
    let format = cli.output.unwrap_or(Format::Table);
    let mut printer =
        Printer::new(Box::new(std::io::stdout()), Box::new(std::io::stderr()), format, colour);
    match run(cli, &mut printer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print(&mut printer);
            ExitCode::from(failure.code())
        }
    }
}

fn run(cli: Cli, printer: &mut Printer) -> Result<(), Failure> {
    match cli.command {
        Command::Server(args) => {
            let config = check(&settings(&args.local, &args.flags())?)?;
            logging::start(&config)?;
            server::run(config)
        }
        Command::Doctor(local) => doctor::run(&check(&settings(&local, &local.flags())?)?, printer),
        Command::Config { verb: ConfigVerb::Show { local, explain } } => {
            let settings = settings(&local, &local.flags())?;
            let detail = if explain { Detail::Explained } else { Detail::Values };
            printer.print(&config::show(&settings, detail))?;
            check(&settings).map(|_| ())
        }
        Command::Backup { local, to } => {
            let config = check(&settings(&local, &local.flags())?)?;
            backup::backup(&config, &to, printer)
        }
        Command::Restore { local, from } => {
            let config = check(&settings(&local, &local.flags())?)?;
            backup::restore(&config, &from, printer)
        }
        Command::Import { what: ImportWhat::Mlflow { local, from } } => {
            exchange::bring(&check(&settings(&local, &local.flags())?)?, &from, printer)
        }
        Command::Export { what: ExportWhat::Mlflow { local, to } } => {
            exchange::take(&check(&settings(&local, &local.flags())?)?, &to, printer)
        }
        Command::Audit { verb: AuditVerb::Verify(local) } => {
            audit::verify(&check(&settings(&local, &local.flags())?)?, printer)
        }
        Command::Setup { what: SetupWhat::Runtime { local, python } } => {
            let config = check(&settings(&local, &local.flags())?)?;
            runtime::setup(&config, &python, printer)
        }
        Command::Calc(args) => calc::run(&args, printer),
        Command::Remote(remote) => viaduct_cli::run(remote, connection(cli.server), printer),
    }
}

fn connection(server: String) -> Connection {
    let token = std::env::var("VIADUCT_TOKEN").unwrap_or_default();
    let token = token.trim();
    let identity = if token.is_empty() {
        Identity::Anonymous
    } else {
        Identity::Token(Secret::new(token.to_owned()))
    };
    Connection { server, identity }
}

fn settings(
    local: &LocalArgs,
    flags: &[(&'static str, &'static str, String)],
) -> Result<Settings, Failure> {
    let directory = std::env::current_dir()
        .map_err(|e| Failure::Usage(format!("the working directory cannot be found: {e}")))?;
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("VIADUCT__"))
        .collect();
    let inputs =
        Inputs { config_file: local.config.clone(), flags: flags.to_vec(), environment, directory };
    Settings::load(&inputs).map_err(|error| Failure::Usage(error.to_string()))
}

fn check(settings: &Settings) -> Result<Config, Failure> {
    Config::check(settings).map_err(|error| Failure::Usage(error.to_string()))
}
