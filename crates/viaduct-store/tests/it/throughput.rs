//! How many acknowledged writes a second the groups give; run by hand:
//! `cargo test --release -p viaduct-store --test it throughput -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use viaduct_base::*;
use viaduct_store::{DatabaseConfig, DatabaseUrl, Store, StoreError, event, fact};
use viaduct_testkit::PgCluster;

use crate::chains::fact as new_fact;
use crate::world::at;

const SPAN: Duration = Duration::from_secs(3);

/// Writers that each wait for the acknowledgement before the next write.
fn measure(
    store: &Store,
    writers: u32,
    work: impl Fn(&Store) -> Result<(), StoreError> + Send + Clone + 'static,
) -> (f64, Duration) {
    let started = Instant::now();
    let threads: Vec<_> = (0..writers)
        .map(|_| {
            let (store, work) = (store.clone(), work.clone());
            std::thread::spawn(move || {
                let mut waits = Vec::new();
                while started.elapsed() < SPAN {
                    let asked = Instant::now();
                    work(&store).unwrap();
                    waits.push(asked.elapsed());
                }
                waits
            })
        })
        .collect();
    let mut waits: Vec<_> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
    waits.sort();
    (waits.len() as f64 / started.elapsed().as_secs_f64(), waits[waits.len() / 2])
}

fn report(name: &str, store: &Store) {
    let scope = store
        .read_blocking("test", |tx| viaduct_store::workspace::find_by_name(tx, "default"))
        .map(|w| viaduct_store::Scope::of(w.unwrap().id))
        .unwrap();
    let project = ProjectId::new(at(0));
    for writers in [1, 8, 32] {
        let plain = measure(store, writers, move |store| {
            let row = event::EventRow {
                id: EventId::new(Timestamp::from_system()),
                workspace_id: scope.workspace,
                project_id: None,
                kind: "k".to_owned(),
                object_id: "o".to_owned(),
                body_json: "{}".to_owned(),
                made_at: at(0),
            };
            store.write_blocking("event", move |tx| event::insert(tx, &row))
        });
        let chained = measure(store, writers, move |store| {
            let mut row = new_fact(&scope, project, 1);
            row.id = FactId::new(Timestamp::from_system());
            store.write_blocking("fact", move |tx| fact::append(tx, &row))
        });
        println!(
            "{name}, {writers:2} writers: one row {:6.0}/s (p50 {:?}), chained {:6.0}/s (p50 {:?})",
            plain.0, plain.1, chained.0, chained.1
        );
    }
    println!("{name}: {:?}", store.stats());
}

#[test]
#[ignore = "measures, on a quiet machine and by hand"]
fn throughput() {
    // Why: /tmp may live in memory, and a commit that costs nothing proves nothing.
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let sqlite = DatabaseConfig::sqlite_in(dir.path());
    report("sqlite", &Store::open(&sqlite, dir.path()).unwrap());
    let cluster = PgCluster::start_durable().unwrap_or_else(|e| panic!("{e}"));
    let dir = tempfile::tempdir().unwrap();
    let postgres = DatabaseConfig { url: DatabaseUrl::Postgres(cluster.database().unwrap()) };
    report("postgres", &Store::open(&postgres, dir.path()).unwrap());
}
