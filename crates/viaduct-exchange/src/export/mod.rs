//! From our database into an empty one of MLflow.

mod models;
mod runs;

use viaduct_blob::BlobPath;
use viaduct_store::foreign::{Access, Foreign};
use viaduct_store::mlflow::experiment;
use viaduct_store::mlflow::pair;
use viaduct_store::{DatabaseUrl, Scope, Store, StoreError, Value};

use crate::{ExchangeError, Line, Report, Watch};

/// The schema that is written: of MLflow 3.17.
const REVISION: &str = "dc11669786a5";
/// The workspace that everything goes to.
const WORKSPACE: &str = "default";

/// What to export, and where to.
#[derive(Clone)]
pub struct Export {
    /// Our database.
    pub store: Store,
    /// The workspace that is exported.
    pub scope: Scope,
    /// A SQLite database that `mlflow db upgrade` has made.
    pub to: DatabaseUrl,
}

/// What the parts of an export share.
struct Work<'a> {
    store: &'a Store,
    scope: Scope,
    db: &'a mut Foreign,
    watch: &'a mut dyn Watch,
    report: Report,
}

/// Fills an empty database of MLflow: all of it in one transaction.
///
/// # Errors
/// [`ExchangeError::Refused`] when the target is not an empty database of MLflow 3.17.
pub fn export(wanted: &Export, watch: &mut dyn Watch) -> Result<Report, ExchangeError> {
    let DatabaseUrl::Sqlite(_) = &wanted.to else {
        return Err(ExchangeError::Refused(
            "an export goes into a SQLite database: use `--to sqlite:///new.db`".to_owned(),
        ));
    };
    let mut db = Foreign::open(&wanted.to, Access::Write).map_err(|error| {
        ExchangeError::Refused(format!("{error}; make it with {}", how(&wanted.to)))
    })?;
    demand_empty(&mut db, &wanted.to)?;
    db.transaction(|db| {
        // Why: stock servers make it at their first start; ours has the same id.
        db.execute("DELETE FROM experiments WHERE experiment_id = 0", &[])?;
        let mut work = Work {
            store: &wanted.store,
            scope: wanted.scope,
            db,
            watch,
            report: Report::default(),
        };
        let experiments = work.experiments()?;
        work.runs(&experiments)?;
        work.logged_models()?;
        work.registered_models()?;
        work.report.note(format!("the target has MLflow's schema `{REVISION}` (3.17)"));
        work.report.note(
            "who changed what, decisions, gates and everything else that MLflow does not know stays here",
        );
        Ok(work.report)
    })
}

fn how(url: &DatabaseUrl) -> String {
    let path = match url {
        DatabaseUrl::Sqlite(path) => path.display().to_string(),
        DatabaseUrl::Postgres(_) => String::new(),
    };
    format!("`mlflow db upgrade sqlite:///{path}` of mlflow 3.17")
}

fn demand_empty(db: &mut Foreign, url: &DatabaseUrl) -> Result<(), ExchangeError> {
    let refused = |why: String| {
        Err(ExchangeError::Refused(format!("`{url}` {why}: make a new one with {}", how(url))))
    };
    if db.columns("alembic_version")?.is_empty() {
        return refused("has no tables of MLflow".to_owned());
    }
    let found = db.query("SELECT version_num FROM alembic_version", &[])?;
    let revision = found.first().map(|row| row.text("version_num")).transpose()?;
    let revision = revision.unwrap_or_default();
    if revision != REVISION {
        return refused(format!("has MLflow's schema `{revision}` and `{REVISION}` is written"));
    }
    for (table, only) in
        [("runs", ""), ("registered_models", ""), ("experiments", " WHERE experiment_id <> 0")]
    {
        let found = db.query(&format!("SELECT 1 AS one FROM {table}{only} LIMIT 1"), &[])?;
        if !found.is_empty() {
            return refused(format!("is not empty: there are rows in `{table}`"));
        }
    }
    Ok(())
}

/// A number of an experiment, as MLflow's tables keep it.
fn number(experiment_id: &str) -> Result<Value, StoreError> {
    experiment_id.parse::<i64>().map(Value::Int).map_err(|_| StoreError::Column {
        column: "experiment_id".to_owned(),
        detail: format!("`{experiment_id}` is no number, and MLflow keeps numbers"),
    })
}

/// A moment as MLflow's milliseconds.
fn millis(at: viaduct_base::Timestamp) -> Value {
    Value::Int(at.as_micros().div_euclid(1000))
}

/// The URI of a place of ours.
fn uri(storage_path: &str) -> String {
    let elsewhere = storage_path.parse::<BlobPath>().ok().and_then(|path| path.elsewhere());
    elsewhere.unwrap_or_else(|| format!("mlflow-artifacts:/{storage_path}"))
}

impl Work<'_> {
    /// Writes the experiments and answers their ids.
    fn experiments(&mut self) -> Result<Vec<String>, ExchangeError> {
        let scope = self.scope;
        let rows = self.store.read_blocking("export_experiments", move |tx| {
            let rows = experiment::list(tx, &scope)?;
            let ids: Vec<String> = rows.iter().map(|row| row.experiment_id.clone()).collect();
            let tags = pair::tags_of_experiments(tx, &scope, &ids)?;
            Ok::<_, StoreError>(rows.into_iter().zip(tags).collect::<Vec<_>>())
        })?;
        self.watch.begin("experiments", rows.len() as u64);
        let mut tags_written = 0;
        for (row, tags) in &rows {
            let id = number(&row.experiment_id)?;
            let values = [
                id.clone(),
                (&row.name).into(),
                (&row.artifact_location).into(),
                row.lifecycle.as_str().into(),
                millis(row.created_at),
                millis(row.updated_at),
                WORKSPACE.into(),
            ];
            self.db.execute(
                "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, \
                 creation_time, last_update_time, workspace) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                &values,
            )?;
            for tag in tags {
                self.db.execute(
                    "INSERT INTO experiment_tags (experiment_id, key, value) VALUES ($1, $2, $3)",
                    &[id.clone(), (&tag.key).into(), (&tag.value).into()],
                )?;
                tags_written += 1;
            }
            self.watch.advance(1);
        }
        self.wrote("experiments", rows.len() as u64);
        self.wrote("experiment tags", tags_written);
        Ok(rows.into_iter().map(|(row, _)| row.experiment_id).collect())
    }

    fn wrote(&mut self, what: &'static str, n: u64) {
        self.report.add(Line { what, found: n, brought: n, ..Line::default() });
    }
}
