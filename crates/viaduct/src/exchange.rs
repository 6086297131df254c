//! `viaduct import mlflow` and `viaduct export mlflow`.

use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use viaduct_blob::{Blobs, Place};
use viaduct_cli::{Failure, Printer};
use viaduct_exchange::{
    ExchangeError, Export, Import, Report, Watch, check_source, export, import,
};
use viaduct_store::foreign::sqlalchemy_url;
use viaduct_store::{Scope, Store, StoreError, workspace};

use crate::cli::LocalArgs;
use crate::config::Config;
use crate::data_dir;
use crate::files::broken;
use crate::server::refused;

/// From where.
#[derive(Debug, Subcommand)]
pub(crate) enum ImportWhat {
    /// Everything of an MLflow 2.x or 3.x database; what is here already stays, so run it again
    /// whenever it was cut off
    Mlflow {
        #[command(flatten)]
        local: LocalArgs,
        #[command(flatten)]
        from: ImportArgs,
    },
}

/// `import mlflow`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The `--backend-store-uri` of the MLflow server: `sqlite:///mlflow.db`, `postgresql://…`
    #[arg(long, value_name = "URL")]
    pub from: String,
    /// The root of its artifacts: its `--artifacts-destination`, or `--default-artifact-root`
    #[arg(long, value_name = "PLACE")]
    pub artifacts: Option<String>,
    /// Copy the artifacts; without it they stay where they are
    #[arg(long, requires = "artifacts")]
    pub copy: bool,
}

/// To where.
#[derive(Debug, Subcommand)]
pub(crate) enum ExportWhat {
    /// Everything that MLflow knows, into an empty database of MLflow 3.17
    Mlflow {
        #[command(flatten)]
        local: LocalArgs,
        /// `sqlite:///new.db`, made by `mlflow db upgrade sqlite:///new.db`
        #[arg(long, value_name = "URL")]
        to: String,
    },
}

/// Brings a whole MLflow database in. The server must not be running.
pub(crate) fn bring(
    config: &Config,
    args: &ImportArgs,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let from = sqlalchemy_url(&args.from).map_err(|e| refused(&e))?;
    let directory = std::env::current_dir()
        .map_err(|e| Failure::Usage(format!("the working directory cannot be found: {e}")))?;
    let place = args.artifacts.as_deref().map(|text| Place::read(text, &directory));
    let place = place.transpose().map_err(|e| Failure::Usage(e.to_string()))?;
    let place = place.map(resolved).transpose()?;
    // Why first: a typing error must not leave an empty data directory.
    check_source(&from).map_err(|e| failure(&e))?;
    std::fs::create_dir_all(&config.data_dir).map_err(|e| broken("made", &config.data_dir, &e))?;
    let store = Store::open(&config.database, &config.data_dir).map_err(|e| refused(&e))?;
    data_dir::settle(config)?;
    let copy_to =
        match args.copy {
            true => Some(Blobs::open_at(&config.artifacts).map_err(|e| {
                Failure::Broken(format!("the artifact store cannot be opened: {e}"))
            })?),
            false => None,
        };
    let wanted = Import {
        scope: scope(&store)?,
        store,
        from,
        artifacts: place.clone(),
        options: config.artifacts.options.clone(),
        copy_to,
    };
    let mut bar = Bar::new();
    let report = import(&wanted, &mut bar).map_err(|e| failure(&e));
    bar.end();
    printer.print(&shown(&report?))?;
    match (place, args.copy) {
        (Some(place), false) => {
            let uri = place.uri();
            printer.say(&format!(
                "artifacts stay in `{uri}`: start `viaduct server` with `--artifacts-destination {uri}` for what went through MLflow's proxy, `--default-artifact-root {uri}` for what clients wrote themselves"
            ));
        }
        (None, _) => printer.say(
            "artifacts were not looked at: name their root with `--artifacts`, and `--copy` to bring them",
        ),
        _ => {}
    }
    Ok(())
}

/// Takes everything that MLflow knows out. The server may be running.
pub(crate) fn take(config: &Config, to: &str, printer: &mut Printer) -> Result<(), Failure> {
    let to = sqlalchemy_url(to).map_err(|e| refused(&e))?;
    let store = Store::open_beside(&config.database).map_err(|e| refused(&e))?;
    let wanted = Export { scope: scope(&store)?, store, to: to.clone() };
    let mut bar = Bar::new();
    let report = export(&wanted, &mut bar).map_err(|e| failure(&e));
    bar.end();
    printer.print(&shown(&report?))?;
    let artifacts = config.artifacts.proxy.uri();
    printer.say(&format!(
        "next: `mlflow server --backend-store-uri {} --artifacts-destination {artifacts}`",
        to.to_string().replacen("sqlite:", "sqlite:///", 1)
    ));
    Ok(())
}

/// The folder as the database of the source names it: absolute and without links.
fn resolved(place: Place) -> Result<Place, Failure> {
    match place {
        Place::Folder(folder) => match std::fs::canonicalize(&folder) {
            Ok(folder) => Ok(Place::Folder(folder)),
            Err(error) => Err(broken("read", &folder, &error)),
        },
        store => Ok(store),
    }
}

fn scope(store: &Store) -> Result<Scope, Failure> {
    let found =
        store.read_blocking("find_workspace", |tx| workspace::find_by_name(tx, workspace::DEFAULT));
    let found = found.map_err(|e: StoreError| Failure::Broken(e.to_string()))?;
    let home = found.ok_or_else(|| {
        Failure::Broken(format!("the database has no workspace `{}`", workspace::DEFAULT))
    })?;
    Ok(Scope::of(home.id))
}

fn failure(error: &ExchangeError) -> Failure {
    match error {
        ExchangeError::Open(error) => refused(error),
        ExchangeError::Refused(text) => Failure::Usage(text.clone()),
        other => Failure::Broken(format!(
            "{other}; what was brought stays: mend it and run the command again"
        )),
    }
}

fn shown(report: &Report) -> String {
    report.to_string()
}

/// The watch of a terminal; where there is none, it shows nothing.
struct Bar {
    bar: ProgressBar,
}

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::new(0);
        let style = "{msg:>22} [{bar:32}] {human_pos}/{human_len} {per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watch for Bar {
    fn begin(&mut self, what: &'static str, total: u64) {
        self.bar.reset();
        self.bar.set_message(what);
        self.bar.set_length(total);
        self.bar.set_position(0);
    }

    fn advance(&mut self, by: u64) {
        self.bar.inc(by);
    }
}
