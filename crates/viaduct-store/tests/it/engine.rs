//! What both engines must do alike, below the nouns.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};

use viaduct_base::{Error, Kind};
use viaduct_store::mlflow::pair::{self, RunPairs};
use viaduct_store::mlflow::{Pair, run};
use viaduct_store::{Foresight, Store, StoreError, project, setting, statement};

use crate::mlflow::{new_run, with_runs};
use crate::world::{World, at, new_project, store_contract};

store_contract!(
    values_round_trip,
    what_one_engine_cannot_keep_is_refused,
    text_is_ordered_by_bytes,
    refused_work_leaves_nothing,
    a_failed_statement_spoils_the_work,
    a_panic_is_contained,
    reads_cannot_write,
    unique_names_table_and_columns,
    wrong_number_of_values_is_an_error,
    many_writers_share_commits,
    neighbours_of_a_refused_write_stay,
    a_statement_that_nobody_waits_for_fails_its_own_command_alone,
    a_refusal_after_a_change_is_undone_alone,
    each_is_told_what_is_there,
    async_writes_and_reads,
    concurrent_updates_of_one_row,
);

statement!(
    ECHO,
    platform,
    "SELECT CAST($1 AS BIGINT) AS i, CAST($2 AS DOUBLE PRECISION) AS r, CAST($3 AS TEXT) AS t, \
     CAST($4 AS BIGINT) AS empty"
);

fn values_round_trip(world: World) {
    let row = world
        .read(|tx| {
            let values =
                [i64::MIN.into(), f64::MAX.into(), "ÿ'\"\n\u{1f600}".into(), None::<i64>.into()];
            tx.query_one(&ECHO, &values)
        })
        .unwrap()
        .unwrap();
    assert_eq!(row.int("i"), Ok(i64::MIN));
    assert_eq!(row.real("r"), Ok(f64::MAX));
    assert_eq!(row.text("t").unwrap(), "ÿ'\"\n\u{1f600}");
    assert_eq!(row.opt_int("empty"), Ok(None));
    assert!(matches!(row.int("empty"), Err(StoreError::Column { .. })));
    assert!(matches!(row.int("absent"), Err(StoreError::Column { .. })));
    assert!(matches!(row.int("t"), Err(StoreError::Column { .. })));
}

fn what_one_engine_cannot_keep_is_refused(world: World) {
    let nul = world.write(|tx| setting::put(tx, "a\0b", "", at(0)));
    assert!(matches!(nul, Err(StoreError::Unstorable { .. })), "{nul:?}");
    let nan = world.read(|tx| {
        tx.query_one(&ECHO, &[0i64.into(), f64::NAN.into(), "".into(), None::<i64>.into()])
    });
    assert!(matches!(nan, Err(StoreError::Unstorable { .. })), "{nan:?}");
}

fn text_is_ordered_by_bytes(world: World) {
    let scope = world.scope;
    for name in ["b", "B", "a", "é", "_", "Z", "ab", "a b"] {
        world.project(name);
    }
    let listed = world.read(move |tx| project::list(tx, &scope)).unwrap();
    let names: Vec<_> = listed.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["B", "Z", "_", "a", "a b", "ab", "b", "é"]);
}

fn refused_work_leaves_nothing(world: World) {
    #[derive(Debug, PartialEq)]
    enum Mine {
        Declined,
        Store(StoreError),
    }
    impl From<StoreError> for Mine {
        fn from(e: StoreError) -> Self {
            Self::Store(e)
        }
    }
    let answer = world.store.write_blocking("test", |tx| -> Result<(), Mine> {
        setting::put(tx, "k", "v", at(0))?;
        Err(Mine::Declined)
    });
    assert_eq!(answer, Err(Mine::Declined));
    assert_eq!(world.read(|tx| setting::find(tx, "k")), Ok(None));
}

fn a_failed_statement_spoils_the_work(world: World) {
    world.project("taken");
    let (scope, row) = (world.scope, new_project("taken"));
    let answer = world.write(move |tx| {
        setting::put(tx, "k", "v", at(0))?;
        let first = project::insert(tx, &scope, &row);
        assert!(matches!(first, Err(StoreError::Unique { .. })), "{first:?}");
        let second = setting::put(tx, "k", "w", at(0));
        assert!(matches!(second, Err(StoreError::Aborted { .. })), "{second:?}");
        Ok(())
    });
    assert!(matches!(answer, Err(StoreError::Aborted { .. })), "{answer:?}");
    assert_eq!(world.read(|tx| setting::find(tx, "k")), Ok(None));
}

fn a_panic_is_contained(world: World) {
    let answer = world.write(|tx| -> Result<(), StoreError> {
        setting::put(tx, "k", "v", at(0))?;
        panic!("on purpose");
    });
    assert_eq!(answer, Err(StoreError::Panicked { name: "test" }));
    assert_eq!(world.read(|tx| setting::find(tx, "k")), Ok(None));
    world.write(|tx| setting::put(tx, "k", "after", at(0))).unwrap();
    assert_eq!(world.read(|tx| setting::find(tx, "k")), Ok(Some("after".to_owned())));
}

fn reads_cannot_write(world: World) {
    let answer = world.read(|tx| setting::put(tx, "k", "v", at(0)));
    assert!(matches!(answer, Err(StoreError::Engine { .. })), "{answer:?}");
    assert_eq!(world.read(|tx| setting::find(tx, "k")), Ok(None));
}

fn unique_names_table_and_columns(world: World) {
    world.project("taken");
    let (scope, row) = (world.scope, new_project("taken"));
    let error = world.write(move |tx| project::insert(tx, &scope, &row)).unwrap_err();
    assert!(error.is_unique("project", "workspace_id, name"), "{error:?}");
    match Error::from(error) {
        Error::Refused(refusal) => assert_eq!(refusal.kind, Kind::AlreadyExists),
        Error::Fault(fault) => panic!("{fault}"),
    }
    let (scope, mut row) = (world.scope, new_project("other"));
    row.id = world.project("third");
    let error = world.write(move |tx| project::insert(tx, &scope, &row)).unwrap_err();
    assert!(error.is_unique("project", "id"), "{error:?}");
}

fn wrong_number_of_values_is_an_error(world: World) {
    let answer = world.read(|tx| tx.query_one(&ECHO, &[1i64.into()]).map(|_| ()));
    assert!(matches!(answer, Err(StoreError::Engine { .. })), "{answer:?}");
}

/// Writers that start at once, as many as `count`.
fn race(store: &Store, count: u32, work: impl Fn(&Store, u32) + Send + Sync + 'static) {
    let barrier = Arc::new(Barrier::new(count as usize));
    let work = Arc::new(work);
    let threads: Vec<_> = (0..count)
        .map(|i| {
            let (store, barrier, work) = (store.clone(), barrier.clone(), work.clone());
            std::thread::spawn(move || {
                barrier.wait();
                work(&store, i);
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
}

fn many_writers_share_commits(world: World) {
    race(&world.store, 16, |store, i| {
        for j in 0..50 {
            let key = format!("{i}-{j}");
            store.write_blocking("test", move |tx| setting::put(tx, &key, "v", at(0))).unwrap();
        }
    });
    let stats = world.store.stats();
    assert_eq!(stats.commands, 800);
    assert!(stats.commits < stats.commands, "{stats:?}");
    for (i, j) in [(0, 0), (15, 49), (7, 30)] {
        let key = format!("{i}-{j}");
        assert!(world.read(move |tx| setting::find(tx, &key)).unwrap().is_some());
    }
}

fn neighbours_of_a_refused_write_stay(world: World) {
    world.project("taken");
    let (scope, refused) = (world.scope, Arc::new(AtomicU32::new(0)));
    let count = Arc::clone(&refused);
    race(&world.store, 12, move |store, i| {
        for j in 0..20 {
            let name = if j % 3 == 0 { "taken".to_owned() } else { format!("p{i}-{j}") };
            let row = new_project(&name);
            let answer = store.write_blocking("test", move |tx| project::insert(tx, &scope, &row));
            match answer {
                Ok(()) => assert_ne!(j % 3, 0),
                Err(StoreError::Unique { .. }) => {
                    assert_eq!(j % 3, 0);
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Err(other) => panic!("{other}"),
            }
        }
    });
    assert_eq!(refused.load(Ordering::Relaxed), 12 * 7);
    let listed = world.read(move |tx| project::list(tx, &scope)).unwrap();
    assert_eq!(listed.len(), 1 + 12 * 13);
}

/// The failing statement is sent with later ones, perhaps with those of a neighbour: nobody who
/// was told `Ok` may lose by it, and nobody may be told `Ok` whose rows are not there.
fn a_statement_that_nobody_waits_for_fails_its_own_command_alone(world: World) {
    let scope = with_runs(&world, 1);
    race(&world.store, 12, move |store, i| {
        for j in 0..20 {
            let is_bad = j % 3 == 0;
            let id = if is_bad { "a".to_owned() } else { format!("{i}-{j}") };
            let (row, key) = (new_run(&id, 1), format!("{i}-{j}"));
            let answer = store.write_blocking("test", move |tx| {
                setting::put(tx, &key, "v", at(0))?;
                run::insert(tx, &scope, &row)
            });
            match (is_bad, answer) {
                (false, Ok(())) => {}
                (true, Err(StoreError::Unique { .. } | StoreError::Aborted { .. })) => {}
                other => panic!("{other:?}"),
            }
        }
    });
    let runs = world.read(move |tx| run::list(tx, &scope, "1")).unwrap();
    assert_eq!(runs.len(), 1 + 12 * 13);
    for (i, j) in [(0, 0), (11, 18), (5, 1), (11, 19)] {
        let found = world.read(move |tx| setting::find(tx, &format!("{i}-{j}"))).unwrap();
        assert_eq!(found.is_some(), j % 3 != 0, "{i}-{j}");
    }
}

fn a_refusal_after_a_change_is_undone_alone(world: World) {
    race(&world.store, 12, move |store, i| {
        for j in 0..20 {
            let key = format!("{i}-{j}");
            let answer = store.write_blocking("test", move |tx| {
                setting::put(tx, &key, "v", at(0))?;
                if j % 3 == 0 { Err(StoreError::Closed) } else { Ok(()) }
            });
            assert_eq!(answer.is_ok(), j % 3 != 0);
        }
    });
    for i in 0..12 {
        for j in 0..20 {
            let found = world.read(move |tx| setting::find(tx, &format!("{i}-{j}"))).unwrap();
            assert_eq!(found.is_some(), j % 3 != 0, "{i}-{j}");
        }
    }
}

fn each_is_told_what_is_there(world: World) {
    let scope = with_runs(&world, 6);
    race(&world.store, 12, move |store, i| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        // Two ask about each run, so that some of a group have the same owner.
        let id = ["a", "b", "c", "d", "e", "f"][i as usize / 2];
        let keys: Vec<String> = (0..20).map(|j| format!("{i}-{j}")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        for (j, key) in keys.iter().enumerate() {
            let pair = Pair { key: (*key).to_owned(), value: j.to_string() };
            let asked = pair::asking_among(&scope, (id, RunPairs::Params), &keys);
            let foresight = Foresight::new(id, [asked.clone()]);
            let answer = runtime.block_on(store.write_with("test", foresight, move |tx| {
                let before = tx.ask(&asked)?.len();
                pair::insert_params(tx, &scope, (id, "1"), std::slice::from_ref(&pair))?;
                Ok::<_, StoreError>((before, tx.ask(&asked)?.len()))
            }));
            assert_eq!(answer.unwrap(), (j, j + 1));
        }
    });
}

fn async_writes_and_reads(world: World) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = world.store.clone();
    runtime.block_on(async {
        store
            .write("test", |tx| -> Result<(), StoreError> { setting::put(tx, "k", "v", at(0)) })
            .await
            .unwrap();
        let found = store
            .read("test", |tx| -> Result<_, Error> { Ok(setting::find(tx, "k")?) })
            .await
            .unwrap();
        assert_eq!(found.as_deref(), Some("v"));
    });
}

fn concurrent_updates_of_one_row(world: World) {
    let (id, scope) = (world.project("one"), world.scope);
    let (won, lost) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (w, l) = (won.clone(), lost.clone());
    race(&world.store, 8, move |store, _| {
        let at_first = project::At { id, revision: 1 };
        let answer = store.write_blocking("test", move |tx| {
            project::change_state(tx, &scope, at_first, "frozen", None, at(1))
        });
        match answer {
            Ok(()) => w.fetch_add(1, Ordering::Relaxed),
            Err(StoreError::Conflict { noun: "project", .. }) => l.fetch_add(1, Ordering::Relaxed),
            Err(other) => panic!("{other}"),
        };
    });
    assert_eq!((won.load(Ordering::Relaxed), lost.load(Ordering::Relaxed)), (1, 7));
    let row = world.read(move |tx| project::find(tx, &scope, id)).unwrap().unwrap();
    assert_eq!((row.revision, row.state.as_str(), row.stage.as_str()), (2, "frozen", "concept"));
}
