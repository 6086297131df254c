//! Opening explains itself, copies are whole, a server that goes away comes back.

use std::time::{Duration, Instant};

use viaduct_base::{Error, Kind};
use viaduct_store::{
    DatabaseConfig, DatabaseUrl, OpenError, Store, StoreError, setting, statement, workspace,
};
use viaduct_testkit::PgCluster;

use crate::world::{World, at, postgres_url, store_contract};

store_contract!(
    opens_again_with_what_was_written,
    a_newer_schema_is_refused,
    a_changed_migration_is_refused,
    the_default_workspace_is_made_once,
);

statement!(
    PRETEND,
    platform,
    "INSERT INTO schema_migration (version, name, hash, applied_at) VALUES ($1, $2, '', 0)"
);
statement!(SPOIL, platform, "UPDATE schema_migration SET hash = '' WHERE version = 1");

fn reopen(world: World) -> (Result<Store, OpenError>, tempfile::TempDir) {
    let config = DatabaseConfig { url: world.store.url().clone() };
    let World { store, dir, .. } = world;
    drop(store);
    (Store::open(&config, dir.path()), dir)
}

fn opens_again_with_what_was_written(world: World) {
    world.write(|tx| setting::put(tx, "k", "v", at(0))).unwrap();
    let (store, _dir) = reopen(world);
    let found = store.unwrap().read_blocking("test", |tx| setting::find(tx, "k"));
    assert_eq!(found, Ok(Some("v".to_owned())));
}

fn a_newer_schema_is_refused(world: World) {
    world.write(|tx| tx.execute(&PRETEND, &[9999i64.into(), "9999_future".into()])).unwrap();
    let beside = Store::open_beside(&DatabaseConfig { url: world.store.url().clone() });
    assert!(matches!(beside, Err(OpenError::NewerSchema { found: 9999, .. })));
    let error = reopen(world).0.err().unwrap().to_string();
    assert!(error.contains("schema 9999") && error.contains("at least as new"), "{error}");
}

fn a_changed_migration_is_refused(world: World) {
    world.write(|tx| tx.execute(&SPOIL, &[])).unwrap();
    let error = reopen(world).0.err().unwrap().to_string();
    assert!(error.contains("0001_spine"), "{error}");
}

fn the_default_workspace_is_made_once(world: World) {
    let before = world.read(workspace::list).unwrap();
    let (store, _dir) = reopen(world);
    let after = store.unwrap().read_blocking("test", workspace::list).unwrap();
    assert_eq!(before, after);
    assert_eq!(before.len(), 1);
    assert_eq!(before[0].salt.len(), 32);
}

#[test]
fn a_directory_in_use_is_refused() {
    let world = World::sqlite();
    let config = DatabaseConfig { url: world.store.url().clone() };
    let error = Store::open(&config, world.dir.path()).err().unwrap().to_string();
    assert!(error.contains("in use") && error.contains(&std::process::id().to_string()), "{error}");
    // Beside the running server, reading is fine, and so is a write.
    let beside = Store::open_beside(&config).unwrap();
    assert_eq!(beside.read_blocking("test", workspace::list).unwrap().len(), 1);
    beside.write_blocking("test", |tx| setting::put(tx, "k", "beside", at(0))).unwrap();
    assert_eq!(world.read(|tx| setting::find(tx, "k")), Ok(Some("beside".to_owned())));
}

#[test]
fn nothing_to_open_beside() {
    let dir = tempfile::tempdir().unwrap();
    let error = Store::open_beside(&DatabaseConfig::sqlite_in(dir.path())).err().unwrap();
    assert!(matches!(error, OpenError::Missing(_)), "{error}");
    let url = DatabaseUrl::Postgres(postgres_url());
    assert!(Store::open_beside(&DatabaseConfig { url }).is_err());
}

#[test]
fn an_unreachable_server_explains_itself() {
    let dir = tempfile::tempdir().unwrap();
    let url = "postgres://me:hush@127.0.0.1:1/nowhere".parse().unwrap();
    let error = Store::open(&DatabaseConfig { url }, dir.path()).err().unwrap().to_string();
    assert!(error.contains("127.0.0.1:1/nowhere") && error.contains("does not answer"), "{error}");
    assert!(!error.contains("hush"), "{error}");
}

#[test]
fn a_backup_is_a_whole_database() {
    let world = World::sqlite();
    world.write(|tx| setting::put(tx, "k", "before", at(0))).unwrap();
    let to = world.dir.path().join("copy.db");
    // Writers go on while the copy is made.
    let store = world.store.clone();
    let writer = std::thread::spawn(move || {
        for i in 0..500 {
            let key = format!("during-{i}");
            store.write_blocking("test", move |tx| setting::put(tx, &key, "v", at(0))).unwrap();
        }
    });
    world.store.backup_sqlite(&to).unwrap();
    writer.join().unwrap();
    assert!(world.store.backup_sqlite(&to).unwrap_err().to_string().contains("exists already"));
    let copy = Store::open_beside(&DatabaseConfig { url: DatabaseUrl::Sqlite(to) }).unwrap();
    let found = copy.read_blocking("test", |tx| setting::find(tx, "k"));
    assert_eq!(found, Ok(Some("before".to_owned())));
}

#[test]
fn a_server_that_crashes_is_found_again() {
    let cluster = PgCluster::start().unwrap_or_else(|e| panic!("{e}"));
    let dir = tempfile::tempdir().unwrap();
    let config = DatabaseConfig { url: DatabaseUrl::Postgres(cluster.database().unwrap()) };
    let store = Store::open(&config, dir.path()).unwrap();
    store.write_blocking("test", |tx| setting::put(tx, "k", "v", at(0))).unwrap();
    cluster.crash().unwrap();

    let started = Instant::now();
    let away = store.write_blocking("test", |tx| setting::put(tx, "k", "w", at(0)));
    assert!(matches!(away, Err(StoreError::Away { .. })), "{away:?}");
    let away = store.read_blocking("test", |tx| setting::find(tx, "k")).unwrap_err();
    match Error::from(away) {
        Error::Refused(refusal) => assert_eq!(refusal.kind, Kind::DatabaseAway),
        Error::Fault(fault) => panic!("{fault}"),
    }
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());

    cluster.restart().unwrap();
    let deadline = Instant::now() + Duration::from_secs(15);
    while let Err(error) = store.write_blocking("test", |tx| setting::put(tx, "k", "again", at(0)))
    {
        assert!(Instant::now() < deadline, "still away: {error}");
        std::thread::sleep(Duration::from_millis(50));
    }
    // The first connection that found it back opened the way for all.
    for _ in 0..8 {
        store.read_blocking("test", |tx| setting::find(tx, "k")).unwrap();
    }
}

#[test]
fn a_start_without_the_server_waits_for_it() {
    let cluster = PgCluster::start().unwrap_or_else(|e| panic!("{e}"));
    let config = DatabaseConfig { url: DatabaseUrl::Postgres(cluster.database().unwrap()) };
    let dir = tempfile::tempdir().unwrap();
    cluster.crash().unwrap();
    assert!(matches!(Store::open(&config, dir.path()), Err(OpenError::Unreachable { .. })));
    let store = Store::open_even_if_away(&config, dir.path()).unwrap();
    let away = store.read_blocking("test", workspace::list);
    assert!(matches!(away, Err(StoreError::Away { .. })), "{away:?}");
    cluster.restart().unwrap();
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        match store.read_blocking("test", workspace::list) {
            Ok(all) => break assert_eq!(all.len(), 1),
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
