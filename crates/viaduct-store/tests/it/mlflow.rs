//! Tracking and registry: MLflow's objects.

use viaduct_base::*;
use viaduct_store::mlflow::experiment::{self, ExperimentRow};
use viaduct_store::mlflow::logged_model::{self, LoggedModelRow, PairKind};
use viaduct_store::mlflow::metric::{self, MetricRow};
use viaduct_store::mlflow::registry::{self, AliasRow, ModelRow, Tagged, VersionRow};
use viaduct_store::mlflow::run::{self, RunInputRow, RunModelRow, RunRow};
use viaduct_store::mlflow::run_parts;
use viaduct_store::mlflow::search::{self, Search};
use viaduct_store::mlflow::{Lifecycle, Pair, pair};
use viaduct_store::{Scope, StoreError, Tx};

use crate::world::{World, at, store_contract};

store_contract!(
    experiments,
    runs,
    points_of_metrics,
    parts_of_many_runs,
    pairs_of_runs,
    inputs_and_models_of_runs,
    long_histories,
    logged_models,
    registered_models,
    versions_and_aliases,
);

pub(crate) fn pair(key: &str, value: &str) -> Pair {
    Pair { key: key.to_owned(), value: value.to_owned() }
}

pub(crate) fn new_experiment(id: &str) -> ExperimentRow {
    ExperimentRow {
        experiment_id: id.to_owned(),
        name: format!("experiment {id}"),
        artifact_location: format!("mlflow-artifacts:/{id}"),
        lifecycle: Lifecycle::Active,
        created_at: at(1),
        updated_at: at(1),
        deleted_at: None,
    }
}

pub(crate) fn new_run(id: &str, started: i64) -> RunRow {
    RunRow {
        run_id: id.to_owned(),
        experiment_id: "1".to_owned(),
        name: format!("Run {id}"),
        user_name: String::new(),
        status: "RUNNING".to_owned(),
        started_at: at(started),
        ended_at: None,
        lifecycle: Lifecycle::Active,
        artifact_uri: format!("mlflow-artifacts:/1/{id}/artifacts"),
        deleted_at: None,
    }
}

/// Experiment `1` with runs `a`, `b`, … that began one after another.
pub(crate) fn with_runs(world: &World, count: usize) -> Scope {
    let scope = world.scope;
    world
        .write(move |tx| {
            experiment::insert(tx, &scope, &new_experiment("1"))?;
            ('a'..='z').take(count).enumerate().try_for_each(|(i, id)| {
                run::insert(tx, &scope, &new_run(&id.to_string(), i as i64))
            })
        })
        .unwrap();
    scope
}

fn experiments(world: World) {
    let scope = world.scope;
    assert_eq!(world.write(experiment::next_id).unwrap(), "0");
    let insert = |id: &'static str| {
        world.write(move |tx| experiment::insert(tx, &scope, &new_experiment(id)))
    };
    for id in ["0", "9", "10"] {
        insert(id).unwrap();
    }
    let same_id = ExperimentRow { name: "unlike".into(), ..new_experiment("9") };
    let refused = world.write(move |tx| experiment::insert(tx, &scope, &same_id)).unwrap_err();
    assert!(refused.is_unique("experiment", "experiment_id"), "{refused:?}");
    let same_name = ExperimentRow { experiment_id: "11".into(), ..new_experiment("9") };
    let refused = world.write(move |tx| experiment::insert(tx, &scope, &same_name)).unwrap_err();
    assert!(refused.is_unique("experiment", "workspace_id, name"), "{refused:?}");
    assert_eq!(world.write(experiment::next_id).unwrap(), "11", "by number, not by letter");
    let changed = ExperimentRow {
        name: "other".into(),
        lifecycle: Lifecycle::Deleted,
        updated_at: at(5),
        ..new_experiment("9")
    };
    let wanted = changed.clone();
    world.write(move |tx| experiment::update(tx, &scope, &changed)).unwrap();
    assert_eq!(
        world.read(move |tx| experiment::find(tx, &scope, "9")).unwrap(),
        Some(wanted.clone())
    );
    let found = world.read(move |tx| experiment::find_by_name(tx, &scope, "other")).unwrap();
    assert_eq!(found, Some(wanted));
    let ids: Vec<String> = world
        .read(move |tx| experiment::list(tx, &scope))
        .unwrap()
        .into_iter()
        .map(|row| row.experiment_id)
        .collect();
    assert_eq!(ids, ["10", "9", "0"]);
    let tags = world
        .write(move |tx| {
            pair::set_experiment_tag(tx, &scope, "9", &pair("b", "1"))?;
            pair::set_experiment_tag(tx, &scope, "9", &pair("a", "1"))?;
            pair::set_experiment_tag(tx, &scope, "9", &pair("b", "2"))?;
            assert!(pair::delete_experiment_tag(tx, &scope, "9", "a")?);
            assert!(!pair::delete_experiment_tag(tx, &scope, "9", "a")?);
            pair::list_experiment_tags(tx, &scope, "9")
        })
        .unwrap();
    assert_eq!(tags, [pair("b", "2")]);
    let stranger = Scope::of(WorkspaceId::new(at(0)));
    assert_eq!(world.read(move |tx| experiment::find(tx, &stranger, "9")).unwrap(), None);
}

fn runs(world: World) {
    let scope = with_runs(&world, 3);
    let changed = RunRow {
        name: "new".into(),
        status: "FINISHED".into(),
        ended_at: Some(at(9)),
        ..new_run("b", 1)
    };
    let wanted = changed.clone();
    world.write(move |tx| run::update(tx, &scope, &changed)).unwrap();
    assert_eq!(world.read(move |tx| run::find(tx, &scope, "b")).unwrap(), Some(wanted));
    let lifecycles = move |tx: &mut Tx| -> Result<Vec<(Lifecycle, bool)>, StoreError> {
        let rows = run::list(tx, &scope, "1")?;
        Ok(rows.into_iter().map(|row| (row.lifecycle, row.deleted_at.is_some())).collect())
    };
    let set = |deleted_at: Option<Timestamp>| {
        world.write(move |tx| run::update_lifecycle_of_experiment(tx, &scope, "1", deleted_at))
    };
    set(Some(at(20))).unwrap();
    assert_eq!(world.read(lifecycles).unwrap(), [(Lifecycle::Deleted, true); 3]);
    set(None).unwrap();
    assert_eq!(world.read(lifecycles).unwrap(), [(Lifecycle::Active, false); 3]);
    let ids: Vec<_> = world.read(move |tx| run::list(tx, &scope, "1")).unwrap();
    assert_eq!(ids.iter().map(|row| row.run_id.as_str()).collect::<Vec<_>>(), ["c", "b", "a"]);
}

fn point(key: &str, value: f64, second: i64, step: i64) -> MetricRow {
    MetricRow { key: key.to_owned(), value, at: at(second), step }
}

fn points_of_metrics(world: World) {
    let scope = with_runs(&world, 1);
    world
        .write(move |tx| {
            for row in [
                point("m", 1.0, 5, 2),
                point("m", 9.0, 9, 1),
                point("m", 1.0, 5, 2),
                point("m", 3.0, 5, 2),
                point("m", 2.0, 5, 2),
                point("up", f64::INFINITY, 1, 0),
                point("nan", f64::NAN, 1, 0),
            ] {
                metric::log(tx, &scope, "a", &row)?;
            }
            Ok(())
        })
        .unwrap();
    let latest = world.read(move |tx| metric::list_latest(tx, &scope, "a")).unwrap();
    assert_eq!(latest[0], point("m", 3.0, 5, 2), "the greatest step, then moment, then value");
    assert!(latest[1].value.is_nan());
    assert_eq!(latest[2], point("up", f64::MAX, 1, 0));
    let history = |part| {
        let part = world.read(move |tx| metric::history(tx, &scope, ("a", "m"), part)).unwrap();
        (part.points.into_iter().map(|p| p.of("m")).collect::<Vec<_>>(), part.more)
    };
    let all = [
        point("m", 1.0, 5, 2),
        point("m", 2.0, 5, 2),
        point("m", 3.0, 5, 2),
        point("m", 9.0, 9, 1),
    ];
    assert_eq!(history((10, 0)), (all.to_vec(), false));
    assert_eq!(history((2, 1)), (all[1..3].to_vec(), true));
    assert_eq!(history((2, 2)), (all[2..].to_vec(), false));
}

/// Points come one by one and in batches, in order and out of it, some twice: a history is the set
/// of them, whatever was packed when.
fn long_histories(world: World) {
    let scope = with_runs(&world, 1);
    let single = |i: i64| point("m", (i % 7) as f64, 1000 + i / 2, i % 50);
    let mut calls: Vec<Vec<MetricRow>> = (0..1300).map(|i| vec![single(i)]).collect();
    calls.push((5000..5300).map(single).collect());
    calls.push((100..150).map(single).collect());
    calls.push((0..20).map(|i| point("m", f64::NAN, i, i)).collect());
    calls.push((0..40).map(|i| point(&format!("k{i}"), 1.0, 1, 0)).collect());
    let mut naive: Vec<MetricRow> =
        calls.iter().flatten().filter(|row| row.key == "m").cloned().collect();
    naive.sort_by(|a, b| (a.at, a.step).cmp(&(b.at, b.step)).then(a.value.total_cmp(&b.value)));
    naive.dedup_by(|a, b| format!("{a:?}") == format!("{b:?}"));
    world
        .write(move |tx| {
            calls.iter().try_for_each(|rows| metric::log_many(tx, &scope, ("a", "1"), rows))
        })
        .unwrap();
    let shown = |rows: &[MetricRow]| format!("{rows:?}");
    for size in [1, 7, 256, 600, 5000] {
        let (mut read, mut offset) = (Vec::new(), 0);
        loop {
            let part = (if size == 1 { 100 } else { size }, offset);
            let part = world.read(move |tx| metric::history(tx, &scope, ("a", "m"), part)).unwrap();
            offset += part.points.len();
            read.extend(part.points.into_iter().map(|p| p.of("m")));
            if !part.more {
                break;
            }
        }
        assert_eq!(shown(&read), shown(&naive), "pages of {size}");
    }
    let all = world.read(move |tx| metric::points(tx, &scope, ("a", "m"))).unwrap();
    assert_eq!(all.len(), naive.len());
    let latest = world.read(move |tx| metric::list_latest(tx, &scope, "a")).unwrap();
    assert_eq!(latest.len(), 41);
    let last = naive
        .iter()
        .max_by(|a, b| (a.step, a.at).cmp(&(b.step, b.at)).then(a.value.total_cmp(&b.value)));
    assert_eq!(latest.iter().find(|row| row.key == "m"), last);
}

/// More than a driver keeps before somebody reads, of each part, and more runs than one question
/// names.
fn parts_of_many_runs(world: World) {
    let scope = with_runs(&world, 0);
    let ids: Vec<String> = (0..1100).map(|number| format!("r{number}")).collect();
    let made = ids.clone();
    world
        .write(move |tx| made.iter().try_for_each(|id| run::insert(tx, &scope, &new_run(id, 1))))
        .unwrap();
    let long = "x".repeat(2000);
    let pairs = [pair("a", &long), pair("b", &long)];
    let (logged, expected) = (ids.clone(), pairs.clone());
    world
        .write(move |tx| {
            logged.iter().try_for_each(|id| {
                pair::insert_params(tx, &scope, (id, "1"), &pairs)?;
                pair::set_run_tags(tx, &scope, (id, "1"), &pairs)?;
                metric::log_many(tx, &scope, (id, "1"), &[point(id, 1.0, 1, 0)])
            })
        })
        .unwrap();
    let asked = ids.clone();
    let parts = world.read(move |tx| run_parts::of_runs(tx, &scope, &asked)).unwrap();
    assert_eq!(parts.len(), ids.len());
    for (id, parts) in ids.iter().zip(parts) {
        assert_eq!((&parts.params[..], &parts.tags[..]), (&expected[..], &expected[..]), "{id}");
        assert_eq!(parts.metrics, [point(id, 1.0, 1, 0)]);
    }
}

fn pairs_of_runs(world: World) {
    let scope = with_runs(&world, 2);
    world
        .write(move |tx| {
            pair::insert_param(tx, &scope, "a", &pair("p", "1"))?;
            pair::insert_param(tx, &scope, "a", &pair("o", "ü"))?;
            pair::set_run_tag(tx, &scope, "a", &pair("t", "1"))?;
            pair::set_run_tag(tx, &scope, "a", &pair("t", "2"))?;
            pair::set_run_tag(tx, &scope, "b", &pair("u", "3"))
        })
        .unwrap();
    let again = world.write(move |tx| pair::insert_param(tx, &scope, "a", &pair("p", "2")));
    assert!(again.unwrap_err().is_unique("param", "run_id, key"));
    let found = world.read(move |tx| pair::find_param(tx, &scope, "a", "p")).unwrap();
    assert_eq!(found, Some(pair("p", "1")));
    let ids = ["a", "b"].map(str::to_owned);
    let parts = world.read(move |tx| run_parts::of_runs(tx, &scope, &ids)).unwrap();
    assert_eq!(parts[0].params, [pair("o", "ü"), pair("p", "1")]);
    assert_eq!(parts[0].tags, [pair("t", "2")]);
    assert_eq!(parts[1].tags, [pair("u", "3")]);
    let one = world.read(move |tx| run_parts::of_run(tx, &scope, "a")).unwrap();
    assert_eq!(one, parts[0]);
    let gone = world
        .write(move |tx| {
            let first = pair::delete_run_tag(tx, &scope, "a", "t")?;
            Ok((first, pair::delete_run_tag(tx, &scope, "a", "t")?))
        })
        .unwrap();
    assert_eq!(gone, (true, false));
}

fn inputs_and_models_of_runs(world: World) {
    let scope = with_runs(&world, 1);
    let input = |name: &str| RunInputRow {
        name: name.to_owned(),
        digest: "d".to_owned(),
        dataset_json: "{}".to_owned(),
        tags_json: r#"{"mlflow.data.context":"training"}"#.to_owned(),
    };
    let model = |id: &str, direction: &str| RunModelRow {
        model_id: id.to_owned(),
        direction: direction.to_owned(),
        step: 7,
    };
    let (inputs, models) =
        ([input("z"), input("a")], [model("m-1", "output"), model("m-2", "input")]);
    let (wanted_inputs, wanted_models) = (inputs.clone(), models.clone());
    for _ in 0..2 {
        let (inputs, models) = (inputs.clone(), models.clone());
        world
            .write(move |tx| {
                inputs.iter().try_for_each(|row| run::insert_input(tx, &scope, "a", row))?;
                models.iter().try_for_each(|row| run::insert_model(tx, &scope, "a", row))
            })
            .unwrap();
    }
    let ids = ["a".to_owned()];
    let parts = world.read(move |tx| run_parts::of_runs(tx, &scope, &ids)).unwrap();
    assert_eq!(parts[0].inputs, wanted_inputs, "in the order in which they were noted, each once");
    assert_eq!(parts[0].models, wanted_models);
}

fn logged_models(world: World) {
    let scope = with_runs(&world, 1);
    let new = |id: &str, second: i64| LoggedModelRow {
        model_id: id.to_owned(),
        experiment_id: "1".to_owned(),
        name: "net".to_owned(),
        artifact_uri: format!("mlflow-artifacts:/1/models/{id}/artifacts"),
        status: "LOGGED_MODEL_PENDING".to_owned(),
        status_message: None,
        model_type: Some("classifier".to_owned()),
        source_run_id: Some("a".to_owned()),
        created_at: at(second),
        updated_at: at(second),
        deleted_at: None,
    };
    let (one, two) = (new("m-1", 1), new("m-2", 2));
    let (wanted_one, wanted_two) = (one.clone(), two.clone());
    let pairs = world
        .write(move |tx| {
            logged_model::insert(tx, &scope, &one)?;
            logged_model::insert(tx, &scope, &two)?;
            for (kind, value) in
                [(PairKind::Param, "1"), (PairKind::Tag, "2"), (PairKind::Tag, "3")]
            {
                logged_model::set_pair(tx, &scope, ("m-1", kind), &pair("k", value))?;
            }
            assert!(!logged_model::delete_pair(tx, &scope, ("m-1", PairKind::Tag), "none")?);
            let tags = logged_model::list_pairs(tx, &scope, ("m-1", PairKind::Tag))?;
            assert!(logged_model::delete_pair(tx, &scope, ("m-1", PairKind::Tag), "k")?);
            Ok((tags, logged_model::list_pairs(tx, &scope, ("m-1", PairKind::Param))?))
        })
        .unwrap();
    assert_eq!(pairs, (vec![pair("k", "3")], vec![pair("k", "1")]));
    let list = move |tx: &mut Tx| logged_model::list(tx, &scope, "1");
    assert_eq!(world.read(list).unwrap(), [wanted_two, wanted_one.clone()]);
    let done =
        LoggedModelRow { status: "LOGGED_MODEL_READY".into(), updated_at: at(8), ..wanted_one };
    let gone = LoggedModelRow { deleted_at: Some(at(9)), ..done.clone() };
    let (wanted, first) = (done.clone(), done);
    world.write(move |tx| logged_model::update(tx, &scope, &first)).unwrap();
    assert_eq!(world.read(move |tx| logged_model::find(tx, &scope, "m-1")).unwrap(), Some(wanted));
    world.write(move |tx| logged_model::update(tx, &scope, &gone)).unwrap();
    assert_eq!(world.read(move |tx| logged_model::find(tx, &scope, "m-1")).unwrap(), None);
    assert_eq!(world.read(list).unwrap().len(), 1);
}

fn new_model(name: &str) -> ModelRow {
    ModelRow {
        name: name.to_owned(),
        description: None,
        created_at: at(1),
        updated_at: at(1),
        next_version: 1,
    }
}

fn new_version(name: &str, version: i64) -> VersionRow {
    VersionRow {
        name: name.to_owned(),
        version,
        description: None,
        user_name: "ada".to_owned(),
        current_stage: "None".to_owned(),
        source: "runs:/a/model".to_owned(),
        storage_path: "1/a/artifacts/model".to_owned(),
        run_id: Some("a".to_owned()),
        run_link: None,
        model_id: None,
        status: "READY".to_owned(),
        status_message: None,
        created_at: at(version),
        updated_at: at(version),
    }
}

fn everything() -> Search {
    Search { limit: 100, ..Search::default() }
}

fn registered_models(world: World) {
    let scope = world.scope;
    world
        .write(move |tx| {
            for name in ["b", "a", "ä", "B"] {
                registry::insert_model(tx, &scope, &new_model(name))?;
            }
            registry::set_tag(tx, &scope, Tagged::Model("a"), &pair("k", "1"))?;
            registry::set_tag(tx, &scope, Tagged::Model("a"), &pair("k", "2"))?;
            registry::set_tag(tx, &scope, Tagged::Model("a"), &pair("l", "3"))?;
            registry::delete_tag(tx, &scope, Tagged::Model("a"), "l")
        })
        .unwrap();
    let again = world.write(move |tx| registry::insert_model(tx, &scope, &new_model("a")));
    assert!(again.unwrap_err().is_unique("registered_model", "workspace_id, name"));
    let names = move |tx: &mut Tx| -> Result<Vec<String>, StoreError> {
        Ok(search::registered_models(tx, &scope, &everything())?
            .into_iter()
            .map(|row| row.name)
            .collect())
    };
    assert_eq!(world.read(names).unwrap(), ["B", "a", "b", "ä"], "bytewise on both");
    let described =
        ModelRow { description: Some("what".into()), updated_at: at(7), ..new_model("a") };
    let wanted = described.clone();
    world.write(move |tx| registry::update_model(tx, &scope, &described)).unwrap();
    assert_eq!(world.read(move |tx| registry::find_model(tx, &scope, "a")).unwrap(), Some(wanted));
    assert_eq!(
        world.read(move |tx| registry::list_tags(tx, &scope, Tagged::Model("a"))).unwrap(),
        [pair("k", "2")]
    );
}

fn versions_and_aliases(world: World) {
    let scope = world.scope;
    let alias = |name: &str, version: i64| AliasRow { alias: name.into(), version, set_at: at(3) };
    let (champion, later, other) = (alias("champion", 1), alias("champion", 2), alias("old", 1));
    let taken = world
        .write(move |tx| {
            registry::insert_model(tx, &scope, &new_model("m"))?;
            let none = registry::take_version(tx, &scope, "none", at(1))?;
            assert_eq!(none, None);
            let mut taken = Vec::new();
            for _ in 0..3 {
                let version = registry::take_version(tx, &scope, "m", at(2))?.unwrap_or(0);
                registry::insert_version(tx, &scope, &new_version("m", version))?;
                taken.push(version);
            }
            registry::set_alias(tx, &scope, "m", &champion)?;
            registry::set_alias(tx, &scope, "m", &later)?;
            registry::set_alias(tx, &scope, "m", &other)?;
            registry::set_tag(tx, &scope, Tagged::Version("m", 2), &pair("k", "1"))?;
            registry::set_tag(tx, &scope, Tagged::Version("m", 2), &pair("l", "1"))?;
            registry::delete_tag(tx, &scope, Tagged::Version("m", 2), "l")?;
            registry::delete_version(tx, &scope, ("m", 3))?;
            Ok(taken)
        })
        .unwrap();
    assert_eq!(taken, [1, 2, 3]);
    let next = world.write(move |tx| registry::take_version(tx, &scope, "m", at(2))).unwrap();
    assert_eq!(next, Some(4), "a number is given once");
    let staged =
        VersionRow { current_stage: "Production".into(), updated_at: at(9), ..new_version("m", 1) };
    world.write(move |tx| registry::update_version(tx, &scope, &staged)).unwrap();
    world.write(move |tx| registry::rename_model(tx, &scope, ("m", "n"), at(10))).unwrap();
    let numbers = |rows: Vec<VersionRow>| rows.iter().map(|v| v.version).collect::<Vec<_>>();
    let of = world.read(move |tx| registry::list_versions(tx, &scope, "n")).unwrap();
    assert_eq!(numbers(of), [2, 1]);
    let all = world.read(move |tx| search::versions(tx, &scope, &everything())).unwrap();
    assert_eq!(numbers(all), [1, 2], "latest change first");
    assert_eq!(
        world.read(move |tx| registry::list_tags(tx, &scope, Tagged::Version("n", 2))).unwrap(),
        [pair("k", "1")]
    );
    let aliases = move |tx: &mut Tx| registry::list_aliases(tx, &scope, "n");
    assert_eq!(world.read(aliases).unwrap(), [alias("champion", 2), alias("old", 1)]);
    world
        .write(move |tx| {
            registry::delete_alias(tx, &scope, "n", "old")?;
            registry::delete_version(tx, &scope, ("n", 2))
        })
        .unwrap();
    assert_eq!(world.read(aliases).unwrap(), [], "aliases of a deleted version go with it");
    world.write(move |tx| registry::delete_model(tx, &scope, "n")).unwrap();
    assert_eq!(world.read(move |tx| registry::find_version(tx, &scope, ("n", 1))).unwrap(), None);
    assert_eq!(world.read(move |tx| registry::find_model(tx, &scope, "n")).unwrap(), None);
}
