//! From a database of MLflow into ours.

mod experiments;
mod metrics;
mod models;
mod registry;
mod runs;
mod webhooks;

use std::collections::HashSet;

use viaduct_blob::{Blobs, Place};
use viaduct_store::{DatabaseUrl, Scope, Store};

use crate::files::Files;
use crate::source::Source;
use crate::{ExchangeError, Report, Watch};

/// What to import, and where to.
#[derive(Clone)]
pub struct Import {
    /// Our database.
    pub store: Store,
    /// The workspace that everything goes to.
    pub scope: Scope,
    /// MLflow's database.
    pub from: DatabaseUrl,
    /// The root of MLflow's artifacts.
    pub artifacts: Option<Place>,
    /// Settings of stores of objects, by the name of their environment variable.
    pub options: Vec<(String, String)>,
    /// Where artifacts are copied to; without it they stay where they are.
    pub copy_to: Option<Blobs>,
}

/// What the parts of an import share.
struct Work<'a> {
    store: &'a Store,
    scope: Scope,
    source: Source,
    files: Files,
    watch: &'a mut dyn Watch,
    report: Report,
    /// Ids of the experiments that are brought.
    experiments: HashSet<String>,
}

/// Things that are not kept here, with the table that counts them.
const LEFT_OUT: [(&str, &str); 3] = [
    ("trace_info", "traces"),
    ("evaluation_datasets", "evaluation datasets"),
    ("scorers", "scorers"),
];

/// Checks that this is a database of MLflow, before anything is made for it.
///
/// # Errors
/// There is none, it does not open, or it lacks MLflow's tables.
pub fn check_source(from: &DatabaseUrl) -> Result<(), ExchangeError> {
    Source::open(from).map(drop)
}

/// Brings everything that is not here yet.
///
/// # Errors
/// [`ExchangeError::Refused`] before anything is written when the source is no MLflow database, or
/// an id or name that it has means something else here. Any other error may come half-way: run it
/// again.
pub fn import(wanted: &Import, watch: &mut dyn Watch) -> Result<Report, ExchangeError> {
    if wanted.copy_to.is_some() && wanted.artifacts.is_none() {
        return Err(ExchangeError::Refused(
            "`--copy` needs to know from where: name the root of the artifacts with `--artifacts`"
                .to_owned(),
        ));
    }
    let source = Source::open(&wanted.from)?;
    let files =
        Files::new(wanted.artifacts.clone(), wanted.options.clone(), wanted.copy_to.clone());
    let mut work = Work {
        store: &wanted.store,
        scope: wanted.scope,
        source,
        files,
        watch,
        report: Report::default(),
        experiments: HashSet::new(),
    };
    let experiments = work.read_experiments()?;
    let models = work.read_registered_models()?;
    work.write_experiments(experiments)?;
    work.bring_runs()?;
    work.bring_logged_models()?;
    work.write_registered_models(models)?;
    work.bring_webhooks()?;
    let Work { mut source, files, watch, mut report, .. } = work;
    files.copy(watch, &mut report)?;
    for (table, what) in LEFT_OUT {
        let n = source.count(table, "1 = 1")?;
        if n > 0 {
            report.note(format!("not kept here: {n} {what}"));
        }
    }
    report.note(format!("the source has MLflow's schema `{}`", source.revision));
    Ok(report)
}
