//! A chain that was tampered with says where and how.

use viaduct_base::*;
use viaduct_store::chain::{self, Broken, ChainName, ChainReport, Damage, VerifyError};
use viaduct_store::fact::{self, FactRow};
use viaduct_store::{Scope, StoreError};

use crate::world::{World, at, store_contract};

store_contract!(
    whole_chains,
    edited_anywhere,
    deleted_in_the_middle,
    deleted_and_closed_up,
    cut_off_tail,
    swapped,
    added_behind,
    recomputed_by_hand,
    refused_appends_leave_no_gap,
    appenders_do_not_fork,
    long_chains,
);

pub(crate) fn fact(scope: &Scope, project: ProjectId, i: i64) -> FactRow {
    FactRow {
        id: FactId::new(at(i)),
        workspace_id: scope.workspace,
        project_id: project,
        name: format!("kpi.live_days{}", i % 3),
        subject_kind: "kpi".to_owned(),
        subject_id: "kpi_1".to_owned(),
        value_json: format!("{{\"value\":{i}.5}}"),
        unit: "share".to_owned(),
        n: (i % 2 == 0).then_some(i),
        window_from: Some(at(0)),
        window_to: None,
        observed_at: at(i),
        producer: "test".to_owned(),
        inputs_hash: String::new(),
        provenance: "live".to_owned(),
        note: (i % 4 == 0).then(|| "ü".to_owned()),
    }
}

fn append(world: &World, count: i64) -> Vec<FactId> {
    let (project, scope) = (ProjectId::new(at(0)), world.scope);
    let rows: Vec<_> = (0..count).map(|i| fact(&scope, project, i)).collect();
    let ids = rows.iter().map(|r| r.id).collect();
    world.write(move |tx| rows.iter().try_for_each(|row| fact::append(tx, row))).unwrap();
    ids
}

fn tamper(world: &World, sql: &'static str) {
    world.write(move |tx| tx.query_compiled(sql, &[]).map(|_| ())).unwrap();
}

fn verify(world: &World) -> Result<ChainReport, VerifyError> {
    world
        .store
        .read_blocking("test", |tx| Ok::<_, StoreError>(chain::verify(tx, ChainName::Facts)))
        .unwrap()
}

fn assert_broken(world: &World, seq: i64, id: Option<FactId>, what: Damage) {
    let wanted = Broken { chain: ChainName::Facts, seq, id: id.map(|i| i.to_string()), what };
    assert_eq!(verify(world), Err(VerifyError::Broken(wanted)));
}

fn whole_chains(world: World) {
    let empty = verify(&world).unwrap();
    assert_eq!((empty.entries, empty.head.as_str()), (0, ""));
    append(&world, 7);
    append(&world, 3);
    let whole = verify(&world).unwrap();
    assert_eq!((whole.entries, whole.head.len()), (10, 64));
    for chain in ChainName::ALL {
        let whole = world
            .read(move |tx| Ok(chain::verify(tx, chain)))
            .unwrap()
            .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(whole.entries, if chain == ChainName::Facts { 10 } else { 0 });
    }
}

fn edited_anywhere(world: World) {
    let ids = append(&world, 6);
    let columns = [
        "workspace_id",
        "project_id",
        "name",
        "subject_kind",
        "subject_id",
        "value_json",
        "unit",
        "producer",
        "inputs_hash",
        "provenance",
        "note",
        "n",
        "window_from",
        "window_to",
        "observed_at",
        "prev_hash",
        "hash",
    ];
    for column in columns {
        let number = ["n", "window_from", "window_to", "observed_at"].contains(&column);
        let other = if number { "7" } else { "'other'" };
        let read = format!("SELECT {column} AS old FROM fact WHERE chain_seq = 4");
        let old = world.read(move |tx| tx.query_compiled(&read, &[])).unwrap();
        let old = old[0].get("old").unwrap().clone();
        let edit = format!("UPDATE fact SET {column} = {other} WHERE chain_seq = 4");
        world.write(move |tx| tx.query_compiled(&edit, &[])).unwrap();
        assert_broken(&world, 4, Some(ids[3]), Damage::Edited);
        let mend = format!("UPDATE fact SET {column} = $1 WHERE chain_seq = 4");
        world.write(move |tx| tx.query_compiled(&mend, std::slice::from_ref(&old))).unwrap();
        assert!(verify(&world).is_ok(), "{column}");
    }
    tamper(&world, "UPDATE fact SET id = 'fct_other' WHERE chain_seq = 1");
    let error = verify(&world).unwrap_err().to_string();
    assert_eq!(error, "chain `facts`: entry 1 (`fct_other`) was edited");
}

fn deleted_in_the_middle(world: World) {
    append(&world, 6);
    tamper(&world, "DELETE FROM fact WHERE chain_seq = 3");
    assert_broken(&world, 3, None, Damage::Deleted);
}

fn deleted_and_closed_up(world: World) {
    append(&world, 6);
    tamper(&world, "DELETE FROM fact WHERE chain_seq = 3");
    for sql in [
        "UPDATE fact SET chain_seq = 3 WHERE chain_seq = 4",
        "UPDATE fact SET chain_seq = 4 WHERE chain_seq = 5",
        "UPDATE fact SET chain_seq = 5 WHERE chain_seq = 6",
        "UPDATE chain_head SET seq = 5 WHERE chain = 'facts'",
    ] {
        tamper(&world, sql);
    }
    assert_broken(&world, 3, None, Damage::Deleted);
}

fn cut_off_tail(world: World) {
    append(&world, 6);
    tamper(&world, "DELETE FROM fact WHERE chain_seq > 4");
    assert_broken(&world, 5, None, Damage::TailTruncated);
    tamper(&world, "DELETE FROM fact");
    assert_broken(&world, 1, None, Damage::TailTruncated);
    tamper(&world, "DELETE FROM chain_head WHERE chain = 'facts'");
    assert!(verify(&world).is_err());
    let scope = world.scope;
    let answer = world.write(move |tx| fact::append(tx, &fact(&scope, ProjectId::new(at(0)), 1)));
    assert!(answer.unwrap_err().to_string().contains("audit verify"));
}

fn swapped(world: World) {
    let ids = append(&world, 6);
    for sql in [
        "UPDATE fact SET chain_seq = 99 WHERE chain_seq = 2",
        "UPDATE fact SET chain_seq = 2 WHERE chain_seq = 5",
        "UPDATE fact SET chain_seq = 5 WHERE chain_seq = 99",
    ] {
        tamper(&world, sql);
    }
    assert_broken(&world, 2, Some(ids[4]), Damage::Reordered);
}

fn added_behind(world: World) {
    append(&world, 3);
    tamper(&world, "UPDATE chain_head SET seq = 2 WHERE chain = 'facts'");
    assert_broken(&world, 3, None, Damage::Added);
}

fn recomputed_by_hand(world: World) {
    append(&world, 3);
    tamper(&world, "UPDATE chain_head SET head = 'another' WHERE chain = 'facts'");
    assert_broken(&world, 3, None, Damage::Edited);
}

fn refused_appends_leave_no_gap(world: World) {
    let (project, scope) = (ProjectId::new(at(0)), world.scope);
    for i in 0..6 {
        let row = fact(&scope, project, i);
        let answer = world.write(move |tx| {
            fact::append(tx, &row)?;
            if i % 2 == 0 { Err(StoreError::Closed) } else { Ok(()) }
        });
        assert_eq!(answer.is_ok(), i % 2 == 1);
    }
    assert_eq!(verify(&world).unwrap().entries, 3);
}

fn appenders_do_not_fork(world: World) {
    let (project, scope) = (ProjectId::new(at(0)), world.scope);
    let threads: Vec<_> = (0..8)
        .map(|i| {
            let store = world.store.clone();
            std::thread::spawn(move || {
                for j in 0..25 {
                    let row = fact(&scope, project, i * 100 + j);
                    store.write_blocking("test", move |tx| fact::append(tx, &row)).unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    assert_eq!(verify(&world).unwrap().entries, 200);
}

fn long_chains(world: World) {
    // More than two pages of verification.
    append(&world, 1100);
    assert_eq!(verify(&world).unwrap().entries, 1100);
    tamper(&world, "UPDATE fact SET note = 'x' WHERE chain_seq = 1001");
    assert!(verify(&world).unwrap_err().to_string().contains("entry 1001"));
}
