//! Searches of runs: what the SQL finds is what a plain walk over all runs finds.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use viaduct_store::mlflow::metric::{self, MetricRow};
use viaduct_store::mlflow::run::{self, RunInputRow, RunRow};
use viaduct_store::mlflow::search::{
    self, Comparator, Comparison, Field, Filter, Operand, Order, Search, Test,
};
use viaduct_store::mlflow::{Lifecycle, experiment, pair};

use crate::mlflow::{new_experiment, new_run, pair};
use crate::world::{World, at, store_contract};

store_contract!(random_searches, pages_are_whole, odd_texts);

const KEYS: [&str; 3] = ["a", "b/c", "o'; drop table run; --"];
const TEXTS: [&str; 7] = ["", "x", "xy", "X", "x%", "yx_y", "[x]*"];
const NUMBERS: [f64; 5] = [-1.0, 0.0, 0.5, 1.0, f64::NAN];

/// A run as the walk sees it.
#[derive(Debug, Clone)]
struct Seen {
    row: RunRow,
    metrics: BTreeMap<&'static str, f64>,
    params: BTreeMap<&'static str, &'static str>,
    tags: BTreeMap<&'static str, &'static str>,
    inputs: Vec<(&'static str, &'static str)>,
}

fn some_run(number: usize, dice: &mut StdRng) -> Seen {
    let mut seen = Seen {
        row: RunRow {
            experiment_id: ["1", "2"][dice.random_range(0..2)].to_owned(),
            name: (*TEXTS.choose(dice).unwrap()).to_owned(),
            status: ["RUNNING", "FINISHED"][dice.random_range(0..2)].to_owned(),
            started_at: at(dice.random_range(0..4)),
            ended_at: dice.random_bool(0.5).then(|| at(dice.random_range(4..6))),
            lifecycle: [Lifecycle::Active, Lifecycle::Deleted]
                [usize::from(number.is_multiple_of(9))],
            ..new_run(&format!("{number:04}"), 0)
        },
        metrics: BTreeMap::new(),
        params: BTreeMap::new(),
        tags: BTreeMap::new(),
        inputs: Vec::new(),
    };
    for key in KEYS {
        if dice.random_bool(0.6) {
            seen.metrics.insert(key, *NUMBERS.choose(dice).unwrap());
        }
        if dice.random_bool(0.6) {
            seen.params.insert(key, TEXTS.choose(dice).unwrap());
        }
        if dice.random_bool(0.6) {
            seen.tags.insert(key, TEXTS.choose(dice).unwrap());
        }
    }
    if dice.random_bool(0.5) {
        seen.inputs.push((TEXTS[1], TEXTS.choose(dice).unwrap()));
    }
    seen
}

fn fill(world: &World, count: usize, dice: &mut StdRng) -> Vec<Seen> {
    let runs: Vec<Seen> = (0..count).map(|number| some_run(number, dice)).collect();
    let (scope, written) = (world.scope, runs.clone());
    world
        .write(move |tx| {
            for id in ["1", "2"] {
                experiment::insert(tx, &scope, &new_experiment(id))?;
            }
            for seen in &written {
                let id = seen.row.run_id.as_str();
                run::insert(tx, &scope, &seen.row)?;
                let points: Vec<MetricRow> = seen
                    .metrics
                    .iter()
                    .map(|(key, value)| MetricRow {
                        key: (*key).to_owned(),
                        value: *value,
                        at: at(0),
                        step: 0,
                    })
                    .collect();
                let owner = (id, seen.row.experiment_id.as_str());
                metric::log_many(tx, &scope, owner, &points)?;
                let pairs = |of: &BTreeMap<&str, &str>| {
                    of.iter().map(|(key, value)| pair(key, value)).collect::<Vec<_>>()
                };
                pair::insert_params(tx, &scope, owner, &pairs(&seen.params))?;
                pair::set_run_tags(tx, &scope, owner, &pairs(&seen.tags))?;
                for (name, context) in &seen.inputs {
                    let tags = serde_json::json!({ "mlflow.data.context": context });
                    let input = RunInputRow {
                        name: (*name).to_owned(),
                        digest: "d".to_owned(),
                        dataset_json: "{}".to_owned(),
                        tags_json: tags.to_string(),
                    };
                    run::insert_input(tx, &scope, id, &input)?;
                }
            }
            Ok(())
        })
        .unwrap();
    runs
}

fn some_test(dice: &mut StdRng, numeric: bool, listable: bool) -> Test {
    use Comparator::*;
    let text = |dice: &mut StdRng| (*TEXTS.choose(dice).unwrap()).to_owned();
    if numeric {
        let sign =
            *[Equal, NotEqual, Greater, GreaterOrEqual, Less, LessOrEqual].choose(dice).unwrap();
        let number = [-1.0, 0.0, 0.5, 1.0, 7.5];
        return Test::Is(sign, Operand::Number(*number.choose(dice).unwrap()));
    }
    let texts = |dice: &mut StdRng| (0..dice.random_range(1..4)).map(|_| text(dice)).collect();
    match dice.random_range(0..if listable { 6 } else { 4 }) {
        0 => Test::Is(Equal, Operand::Text(text(dice))),
        1 => Test::Is(NotEqual, Operand::Text(text(dice))),
        2 => {
            let pattern = ["%x%", "x_", "X%", "%", "[x]*", "_"];
            Test::Is(Like, Operand::Text((*pattern.choose(dice).unwrap()).to_owned()))
        }
        3 => Test::Is(Ilike, Operand::Text("%X%".to_owned())),
        4 => Test::Among(texts(dice)),
        _ => Test::NotAmong(texts(dice)),
    }
}

fn some_filter(dice: &mut StdRng, depth: usize) -> Filter {
    if depth > 0 && dice.random_bool(0.6) {
        let parts = (0..dice.random_range(1..4)).map(|_| some_filter(dice, depth - 1)).collect();
        return if dice.random_bool(0.7) { Filter::All(parts) } else { Filter::Any(parts) };
    }
    let key = (*KEYS.choose(dice).unwrap()).to_owned();
    let (field, test) = match dice.random_range(0..9) {
        0 | 1 => (Field::Metric(key), some_test(dice, true, false)),
        2 => (Field::Param(key), some_test(dice, false, false)),
        3 => (Field::Tag(key), some_test(dice, false, false)),
        4 => (Field::Param(key), [Test::Absent, Test::Present][dice.random_range(0..2)].clone()),
        5 => (Field::Text("name"), some_test(dice, false, true)),
        6 => (Field::Dataset("context"), some_test(dice, false, true)),
        7 => (Field::Dataset("name"), some_test(dice, false, true)),
        _ => {
            let column = ["started_at", "ended_at"][dice.random_range(0..2)];
            let seconds = f64::from(dice.random_range(-1..7));
            let base = at(0).as_micros() as f64 / 1000.0 + seconds * 1000.0;
            let sign = [
                Comparator::Equal,
                Comparator::NotEqual,
                Comparator::Greater,
                Comparator::LessOrEqual,
            ][dice.random_range(0..4)];
            (Field::Moment(column), Test::Is(sign, Operand::Number(base)))
        }
    };
    Filter::One(Comparison { field, test })
}

/// A value of a run.
#[derive(Debug, Clone, PartialEq)]
enum Found {
    Text(String),
    Number(f64),
}

fn find(seen: &Seen, field: &Field) -> Vec<Found> {
    let text = |text: &str| Found::Text(text.to_owned());
    let millis = |at: viaduct_base::Timestamp| Found::Number((at.as_micros() / 1000) as f64);
    match field {
        Field::Metric(key) => {
            seen.metrics.get(key.as_str()).map(|v| Found::Number(*v)).into_iter().collect()
        }
        Field::Param(key) => seen.params.get(key.as_str()).map(|v| text(v)).into_iter().collect(),
        Field::Tag(key) => seen.tags.get(key.as_str()).map(|v| text(v)).into_iter().collect(),
        Field::Text("name") => vec![text(&seen.row.name)],
        Field::Text("run_id") => vec![text(&seen.row.run_id)],
        Field::Moment("started_at") => vec![millis(seen.row.started_at)],
        Field::Moment("ended_at") => seen.row.ended_at.map(millis).into_iter().collect(),
        Field::Dataset("name") => seen.inputs.iter().map(|(name, _)| text(name)).collect(),
        Field::Dataset("context") => seen.inputs.iter().map(|(_, of)| text(of)).collect(),
        other => panic!("{other:?}"),
    }
}

fn is_like(text: &[char], pattern: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('%', rest)) => (0..=text.len()).any(|from| is_like(&text[from..], rest)),
        Some((c, rest)) => {
            text.first().is_some_and(|t| *c == '_' || t == c) && is_like(&text[1..], rest)
        }
    }
}

fn meets(found: &Found, test: &Test) -> bool {
    use Comparator::*;
    let chars = |text: &str| text.chars().collect::<Vec<_>>();
    match (found, test) {
        (Found::Number(value), Test::Is(sign, Operand::Number(wanted))) => match sign {
            Equal => value == wanted,
            NotEqual => value != wanted,
            Greater => value > wanted,
            GreaterOrEqual => value >= wanted,
            Less => value < wanted,
            LessOrEqual => value <= wanted,
            Like | Ilike => false,
        },
        (Found::Text(value), Test::Is(sign, Operand::Text(wanted))) => match sign {
            Equal => value == wanted,
            NotEqual => value != wanted,
            Like => is_like(&chars(value), &chars(wanted)),
            Ilike => is_like(&chars(&value.to_lowercase()), &chars(&wanted.to_lowercase())),
            _ => false,
        },
        (Found::Text(value), Test::Among(texts)) => texts.contains(value),
        (Found::Text(value), Test::NotAmong(texts)) => !texts.contains(value),
        (_, Test::Present) => true,
        _ => false,
    }
}

fn holds(seen: &Seen, filter: &Filter) -> bool {
    match filter {
        Filter::All(all) => all.iter().all(|part| holds(seen, part)),
        Filter::Any(any) => any.iter().any(|part| holds(seen, part)),
        Filter::One(Comparison { field, test: Test::Absent }) => find(seen, field).is_empty(),
        Filter::One(Comparison { field, test }) => {
            find(seen, field).iter().any(|found| meets(found, test))
        }
    }
}

/// As MLflow orders: numbers, then NaN, then what is absent, whatever the direction.
fn before(a: &Seen, b: &Seen, order: &[Order]) -> std::cmp::Ordering {
    use std::cmp::Ordering;
    let rank = |found: &Option<Found>| match found {
        Some(Found::Number(number)) if number.is_nan() => 1,
        Some(_) => 0,
        None => 2,
    };
    for step in order {
        let (x, y) = (find(a, &step.field).pop(), find(b, &step.field).pop());
        let value = match (&x, &y) {
            (Some(Found::Number(x)), Some(Found::Number(y))) => {
                x.partial_cmp(y).unwrap_or(Ordering::Equal)
            }
            (Some(Found::Text(x)), Some(Found::Text(y))) => x.cmp(y),
            _ => Ordering::Equal,
        };
        let value = if step.descending { value.reverse() } else { value };
        let by = rank(&x).cmp(&rank(&y)).then(value);
        if by != Ordering::Equal {
            return by;
        }
    }
    b.row.started_at.cmp(&a.row.started_at).then(a.row.run_id.cmp(&b.row.run_id))
}

fn some_order(dice: &mut StdRng) -> Vec<Order> {
    let key = || KEYS[0].to_owned();
    let fields = [
        Field::Metric(key()),
        Field::Metric(KEYS[1].to_owned()),
        Field::Param(key()),
        Field::Tag(key()),
        Field::Text("name"),
        Field::Moment("started_at"),
        Field::Moment("ended_at"),
    ];
    let picked: Vec<Field> = fields.choose_multiple(dice, 2).cloned().collect();
    let steps = dice.random_range(0..3);
    picked.into_iter().take(steps).map(|field| Order::by(field, dice.random_bool(0.5))).collect()
}

fn ask(world: &World, search: &Search) -> Vec<String> {
    let (scope, search) = (world.scope, search.clone());
    let rows = world.read(move |tx| search::runs(tx, &scope, &search)).unwrap();
    rows.into_iter().map(|row| row.run_id).collect()
}

fn random_searches(world: World) {
    let mut dice = StdRng::seed_from_u64(7);
    let runs = fill(&world, 150, &mut dice);
    for round in 0..600 {
        let search = Search {
            experiment_ids: [&["1"][..], &["1", "2"], &["2", "9"]][round % 3]
                .iter()
                .map(|id| (*id).to_owned())
                .collect(),
            lifecycles: [&[Lifecycle::Active][..], &[Lifecycle::Active, Lifecycle::Deleted]]
                [round % 2]
                .to_vec(),
            filter: if round % 5 == 0 { Filter::default() } else { some_filter(&mut dice, 2) },
            order: some_order(&mut dice),
            limit: dice.random_range(1..40),
            offset: [0, 0, 3, 30, 70][round % 5],
            ..Search::default()
        };
        let mut expected: Vec<&Seen> = runs
            .iter()
            .filter(|seen| search.experiment_ids.contains(&seen.row.experiment_id))
            .filter(|seen| search.lifecycles.contains(&seen.row.lifecycle))
            .filter(|seen| holds(seen, &search.filter))
            .collect();
        expected.sort_by(|a, b| before(a, b, &search.order));
        let expected: Vec<&str> = expected
            .into_iter()
            .skip(search.offset as usize)
            .take(search.limit as usize)
            .map(|seen| seen.row.run_id.as_str())
            .collect();
        assert_eq!(ask(&world, &search), expected, "round {round}: {search:?}");
    }
}

fn pages_are_whole(world: World) {
    let mut dice = StdRng::seed_from_u64(8);
    let count = fill(&world, 120, &mut dice).len();
    let metric = Order::by(Field::Metric(KEYS[0].to_owned()), true);
    let mut all = Vec::new();
    for offset in (0..200).step_by(7) {
        all.extend(ask(
            &world,
            &Search {
                experiment_ids: vec!["1".into(), "2".into()],
                lifecycles: vec![Lifecycle::Active, Lifecycle::Deleted],
                order: vec![metric.clone()],
                limit: 7,
                offset,
                ..Search::default()
            },
        ));
    }
    assert_eq!(all.len(), count);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count, "each run stands on one page");
}

/// Long and odd values are found whole, though an index holds their beginning.
fn odd_texts(world: World) {
    let scope = world.scope;
    let long = |end: &str| format!("{}{end}", "ü".repeat(3000));
    let texts = [long("a"), long("b"), "'; drop table run; --".to_owned()];
    let written = texts.clone();
    world
        .write(move |tx| {
            experiment::insert(tx, &scope, &new_experiment("1"))?;
            for (number, text) in written.iter().enumerate() {
                let id = format!("{number}");
                run::insert(tx, &scope, &new_run(&id, 1))?;
                pair::insert_param(tx, &scope, &id, &pair("p", text))?;
                pair::set_run_tag(tx, &scope, &id, &pair("p", text))?;
            }
            Ok(())
        })
        .unwrap();
    for (number, text) in texts.iter().enumerate() {
        for field in [Field::Param("p".into()), Field::Tag("p".into())] {
            let test = Test::Is(Comparator::Equal, Operand::Text(text.clone()));
            let search = Search {
                experiment_ids: vec!["1".into()],
                lifecycles: vec![Lifecycle::Active],
                filter: Filter::One(Comparison { field, test }),
                limit: 10,
                ..Search::default()
            };
            assert_eq!(ask(&world, &search), [number.to_string()]);
        }
    }
    assert_eq!(ask(&world, &Search { limit: 10, ..Search::default() }), [""; 0]);
}
