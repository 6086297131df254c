//! `cargo run --release --example gates -p viaduct-app -- PROJECT_FILE`: whole evaluations of G1
//! and G2 from stored facts, and beside them the pure evaluation of the same input.
//!
//! The database is the real one (SQLite, through the store's readers) with every fact of the table
//! measured once a day for [`DAYS`] days. Facts that no collector makes yet are written as rows, and
//! so is the stage: this measures time, it decides nothing.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use viaduct_app::gate::{Ground, current_subjects};
use viaduct_app::project::load;
use viaduct_app::{App, Parts, Settings};
use viaduct_auth::Params;
use viaduct_base::{Clock, Digest, FactId, Span, SystemClock, Timestamp, TrialId};
use viaduct_blob::Blobs;
use viaduct_decisions::{DecisionLog, Durability};
use viaduct_domain::evaluate::{CurrentSubject, Evaluation, EvaluationInput, Names, evaluate};
use viaduct_domain::fact::{FactName, FactValue, Shape, SubjectKind};
use viaduct_domain::policy::Policy;
use viaduct_gateway::{Gateway, GatewayConfig};
use viaduct_infer::RuntimeConfig;
use viaduct_store::binding::{self, BindingRow};
use viaduct_store::fact::{self, FactRow};
use viaduct_store::project::{self, StageChange};
use viaduct_store::trial::{self, TrialRow};
use viaduct_store::{DatabaseConfig, Scope, Store, StoreError, kpi};

type Done<T = ()> = Result<T, Box<dyn Error>>;

const DAYS: i64 = 90;
const ROUNDS: usize = 1_000;
const PROJECT: &str = "term-deposit";

fn main() -> Done {
    let file = std::env::args().nth(1).ok_or("which project file?")?;
    let text = std::fs::read_to_string(&file).map_err(|e| format!("`{file}`: {e}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let dir = tempfile::tempdir()?;
    runtime.block_on(measure(dir.path(), text))
}

async fn measure(dir: &Path, text: String) -> Done {
    let app = open(dir).await?;
    app.apply_project(&app.system(), text, false).await?;
    let scope = Scope::of(app.workspace());
    stand(&app, scope).await?;
    println!("{DAYS} days of {} facts, 1 project, {ROUNDS} rounds, SQLite", FactName::ALL.len());
    for stage in ["concept", "pilot"] {
        move_to(&app, scope, stage).await?;
        one_gate(&app, scope).await?;
    }
    Ok(())
}

async fn open(dir: &Path) -> Done<App> {
    let place = |name: &str| dir.join(name);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (decisions, _) = DecisionLog::open(&place("decisions"), Durability::Os)?;
    let runtime = RuntimeConfig::new(dir);
    let config = GatewayConfig::new(place("gateway"), runtime.clone());
    let (gateway, _) =
        Gateway::open(config, decisions.clone(), clock.clone()).map_err(|e| e.chain())?;
    let parts = Parts {
        store: Store::open(&DatabaseConfig::sqlite_in(dir), dir)?,
        blobs: Blobs::open(&place("blobs"))?,
        decisions,
        gateway,
        runtime,
        clock,
        simulated: None,
        policy: Policy::shipped()?,
        settings: Settings {
            is_loopback: true,
            password_params: Params::STANDARD,
            reproduce: None,
            sidecars: None,
            remotes: Vec::new(),
            data_dir: dir.to_path_buf(),
        },
    };
    Ok(App::open(parts).await?)
}

/// Binds a version, registers a trial and writes every fact of every day, about what is there now.
async fn stand(app: &App, scope: Scope) -> Done {
    let now = app.now();
    app.store()
        .write("stand", move |tx| -> Result<(), viaduct_base::Error> {
            let project = load(tx, &scope, PROJECT)?;
            let ground = Ground::read(tx, &scope, &project)?;
            let Some(endpoint) = ground.endpoint else { return Ok(()) };
            let bound = BindingRow {
                endpoint: endpoint.id,
                model_name: PROJECT.to_owned(),
                version: 1,
                bound_at: now,
                shadow_until: now + Span::days(28),
                pinned_by: None,
            };
            binding::put(tx, &scope, &bound)?;
            if let Some(kpi) = kpi::list(tx, &scope, project.id)?.first() {
                trial::insert(
                    tx,
                    &TrialRow {
                        id: TrialId::new(now),
                        workspace_id: scope.workspace,
                        project_id: project.id,
                        endpoint_id: endpoint.id,
                        kpi_id: kpi.id,
                        name: "pilot-1".to_owned(),
                        plan_json: "{}".to_owned(),
                        plan_hash: Digest::of(b"plan").to_string(),
                        salt: "salt".to_owned(),
                        clock: "system".to_owned(),
                        registered_at: now,
                        registered_by: None,
                        starts_at: now,
                        ends_at: now + Span::days(42),
                        looks_at: now + Span::days(63),
                        stopped_at: None,
                        stopped_why: None,
                        revision: 1,
                    },
                )?;
            }
            let ground = Ground::read(tx, &scope, &project)?;
            let subjects = current_subjects(&project, &ground);
            for day in 0..DAYS {
                for name in FactName::ALL {
                    // Why so close: each is later than its subject and earlier than the evaluation.
                    let at = Timestamp::from_micros(now.as_micros() + day);
                    let subject = subjects.get(&name.subject_kind());
                    fact::append(tx, &row(&scope, project.id, (*name, subject), at)?)?;
                }
            }
            Ok(())
        })
        .await?;
    Ok(())
}

fn row(
    scope: &Scope,
    project: viaduct_base::ProjectId,
    (name, subject): (FactName, Option<&CurrentSubject>),
    at: Timestamp,
) -> Result<FactRow, viaduct_base::Error> {
    let value = match name.shape() {
        Shape::Scalar => FactValue::scalar(0.9),
        Shape::Interval => FactValue::interval(0.4, (0.1, 0.7), 0.95),
        Shape::Flag => FactValue::flag(true),
    };
    let producer = name.producer().map_or("planner".to_owned(), |p| p.to_string());
    Ok(FactRow {
        id: FactId::new(at),
        workspace_id: scope.workspace,
        project_id: project,
        name: name.to_string(),
        subject_kind: name.subject_kind().to_string(),
        subject_id: subject.map_or("call-centre".to_owned(), |subject| subject.id.clone()),
        value_json: serde_json::to_string(&value)
            .map_err(|e| viaduct_base::Fault::caused("write a value", e))?,
        unit: name.unit().as_str().to_owned(),
        n: Some(50_000),
        window_from: Some(at - Span::days(28)),
        window_to: Some(at),
        observed_at: at,
        producer,
        inputs_hash: Digest::of(b"inputs").to_string(),
        provenance: "live".to_owned(),
        note: Some("a measurement of the benchmark".to_owned()),
    })
}

async fn move_to(app: &App, scope: Scope, stage: &'static str) -> Done {
    let at = app.now();
    app.store()
        .write("move", move |tx| -> Result<(), StoreError> {
            let Some(row) = project::find_by_name(tx, &scope, PROJECT)? else { return Ok(()) };
            let change = StageChange {
                stage: stage.to_owned(),
                state: "clear".to_owned(),
                cause: None,
                note: None,
                at,
            };
            if row.stage == stage {
                return Ok(());
            }
            project::change_stage(tx, &scope, row.at(), &change)
        })
        .await?;
    Ok(())
}

async fn one_gate(app: &App, scope: Scope) -> Done {
    let caller = app.system();
    let mut whole = Vec::with_capacity(ROUNDS);
    let mut last = None;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let view = app.evaluate_gate(&caller, PROJECT).await?;
        whole.push(began.elapsed().as_secs_f64() * 1e3);
        last = Some(view.evaluation);
    }
    let evaluation = last.ok_or("no round")?;
    let input = input(app, scope, &evaluation).await?;
    let gate = app.policy().gate(evaluation.gate).ok_or("no such gate")?;
    let mut pure = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        black_box(evaluate(gate, black_box(&input)));
        pure.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let mut words: Vec<String> = Vec::new();
    for status in ["pass", "fail", "not_enough_data", "stale", "not_applicable"] {
        let with = |r: &&viaduct_domain::evaluate::CriterionResult| {
            serde_json::to_value(r.status).is_ok_and(|word| word == status)
        };
        let count = evaluation.results.iter().filter(with).count();
        if count > 0 {
            words.push(format!("{count} {status}"));
        }
    }
    println!("{}: {} criteria ({})", evaluation.gate, evaluation.results.len(), words.join(", "));
    let read = app.list_facts(&caller, PROJECT, 1).await?.len();
    if read == 0 {
        return Err("the facts are not there".into());
    }
    for (what, mut times) in [("from stored facts", whole), ("pure evaluation", pure)] {
        times.sort_by(f64::total_cmp);
        let (p50, p99) = (times[ROUNDS / 2], times[ROUNDS * 99 / 100]);
        println!("{} | {what} | p50 {p50:.3} ms | p99 {p99:.3} ms", evaluation.gate);
    }
    Ok(())
}

/// What the evaluation stood on, once more, for the pure function.
async fn input(app: &App, scope: Scope, evaluation: &Evaluation) -> Done<EvaluationInput> {
    let count = i64::try_from(FactName::ALL.len())?;
    let facts = app.list_facts(&app.system(), PROJECT, count).await?;
    let (tier, now) = (evaluation.tier, evaluation.at);
    Ok(app
        .store()
        .read("ground", move |tx| -> Result<EvaluationInput, viaduct_base::Error> {
            let project = load(tx, &scope, PROJECT)?;
            let ground = Ground::read(tx, &scope, &project)?;
            let mut input = EvaluationInput::new(project.id, Names::default(), tier, now);
            input.facts.clone_from(&facts);
            input.subjects = current_subjects(&project, &ground);
            debug_assert!(input.subjects.contains_key(&SubjectKind::Trial));
            Ok(input)
        })
        .await?)
}
