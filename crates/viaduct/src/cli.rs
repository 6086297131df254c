//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use viaduct_cli::{Format, Remote};

use crate::exchange::{ExportWhat, ImportWhat};

/// Carries machine-learning models from pilot to department to enterprise, and lets a project
/// cross only on measured evidence.
#[derive(Debug, Parser)]
#[command(
    name = "viaduct",
    version,
    propagate_version = true,
    after_help = "Exit codes: 0 done, 1 declined, 2 wrong usage, 3 no server, 4 login demanded or \
                  forbidden, 5 the answer is no."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,

    /// The server that remote commands speak to
    #[arg(
        long,
        global = true,
        env = "VIADUCT_SERVER",
        default_value = "http://127.0.0.1:7878",
        value_name = "URL",
        help_heading = "Remote commands"
    )]
    pub server: String,

    /// How answers are printed
    #[arg(short, long, global = true, value_enum, help_heading = "Remote commands")]
    pub output: Option<Format>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in one process: API, pages, predictions and work
    Server(ServerArgs),
    /// Check this machine and the data directory; each line says how to mend what is wrong
    Doctor(LocalArgs),
    /// The configuration
    Config {
        #[command(subcommand)]
        verb: ConfigVerb,
    },
    /// Copy everything the server keeps into a new directory; the server may be running
    Backup {
        #[command(flatten)]
        local: LocalArgs,
        /// The new directory
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Bring a backup into a new data directory
    Restore {
        #[command(flatten)]
        local: LocalArgs,
        /// The directory that `backup` made
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
    },
    /// Bring in what another tracking server keeps; ids survive
    Import {
        #[command(subcommand)]
        what: ImportWhat,
    },
    /// Take out what another tracking server can keep; ids survive
    Export {
        #[command(subcommand)]
        what: ExportWhat,
    },
    /// The record of who did and measured what
    Audit {
        #[command(subcommand)]
        verb: AuditVerb,
    },
    /// Bring in what the server needs but does not contain
    Setup {
        #[command(subcommand)]
        what: SetupWhat,
    },
    /// Recompute a figure: one JSON object on standard input, one on standard output
    Calc(CalcArgs),
    #[command(flatten)]
    Remote(Remote),
}

/// What every command on this machine takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct LocalArgs {
    /// Directory that holds everything the server keeps
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// `postgres://user@host/database`; a SQLite file in the data directory without it
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// Configuration file; else ./viaduct.toml, else viaduct.toml in the data directory
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `server`.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    #[command(flatten)]
    pub local: LocalArgs,
    /// Address and port to answer on [default: 127.0.0.1:7878]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Address and port for gRPC alone; it also answers on the main port
    #[arg(long, value_name = "ADDRESS")]
    pub grpc_listen: Option<String>,
    /// `system`, or `simulated` on a data directory that is new
    #[arg(long, value_name = "KIND")]
    pub clock: Option<String>,
    /// Where a simulated clock starts, as in 2026-01-05T00:00:00Z
    #[arg(long, value_name = "TIME")]
    pub clock_start: Option<String>,
    /// What the artifact proxy keeps: a folder or `s3://…`, `gs://…`, `wasbs://…` [default: in the data directory]
    #[arg(long, value_name = "PLACE", env = "MLFLOW_ARTIFACTS_DESTINATION", hide_env = true)]
    pub artifacts_destination: Option<String>,
    /// Where new experiments keep artifacts that clients write themselves [default: the proxy]
    #[arg(long, value_name = "PLACE", env = "MLFLOW_DEFAULT_ARTIFACT_ROOT", hide_env = true)]
    pub default_artifact_root: Option<String>,
    /// Folder of MLflow's own pages; else the first `mlflow` or `python3` on PATH has them
    #[arg(long, value_name = "DIR")]
    pub mlflow_ui: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Print every value and where it came from; passwords are hidden
    Show {
        #[command(flatten)]
        local: LocalArgs,
        /// Also print what each key means
        #[arg(long)]
        explain: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditVerb {
    /// Check every hash chain; exits 5 and names the entry when one was changed
    Verify(LocalArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum SetupWhat {
    /// ONNX Runtime, out of the `onnxruntime` wheel of PyPI
    Runtime {
        #[command(flatten)]
        local: LocalArgs,
        /// A Python with pip
        #[arg(long, default_value = "python3")]
        python: PathBuf,
    },
}

/// `calc`.
#[derive(Debug, Args)]
pub(crate) struct CalcArgs {
    /// Which computation; `--list` names them
    #[arg(required_unless_present = "list")]
    pub family: Option<String>,
    /// Name the families, one a line
    #[arg(long)]
    pub list: bool,
}

type Flags = Vec<(&'static str, &'static str, String)>;

impl LocalArgs {
    /// The flags that were given, as settings.
    pub(crate) fn flags(&self) -> Flags {
        let data_dir = self.data_dir.as_ref().map(|dir| dir.display().to_string());
        given([
            ("server.data_dir", "--data-dir", data_dir),
            ("database.url", "--database", self.database.clone()),
        ])
    }
}

impl ServerArgs {
    /// The flags that were given, as settings.
    pub(crate) fn flags(&self) -> Flags {
        let mut flags = self.local.flags();
        flags.extend(given([
            ("server.listen", "--listen", self.listen.clone()),
            ("server.grpc_listen", "--grpc-listen", self.grpc_listen.clone()),
            ("clock.kind", "--clock", self.clock.clone()),
            ("clock.start", "--clock-start", self.clock_start.clone()),
            (
                "artifacts.destination",
                "--artifacts-destination",
                self.artifacts_destination.clone(),
            ),
            (
                "artifacts.default_root",
                "--default-artifact-root",
                self.default_artifact_root.clone(),
            ),
            ("mlflow.ui", "--mlflow-ui", self.mlflow_ui.clone()),
        ]));
        flags
    }
}

fn given<const N: usize>(all: [(&'static str, &'static str, Option<String>); N]) -> Flags {
    all.into_iter().filter_map(|(key, flag, value)| Some((key, flag, value?))).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    /// Why not clap's own check: it lets a command name an argument as one of all commands is named,
    /// and panics when that is read.
    #[test]
    fn no_command_names_an_argument_as_all_do() {
        fn walk(command: &clap::Command, shared: &[clap::Id], path: &str) {
            for argument in command.get_arguments().filter(|argument| !argument.is_global_set()) {
                let id = argument.get_id();
                assert!(!shared.contains(id), "{path}: `{id}` is an argument of every command");
            }
            for inner in command.get_subcommands() {
                walk(inner, shared, &format!("{path} {}", inner.get_name()));
            }
        }
        let command = Cli::command();
        let shared: Vec<_> = command
            .get_arguments()
            .filter(|argument| argument.is_global_set())
            .map(|argument| argument.get_id().clone())
            .collect();
        assert!(!shared.is_empty());
        for inner in command.get_subcommands() {
            walk(inner, &shared, inner.get_name());
        }
    }
}
