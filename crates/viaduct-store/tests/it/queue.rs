//! Outbox, jobs, schedules, settings.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use viaduct_base::*;
use viaduct_store::event::{self, EventRow};
use viaduct_store::job::{self, Counts, Failed, NewJob};
use viaduct_store::schedule::{self, ScheduleRow};
use viaduct_store::{StoreError, setting};

use crate::world::{World, at, store_contract};

store_contract!(
    outbox,
    an_event_is_as_true_as_its_transaction,
    jobs_run_and_complete,
    jobs_with_one_key,
    asked_for_again_while_running,
    failures_back_off_and_park,
    dead_workers,
    claimers_share_nothing,
    schedules,
    settings,
);

fn new_event(world: &World, i: i64) -> EventRow {
    EventRow {
        id: EventId::new(at(i)),
        workspace_id: world.scope.workspace,
        project_id: None,
        kind: "project.applied".to_owned(),
        object_id: format!("o{i}"),
        body_json: "{}".to_owned(),
        made_at: at(i),
    }
}

fn outbox(world: World) {
    let rows: Vec<_> = (0..5).map(|i| new_event(&world, i)).collect();
    let wanted = rows.clone();
    world.write(move |tx| rows.iter().try_for_each(|row| event::insert(tx, row))).unwrap();
    let first = world.write(|tx| event::claim(tx, "a", at(10), at(20), 3)).unwrap();
    assert_eq!(first, wanted[..3]);
    let second = world.write(|tx| event::claim(tx, "b", at(10), at(20), 9)).unwrap();
    assert_eq!(second, wanted[3..]);
    let id = first[0].id;
    assert_eq!(world.write(move |tx| event::set_published(tx, id, "b", at(11))), Ok(false));
    assert_eq!(world.write(move |tx| event::set_published(tx, id, "a", at(11))), Ok(true));
    assert_eq!(world.read(event::count_waiting), Ok(4));
    // A lapsed lease gives the rest to whoever comes.
    let again = world.write(|tx| event::claim(tx, "c", at(21), at(30), 9)).unwrap();
    assert_eq!(again, wanted[1..]);
}

fn an_event_is_as_true_as_its_transaction(world: World) {
    let row = new_event(&world, 0);
    let refused = world.write(move |tx| {
        event::insert(tx, &row)?;
        Err::<(), _>(StoreError::Closed)
    });
    assert!(refused.is_err());
    assert_eq!(world.read(event::count_waiting), Ok(0));
}

fn new_job(world: &World, key: Option<&str>) -> NewJob {
    NewJob {
        id: JobId::new(at(0)),
        workspace_id: world.scope.workspace,
        kind: "evaluate_gate".to_owned(),
        payload_json: "{}".to_owned(),
        dedupe_key: key.map(str::to_owned),
        created_at: at(0),
        run_at: at(0),
        attempts_max: 3,
    }
}

fn enqueue(world: &World, row: NewJob) -> JobId {
    world.write(move |tx| job::enqueue(tx, &row)).unwrap()
}

fn claim_one(world: &World, token: &'static str, now: i64) -> Option<job::JobRow> {
    let claimed = world.write(move |tx| job::claim(tx, token, at(now), at(now + 10), 1)).unwrap();
    claimed.into_iter().next()
}

fn counts(world: &World) -> (i64, i64, i64) {
    let Counts { waiting, running, parked } = world.read(job::counts).unwrap();
    (waiting, running, parked)
}

fn jobs_run_and_complete(world: World) {
    let mut later = new_job(&world, None);
    later.run_at = at(50);
    let (now, later) = (enqueue(&world, new_job(&world, None)), enqueue(&world, later));
    assert_eq!(counts(&world), (2, 0, 0));
    let claimed = claim_one(&world, "a", 0).unwrap();
    assert_eq!((claimed.id, claimed.attempts, claimed.lease_until), (now, 1, Some(at(10))));
    assert_eq!(claim_one(&world, "b", 1), None);
    assert_eq!(world.write(move |tx| job::complete(tx, now, "b", at(2))), Ok(false));
    assert_eq!(world.write(move |tx| job::extend(tx, now, "a", at(40))), Ok(true));
    assert_eq!(claim_one(&world, "b", 30), None);
    assert_eq!(world.write(move |tx| job::complete(tx, now, "a", at(31))), Ok(true));
    assert_eq!(counts(&world), (1, 0, 0));
    assert_eq!(claim_one(&world, "b", 50).map(|j| j.id), Some(later));
    assert_eq!(world.write(|tx| job::delete_completed(tx, at(32))), Ok(1));
    assert_eq!(world.read(|tx| job::list(tx, 9)).unwrap().len(), 1);
}

fn jobs_with_one_key(world: World) {
    let first = enqueue(&world, new_job(&world, Some("k")));
    assert_eq!(enqueue(&world, new_job(&world, Some("k"))), first);
    assert_ne!(enqueue(&world, new_job(&world, Some("l"))), first);
    assert_ne!(enqueue(&world, new_job(&world, None)), enqueue(&world, new_job(&world, None)));
    assert_eq!(counts(&world), (4, 0, 0));
    // One that is completed gives its key free.
    let claimed = world.write(|tx| job::claim(tx, "a", at(0), at(9), 9)).unwrap();
    assert_eq!(claimed.len(), 4);
    world.write(move |tx| job::complete(tx, first, "a", at(1))).unwrap();
    assert_ne!(enqueue(&world, new_job(&world, Some("k"))), first);
}

fn asked_for_again_while_running(world: World) {
    let id = enqueue(&world, new_job(&world, Some("k")));
    claim_one(&world, "a", 0).unwrap();
    assert_eq!(enqueue(&world, new_job(&world, Some("k"))), id);
    assert_eq!(world.write(move |tx| job::complete(tx, id, "a", at(1))), Ok(true));
    assert_eq!(counts(&world), (1, 0, 0));
    let again = claim_one(&world, "a", 1).unwrap();
    assert_eq!((again.id, again.attempts), (id, 1));
    assert_eq!(world.write(move |tx| job::complete(tx, id, "a", at(2))), Ok(true));
    assert_eq!(counts(&world), (0, 0, 0));
}

fn failures_back_off_and_park(world: World) {
    let id = enqueue(&world, new_job(&world, Some("k")));
    let mut now = 0;
    let mut pauses = Vec::new();
    for _ in 0..2 {
        claim_one(&world, "a", now).unwrap();
        let failed = world.write(move |tx| job::retry(tx, id, "a", "no luck", at(now))).unwrap();
        let Failed::Again(next) = failed else { panic!("{failed:?}") };
        pauses.push(next.since(at(now)));
        assert_eq!(claim_one(&world, "a", now), None);
        now += 60;
    }
    assert!(pauses[0] >= Span::millis(800) && pauses[0] <= Span::millis(1200), "{pauses:?}");
    assert!(pauses[1] >= Span::millis(1600) && pauses[1] <= Span::millis(2400), "{pauses:?}");
    claim_one(&world, "a", now).unwrap();
    let last = world.write(move |tx| job::retry(tx, id, "a", "still none", at(now)));
    assert_eq!(last, Ok(Failed::Parked));
    let late = world.write(move |tx| job::retry(tx, id, "a", "late", at(now)));
    assert_eq!(late, Ok(Failed::NotYours));
    let parked = world.read(job::list_parked).unwrap();
    assert_eq!((parked.len(), parked[0].last_error.as_deref()), (1, Some("still none")));
    assert_eq!(counts(&world), (0, 0, 1));

    // A newer one with its key overtakes it; once that is done, it may come back.
    let newer = enqueue(&world, new_job(&world, Some("k")));
    assert_eq!(world.write(move |tx| job::unpark(tx, id, at(now))), Ok(false));
    claim_one(&world, "a", now).unwrap();
    world.write(move |tx| job::complete(tx, newer, "a", at(now))).unwrap();
    assert_eq!(world.write(move |tx| job::unpark(tx, id, at(now))), Ok(true));
    assert_eq!(claim_one(&world, "a", now).map(|j| (j.id, j.attempts)), Some((id, 1)));
    let hopeless = world.write(move |tx| job::park(tx, id, "a", "broken", at(now)));
    assert_eq!(hopeless, Ok(Failed::Parked));
}

fn dead_workers(world: World) {
    let id = enqueue(&world, new_job(&world, None));
    for round in 0..3 {
        let claimed = claim_one(&world, "a", round * 20).unwrap();
        assert_eq!((claimed.id, claimed.attempts), (id, round + 1));
    }
    assert_eq!(claim_one(&world, "a", 100), None);
    let parked = world.read(job::list_parked).unwrap();
    assert!(parked[0].last_error.as_deref().unwrap().contains("died"));
}

fn claimers_share_nothing(world: World) {
    for _ in 0..60 {
        enqueue(&world, new_job(&world, None));
    }
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let threads: Vec<_> = ["a", "b", "c", "d", "e", "f"]
        .into_iter()
        .map(|token| {
            let (store, seen) = (world.store.clone(), seen.clone());
            std::thread::spawn(move || {
                loop {
                    let claimed = store
                        .write_blocking("test", move |tx| job::claim(tx, token, at(0), at(9), 3))
                        .unwrap();
                    if claimed.is_empty() {
                        return;
                    }
                    for job in claimed {
                        assert!(seen.lock().unwrap().insert(job.id), "claimed twice");
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    assert_eq!(counts(&world), (0, 60, 0));
}

fn schedules(world: World) {
    let row = ScheduleRow {
        name: "collect_facts".to_owned(),
        workspace_id: world.scope.workspace,
        project_id: Some(ProjectId::new(at(0))),
        kind: "collect_facts".to_owned(),
        payload_json: "{}".to_owned(),
        every: Span::days(1),
        next_due: at(10),
        last_due: None,
    };
    let (put, mut again) = (row.clone(), row.clone());
    again.every = Span::hours(6);
    again.next_due = at(99);
    assert_eq!(world.read(schedule::next_due), Ok(None));
    world.write(move |tx| schedule::put(tx, &put)).unwrap();
    world.write(move |tx| schedule::put(tx, &again)).unwrap();
    assert_eq!(world.read(schedule::next_due), Ok(Some(at(10))));
    assert_eq!(world.read(|tx| schedule::list_due(tx, at(9))), Ok(vec![]));
    let due = world.read(|tx| schedule::list_due(tx, at(10))).unwrap();
    assert_eq!((due.len(), due[0].every), (1, Span::hours(6)));
    let advance =
        |world: &World| world.write(|tx| schedule::advance(tx, "collect_facts", at(10), at(30)));
    assert_eq!(advance(&world), Ok(true));
    assert_eq!(advance(&world), Ok(false));
    let listed = world.read(schedule::list).unwrap();
    assert_eq!((listed[0].last_due, listed[0].next_due), (Some(at(10)), at(30)));
    assert_eq!(world.write(|tx| schedule::delete(tx, "nothing")), Ok(false));
    let project = row.project_id.unwrap();
    assert_eq!(world.write(move |tx| schedule::delete_by_project(tx, project)), Ok(1));
}

fn settings(world: World) {
    assert_eq!(world.read(|tx| setting::find(tx, "clock")), Ok(None));
    world.write(|tx| setting::put(tx, "clock", "system", at(0))).unwrap();
    world.write(|tx| setting::put(tx, "clock", "simulated", at(1))).unwrap();
    assert_eq!(world.read(|tx| setting::find(tx, "clock")), Ok(Some("simulated".to_owned())));
}
