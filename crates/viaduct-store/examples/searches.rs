//! `cargo run --example searches -p viaduct-store -- DATA_DIR [COUNT [postgres://…]]`: puts that
//! many runs (20,000) into one experiment of an empty directory and prints what searches, writes
//! and histories take (p50). The server is not in it: these are the store's own figures.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use viaduct_base::Timestamp;
use viaduct_store::mlflow::experiment::{self, ExperimentRow};
use viaduct_store::mlflow::metric::{self, MetricRow};
use viaduct_store::mlflow::run::{self, RunRow};
use viaduct_store::mlflow::search::{
    self, Comparator, Comparison, Field, Filter, Operand, Order, Search, Test,
};
use viaduct_store::mlflow::{Lifecycle, Pair, pair, run_parts};
use viaduct_store::{DatabaseConfig, DatabaseUrl, Scope, Store, StoreError, Tx, workspace};

const PER_WRITE: usize = 500;
const POINTS: i64 = 100_000;

type Answer<T> = Result<T, Box<dyn Error>>;

fn main() -> Answer<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let dir = Path::new(words.first().ok_or("which data directory?")?);
    let count: usize = words.get(1).map_or(Ok(20_000), |text| text.parse())?;
    let config = match words.get(2) {
        Some(url) => DatabaseConfig { url: DatabaseUrl::Postgres(url.clone()) },
        None => DatabaseConfig::sqlite_in(dir),
    };
    let store = Store::open(&config, dir)?;
    let home = store.read_blocking("home", |tx| workspace::find_by_name(tx, "default"))?;
    let scope = Scope::of(home.ok_or("no workspace")?.id);
    let began = Instant::now();
    store.write_blocking("experiment", move |tx| experiment::insert(tx, &scope, &experiment()))?;
    for start in (0..count).step_by(PER_WRITE) {
        let end = count.min(start + PER_WRITE);
        store.write_blocking("fill", move |tx| {
            (start..end).try_for_each(|number| fill(tx, &scope, number))
        })?;
    }
    println!("{count} runs in {:.1?}", began.elapsed());
    searches(&store, scope)?;
    writes(&store, scope)?;
    histories(&store, scope)
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_micros((1_767_225_600_000 + millis) * 1000)
}

fn experiment() -> ExperimentRow {
    ExperimentRow {
        experiment_id: "1".into(),
        name: "bench".into(),
        artifact_location: "mlflow-artifacts:/1".into(),
        lifecycle: Lifecycle::Active,
        created_at: at(0),
        updated_at: at(0),
        deleted_at: None,
    }
}

fn id(number: usize) -> String {
    // They grow with time, as the server's own.
    format!("0192{number:028x}")
}

fn fill(tx: &mut Tx, scope: &Scope, number: usize) -> Result<(), StoreError> {
    let run_id = id(number);
    let row = RunRow {
        run_id: run_id.clone(),
        experiment_id: "1".into(),
        name: format!("run-{number}"),
        user_name: "ana".into(),
        status: if number.is_multiple_of(10) { "FAILED" } else { "FINISHED" }.into(),
        started_at: at(number as i64 * 1000),
        ended_at: Some(at(number as i64 * 1000 + 500)),
        lifecycle: Lifecycle::Active,
        artifact_uri: format!("mlflow-artifacts:/1/{run_id}/artifacts"),
        deleted_at: None,
    };
    run::insert(tx, scope, &row)?;
    let owner = (run_id.as_str(), "1");
    let noise = |salt: usize| (number.wrapping_mul(2_654_435_761 + salt * 97) % 10_007) as f64;
    let metrics: Vec<MetricRow> =
        (0..5).map(|m| point(&format!("m{m}"), noise(m) / 10_007.0, 0)).collect();
    metric::log_many(tx, scope, owner, &metrics)?;
    let pairs = |word: &str, many: usize, kinds: usize| {
        let pair = |i: usize| Pair {
            key: format!("{word}{i}"),
            value: format!("v{}", (number + i) % kinds),
        };
        (0..many).map(pair).collect::<Vec<_>>()
    };
    pair::insert_params(tx, scope, owner, &pairs("p", 8, 10))?;
    pair::set_run_tags(tx, scope, owner, &pairs("t", 4, 100))
}

fn point(key: &str, value: f64, step: i64) -> MetricRow {
    MetricRow { key: key.to_owned(), value, at: at(step), step }
}

fn p50(name: &str, times: usize, mut work: impl FnMut() -> Answer<()>) -> Answer<()> {
    let mut all: Vec<Duration> = Vec::with_capacity(times);
    for _ in 0..times {
        let began = Instant::now();
        work()?;
        all.push(began.elapsed());
    }
    all.sort();
    let middle = all.get(all.len() / 2).copied().unwrap_or_default();
    println!("{name:52} p50 {middle:>10.2?}  ({times} times)");
    Ok(())
}

fn ask(store: &Store, scope: Scope, search: &Search) -> Answer<()> {
    let (search, wanted) = (search.clone(), search.limit);
    let found = store.read_blocking("search", move |tx| {
        let rows = search::runs(tx, &scope, &search)?;
        let ids: Vec<String> = rows.iter().map(|row| row.run_id.clone()).collect();
        run_parts::of_runs(tx, &scope, &ids).map(|parts| parts.len())
    })?;
    if found as i64 > wanted { Err("too many".into()) } else { Ok(()) }
}

fn searches(store: &Store, scope: Scope) -> Answer<()> {
    let compare = |field: Field, comparator, operand| {
        Filter::One(Comparison { field, test: Test::Is(comparator, operand) })
    };
    let metric = |key: &str| Field::Metric(key.to_owned());
    let text = |text: &str| Operand::Text(text.to_owned());
    let accurate = |least| compare(metric("m1"), Comparator::Greater, Operand::Number(least));
    let plain = Search {
        experiment_ids: vec!["1".into()],
        lifecycles: vec![Lifecycle::Active],
        limit: 100,
        ..Search::default()
    };
    let param = || compare(Field::Param("p1".into()), Comparator::Equal, text("v3"));
    let filtered = Filter::All(vec![
        accurate(0.5),
        param(),
        compare(Field::Text("status"), Comparator::Equal, text("FINISHED")),
    ]);
    let by_metric = || vec![Order::by(metric("m0"), true)];
    let rare = Filter::All(vec![accurate(0.999), param()]);
    let tagged = compare(Field::Tag("t0".into()), Comparator::Equal, text("v7"));
    for (name, search) in [
        ("newest 100", plain.clone()),
        (
            "metric + param + status, by metric, 100",
            Search { filter: filtered, order: by_metric(), ..plain.clone() },
        ),
        (
            "rare metric + param, by metric, 100",
            Search { filter: rare, order: by_metric(), ..plain.clone() },
        ),
        ("by tag, newest 100", Search { filter: tagged, ..plain.clone() }),
        ("by metric, 1000", Search { order: by_metric(), limit: 1000, ..plain.clone() }),
        (
            "by metric, 1000, from 10000 on",
            Search { order: by_metric(), limit: 1000, offset: 10_000, ..plain.clone() },
        ),
        (
            "by param, 100",
            Search { order: vec![Order::by(Field::Param("p1".into()), false)], ..plain },
        ),
    ] {
        p50(name, 30, || ask(store, scope, &search))?;
    }
    Ok(())
}

fn writes(store: &Store, scope: Scope) -> Answer<()> {
    let mut step = 0;
    p50("log_metric, one asker", 300, || {
        step += 1;
        let row = point("single", 0.5, step);
        store.write_blocking("log", move |tx| {
            run::find(tx, &scope, &id(1))?;
            metric::log_many(tx, &scope, (&id(1), "1"), std::slice::from_ref(&row))
        })?;
        Ok(())
    })?;
    for (name, keys) in [("1 key", 1), ("10 keys", 10), ("1000 keys", 1000)] {
        let mut step = 0;
        p50(&format!("log_batch of 1000 points, {name}"), 30, || {
            step += 1000;
            let rows: Vec<MetricRow> =
                (0..1000).map(|i| point(&format!("b{}", i % keys), 0.5, step + i)).collect();
            store.write_blocking("batch", move |tx| {
                run::find(tx, &scope, &id(2))?;
                metric::log_many(tx, &scope, (&id(2), "1"), &rows)
            })?;
            Ok(())
        })?;
    }
    Ok(())
}

fn histories(store: &Store, scope: Scope) -> Answer<()> {
    for start in (0..POINTS).step_by(1000) {
        let rows: Vec<MetricRow> =
            (start..start + 1000).map(|step| point("long", (step as f64).sin(), step)).collect();
        let log = move |tx: &mut Tx| metric::log_many(tx, &scope, (&id(3), "1"), &rows);
        store.write_blocking("long", log)?;
    }
    p50("history of 100,000 points in pages of 25,000", 10, || {
        for page in 0..4 {
            let part = store.read_blocking("history", move |tx| {
                metric::history(tx, &scope, (&id(3), "long"), (25_000, page * 25_000))
            })?;
            if part.points.len() != 25_000 {
                return Err("points are missing".into());
            }
        }
        Ok(())
    })?;
    p50("chart of 320 of 100,000 points", 20, || {
        let picked = store.read_blocking("chart", move |tx| {
            let mut points = metric::points(tx, &scope, (&id(3), "long"))?;
            Ok::<_, StoreError>(metric::sample(&mut points, 320))
        })?;
        if picked.len() == 320 { Ok(()) } else { Err("points are missing".into()) }
    })
}
