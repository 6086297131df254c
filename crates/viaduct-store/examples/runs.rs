//! `cargo run --release --example runs -p viaduct-store -- DATA_DIR [COUNT]`: adds that many runs
//! (20,000) to a data directory, each with params, tags and the history of its metrics, as a
//! tracking client leaves them. For benchmarks of directories that have lived.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use viaduct_base::{Span, Timestamp};
use viaduct_store::mlflow::experiment::{self, ExperimentRow};
use viaduct_store::mlflow::metric::{self, MetricRow};
use viaduct_store::mlflow::run::{self, RunRow};
use viaduct_store::mlflow::{Lifecycle, Pair, pair};
use viaduct_store::{DatabaseConfig, Scope, Store, StoreError, Tx, workspace};

const PER_EXPERIMENT: u32 = 500;
const METRICS: [&str; 4] = ["loss", "val_loss", "auc", "val_auc"];
const STEPS: i64 = 10;
const PARAMS: [&str; 6] = ["depth", "eta", "rounds", "seed", "features", "objective"];
const TAGS: [&str; 3] = ["mlflow.source.name", "mlflow.user", "team"];

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let dir = words.next().ok_or("which data directory?")?;
    let count: u32 = words.next().map_or(Ok(20_000), |text| text.parse())?;
    let dir = Path::new(&dir);
    let store = Store::open(&DatabaseConfig::sqlite_in(dir), dir)?;
    let began = Instant::now();
    for batch in 0..count.div_ceil(PER_EXPERIMENT) {
        let runs = PER_EXPERIMENT.min(count - batch * PER_EXPERIMENT);
        store.write_blocking("fill", move |tx| fill(tx, batch, runs))?;
    }
    println!("{count} runs written in {:.1?}", began.elapsed());
    Ok(())
}

fn fill(tx: &mut Tx, batch: u32, runs: u32) -> Result<(), StoreError> {
    let Some(home) = workspace::find_by_name(tx, workspace::DEFAULT)? else { return Ok(()) };
    let scope = Scope::of(home.id);
    let at = Timestamp::from_micros(1_767_225_600_000_000) + Span::hours(i64::from(batch));
    let experiment_id = experiment::next_id(tx)?;
    experiment::insert(
        tx,
        &scope,
        &ExperimentRow {
            experiment_id: experiment_id.clone(),
            name: format!("experiment-{batch}"),
            artifact_location: format!("mlflow-artifacts:/{experiment_id}"),
            lifecycle: Lifecycle::Active,
            created_at: at,
            updated_at: at,
            deleted_at: None,
        },
    )?;
    (0..runs).try_for_each(|number| one_run(tx, &scope, &experiment_id, (batch, number), at))
}

fn one_run(
    tx: &mut Tx,
    scope: &Scope,
    experiment_id: &str,
    (batch, number): (u32, u32),
    at: Timestamp,
) -> Result<(), StoreError> {
    let run_id = format!("{batch:016x}{number:016x}");
    run::insert(
        tx,
        scope,
        &RunRow {
            run_id: run_id.clone(),
            experiment_id: experiment_id.to_owned(),
            name: format!("run-{number}"),
            user_name: "ana".to_owned(),
            status: "FINISHED".to_owned(),
            started_at: at + Span::seconds(i64::from(number)),
            ended_at: Some(at + Span::seconds(i64::from(number) + 40)),
            lifecycle: Lifecycle::Active,
            artifact_uri: format!("mlflow-artifacts:/{experiment_id}/{run_id}/artifacts"),
            deleted_at: None,
        },
    )?;
    for key in PARAMS {
        let value = format!("{}", number % 17);
        pair::insert_param(tx, scope, &run_id, &Pair { key: key.to_owned(), value })?;
    }
    for key in TAGS {
        let value = format!("{key} of run {number}");
        pair::set_run_tag(tx, scope, &run_id, &Pair { key: key.to_owned(), value })?;
    }
    for key in METRICS {
        for step in 0..STEPS {
            let value = f64::from(number % 97) / 97.0 + 1.0 / (1.0 + step as f64);
            let at = at + Span::seconds(i64::from(number) + step * 4);
            metric::log(tx, scope, &run_id, &MetricRow { key: key.to_owned(), value, at, step })?;
        }
    }
    Ok(())
}
