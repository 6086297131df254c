//! Searches of experiments, logged models, registered models and versions; datasets; changes.

use viaduct_store::mlflow::change::{self, ChangeRow};
use viaduct_store::mlflow::dataset::{self, DatasetSummary};
use viaduct_store::mlflow::logged_model::{self, LoggedModelRow, PairKind};
use viaduct_store::mlflow::metric::MetricRow;
use viaduct_store::mlflow::model_metric::{self, ModelMetricRow};
use viaduct_store::mlflow::registry::{self, AliasRow, ModelRow, Tagged, VersionRow};
use viaduct_store::mlflow::run::{self, RunInputRow};
use viaduct_store::mlflow::search::{
    self, Comparator, Comparison, Field, Filter, Operand, Order, Search, Test,
};
use viaduct_store::mlflow::{Lifecycle, experiment, pair};

use crate::mlflow::{new_experiment, new_run, pair};
use crate::world::{World, at, store_contract};

store_contract!(experiments, logged_models, registry_entries, datasets, changes);

fn is(field: Field, comparator: Comparator, text: &str) -> Filter {
    let test = Test::Is(comparator, Operand::Text(text.to_owned()));
    Filter::One(Comparison { field, test })
}

fn wanted(filter: Filter, order: Vec<Order>) -> Search {
    Search {
        experiment_ids: vec!["1".into()],
        lifecycles: vec![Lifecycle::Active],
        filter,
        order,
        limit: 100,
        ..Search::default()
    }
}

fn experiments(world: World) {
    let scope = world.scope;
    world
        .write(move |tx| {
            for id in ["2", "10", "1"] {
                experiment::insert(tx, &scope, &new_experiment(id))?;
                pair::set_experiment_tag(tx, &scope, id, &pair("t", &format!("v{id}")))?;
            }
            pair::set_experiment_tag(tx, &scope, "1", &pair("u", "x"))
        })
        .unwrap();
    let ask = |filter, order| {
        let search = wanted(filter, order);
        let rows = world.read(move |tx| search::experiments(tx, &scope, &search)).unwrap();
        rows.into_iter().map(|row| row.experiment_id).collect::<Vec<_>>()
    };
    assert_eq!(ask(Filter::default(), vec![]), ["1", "2", "10"], "made alike, by number");
    let id = || Field::Digits("experiment_id");
    assert_eq!(ask(Filter::default(), vec![Order::by(id(), true)]), ["10", "2", "1"]);
    let name = Order::by(Field::Text("name"), false);
    assert_eq!(ask(Filter::default(), vec![name]), ["1", "10", "2"]);
    let tag = || Field::Tag("t".into());
    assert_eq!(ask(is(tag(), Comparator::Like, "v1%"), vec![]), ["1", "10"]);
    let absent = Comparison { field: Field::Tag("u".into()), test: Test::Absent };
    assert_eq!(ask(Filter::One(absent), vec![]), ["2", "10"]);
    let ids = ["10".to_owned(), "none".to_owned(), "1".to_owned()];
    let tags = world.read(move |tx| pair::tags_of_experiments(tx, &scope, &ids)).unwrap();
    assert_eq!(tags, [vec![pair("t", "v10")], vec![], vec![pair("t", "v1"), pair("u", "x")]]);
}

fn logged_models(world: World) {
    let scope = world.scope;
    let model = |id: &str, second: i64| LoggedModelRow {
        model_id: id.to_owned(),
        experiment_id: "1".to_owned(),
        name: "net".to_owned(),
        artifact_uri: "mlflow-artifacts:/1".to_owned(),
        status: "LOGGED_MODEL_READY".to_owned(),
        status_message: None,
        model_type: None,
        source_run_id: Some("a".to_owned()),
        created_at: at(second),
        updated_at: at(second),
        deleted_at: None,
    };
    let measured = |id: &str, value: f64, second: i64, dataset: Option<&str>| ModelMetricRow {
        model_id: id.to_owned(),
        run_id: "a".to_owned(),
        metric: MetricRow { key: "acc".into(), value, at: at(second), step: 0 },
        dataset_name: dataset.map(str::to_owned),
        dataset_digest: dataset.map(|_| "d".to_owned()),
    };
    let models = [model("m-1", 1), model("m-2", 2), model("m-3", 3)];
    let points = [
        measured("m-1", 0.9, 1, Some("test")),
        measured("m-1", 0.1, 2, Some("train")),
        measured("m-2", 0.5, 1, Some("test")),
        measured("m-2", 0.5, 1, Some("test")),
    ];
    let first_point = points[0].clone();
    world
        .write(move |tx| {
            experiment::insert(tx, &scope, &new_experiment("1"))?;
            models.iter().try_for_each(|row| logged_model::insert(tx, &scope, row))?;
            logged_model::set_pair(tx, &scope, ("m-1", PairKind::Param), &pair("k", "p"))?;
            logged_model::set_pair(tx, &scope, ("m-2", PairKind::Tag), &pair("k", "t"))?;
            points.iter().try_for_each(|row| model_metric::insert(tx, &scope, "1", row))
        })
        .unwrap();
    let ask = |search: Search| {
        let rows = world.read(move |tx| search::logged_models(tx, &scope, &search)).unwrap();
        rows.into_iter().map(|row| row.model_id).collect::<Vec<_>>()
    };
    assert_eq!(ask(wanted(Filter::default(), vec![])), ["m-3", "m-2", "m-1"]);
    assert_eq!(ask(wanted(is(Field::Param("k".into()), Comparator::Equal, "p"), vec![])), ["m-1"]);
    assert_eq!(ask(wanted(is(Field::Tag("k".into()), Comparator::Equal, "p"), vec![])), [""; 0]);
    let acc = |value| {
        let test = Test::Is(Comparator::Greater, Operand::Number(value));
        Filter::One(Comparison { field: Field::Metric("acc".into()), test })
    };
    assert_eq!(ask(wanted(acc(0.4), vec![])), ["m-2", "m-1"], "any point");
    let on = |name: &str| vec![(name.to_owned(), None)];
    let trained = Search { datasets: on("train"), ..wanted(acc(0.4), vec![]) };
    assert_eq!(ask(trained), [""; 0]);
    let trained = Search { datasets: on("train"), ..wanted(Filter::default(), vec![]) };
    assert_eq!(ask(trained), ["m-1"]);
    let order = Order::by(Field::Metric("acc".into()), true);
    assert_eq!(ask(wanted(Filter::default(), vec![order.clone()])), ["m-2", "m-1", "m-3"]);
    let dataset = Some(("test".to_owned(), Some("d".to_owned())));
    let order = Order { dataset, ..order };
    assert_eq!(ask(wanted(Filter::default(), vec![order])), ["m-1", "m-2", "m-3"]);
    let ids = ["m-3".to_owned(), "m-1".to_owned()];
    let metrics = world.read(move |tx| model_metric::of_models(tx, &scope, &ids)).unwrap();
    assert_eq!((metrics[0].len(), metrics[1].len()), (0, 2));
    assert_eq!(metrics[1][0], first_point);
    let made = world.read(move |tx| logged_model::list_by_run(tx, &scope, "a")).unwrap();
    assert_eq!(made.len(), 3);
}

fn model(name: &str) -> ModelRow {
    ModelRow {
        name: name.to_owned(),
        description: None,
        created_at: at(1),
        updated_at: at(1),
        next_version: 1,
    }
}

fn version(name: &str, version: i64, stage: &str) -> VersionRow {
    VersionRow {
        name: name.to_owned(),
        version,
        description: None,
        user_name: String::new(),
        current_stage: stage.to_owned(),
        source: "mlflow-artifacts:/1".to_owned(),
        storage_path: "1".to_owned(),
        run_id: Some("r".to_owned()),
        run_link: None,
        model_id: None,
        status: "READY".to_owned(),
        status_message: None,
        created_at: at(1),
        updated_at: at(version),
    }
}

fn registry_entries(world: World) {
    let scope = world.scope;
    let models = ["a", "b", "p"].map(model);
    let versions = [
        version("a", 1, "None"),
        version("a", 2, "Production"),
        version("a", 3, "None"),
        version("b", 9, "None"),
        version("p", 1, "None"),
    ];
    let (asked, asked_versions) = (models.clone(), versions.clone());
    world
        .write(move |tx| {
            models.iter().try_for_each(|row| registry::insert_model(tx, &scope, row))?;
            versions.iter().try_for_each(|row| registry::insert_version(tx, &scope, row))?;
            let prompt = pair("mlflow.prompt.is_prompt", "true");
            registry::set_tag(tx, &scope, Tagged::Model("p"), &prompt)?;
            registry::set_tag(tx, &scope, Tagged::Model("a"), &pair("k", "1"))?;
            registry::set_tag(tx, &scope, Tagged::Version("a", 2), &pair("k", "2"))?;
            let alias = AliasRow { alias: "champion".into(), version: 2, set_at: at(1) };
            registry::set_alias(tx, &scope, "a", &alias)
        })
        .unwrap();
    let names = |search: Search| {
        let rows = world.read(move |tx| search::registered_models(tx, &scope, &search)).unwrap();
        rows.into_iter().map(|row| row.name).collect::<String>()
    };
    let prompts = |search: Search| Search { prompts: true, ..search };
    assert_eq!(names(wanted(Filter::default(), vec![])), "ab");
    assert_eq!(names(prompts(wanted(Filter::default(), vec![]))), "p");
    assert_eq!(names(wanted(is(Field::Tag("k".into()), Comparator::Equal, "1"), vec![])), "a");
    let among = Comparison { field: Field::Text("name"), test: Test::NotAmong(vec!["a".into()]) };
    assert_eq!(names(wanted(Filter::One(among), vec![])), "b");
    let numbers = |search: Search| {
        let rows = world.read(move |tx| search::versions(tx, &scope, &search)).unwrap();
        rows.into_iter().map(|row| format!("{}{}", row.name, row.version)).collect::<Vec<_>>()
    };
    assert_eq!(numbers(wanted(Filter::default(), vec![])), ["b9", "a3", "a2", "a1"]);
    assert_eq!(numbers(prompts(wanted(Filter::default(), vec![]))), ["p1"]);
    let test = Test::Is(Comparator::LessOrEqual, Operand::Number(2.0));
    let few = Filter::One(Comparison { field: Field::Number("version"), test });
    let by_number = Order::by(Field::Number("version"), false);
    assert_eq!(numbers(wanted(few, vec![by_number])), ["a1", "a2"]);
    let parts = world.read(move |tx| registry::of_models(tx, &scope, &asked)).unwrap();
    assert_eq!(parts[0].tags, [pair("k", "1")]);
    assert_eq!(parts[0].aliases.len(), 1);
    let latest = |at: usize| parts[at].latest.iter().map(|v| v.version).collect::<Vec<_>>();
    assert_eq!((latest(0), latest(1)), (vec![3, 2], vec![9]));
    let parts = world.read(move |tx| registry::of_versions(tx, &scope, &asked_versions)).unwrap();
    assert_eq!((parts[1].tags.as_slice(), parts[1].aliases.len()), (&[pair("k", "2")][..], 1));
    assert_eq!((parts[0].tags.len(), parts[3].tags.len()), (0, 0));
}

fn datasets(world: World) {
    let scope = world.scope;
    let input = |name: &str, tags: &str| RunInputRow {
        name: name.to_owned(),
        digest: "d".to_owned(),
        dataset_json: "{}".to_owned(),
        tags_json: tags.to_owned(),
    };
    let inputs = [input("x", r#"{"mlflow.data.context":"eval"}"#), input("y", "{}")];
    world
        .write(move |tx| {
            experiment::insert(tx, &scope, &new_experiment("1"))?;
            for id in ["a", "b"] {
                run::insert(tx, &scope, &new_run(id, 1))?;
                inputs.iter().try_for_each(|row| run::insert_input(tx, &scope, id, row))?;
            }
            Ok(())
        })
        .unwrap();
    let summary = |name: &str, context: Option<&str>| DatasetSummary {
        experiment_id: "1".to_owned(),
        name: name.to_owned(),
        digest: "d".to_owned(),
        context: context.map(str::to_owned),
    };
    let ids = ["1".to_owned(), "2".to_owned()];
    let found = world.read(move |tx| dataset::summaries(tx, &scope, &ids, 10)).unwrap();
    assert_eq!(found, [summary("x", Some("eval")), summary("y", None)]);
}

fn changes(world: World) {
    let scope = world.scope;
    let row = |id: &str, subject: &str| ChangeRow {
        id: id.to_owned(),
        subject: subject.to_owned(),
        at: at(1),
        actor_kind: "user".to_owned(),
        actor_name: "ana".to_owned(),
        verb: "tags.set".to_owned(),
        change_json: "{}".to_owned(),
    };
    let rows = [row("01", "model:a"), row("02", "model:a"), row("03", "run:a")];
    let (first, second) = (rows[0].clone(), rows[1].clone());
    world.write(move |tx| rows.iter().try_for_each(|row| change::insert(tx, &scope, row))).unwrap();
    let list = |subject: &'static str, before: Option<&'static str>| {
        world.read(move |tx| change::list(tx, &scope, (subject, before), 10)).unwrap()
    };
    assert_eq!(list("model:a", None), [second, first.clone()]);
    assert_eq!(list("model:a", Some("02")), [first]);
    world.write(move |tx| change::rename(tx, &scope, ("model:a", "model:b"))).unwrap();
    assert_eq!((list("model:a", None).len(), list("model:b", None).len()), (0, 2));
}
