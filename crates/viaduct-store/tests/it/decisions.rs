//! Outcomes of decisions.

use viaduct_base::*;
use viaduct_store::Scope;
use viaduct_store::outcome::{self, OutcomeRow};

use crate::world::{World, at, store_contract};

store_contract!(histories, latest_of_many, windows_in_pages);

fn new_outcome(decision: DecisionId, endpoint: EndpointId, decided: i64, value: f64) -> OutcomeRow {
    OutcomeRow {
        decision_id: decision,
        id: OutcomeId::new(at(0)),
        endpoint_id: endpoint,
        project_id: None,
        decided_at: at(decided),
        status: "final".to_owned(),
        label_json: Some("\"yes\"".to_owned()),
        value: Some(value),
        occurred_at: None,
        observed_at: at(decided + 5),
        received_at: at(decided + 6),
        source: None,
        clock: "system".to_owned(),
    }
}

fn histories(world: World) {
    let scope = world.scope;
    let (decision, endpoint) = (DecisionId::new(at(0)), EndpointId::new(at(0)));
    let mut rows = Vec::new();
    for (i, status) in ["partial", "final", "corrected"].iter().enumerate() {
        let mut row = new_outcome(decision, endpoint, 0, i as f64);
        row.status = (*status).to_owned();
        rows.push(row);
    }
    let wanted = rows.clone();
    for row in rows {
        world.write(move |tx| outcome::append(tx, &scope, &row)).unwrap();
    }
    assert_eq!(world.read(move |tx| outcome::history(tx, &scope, decision)), Ok(wanted.clone()));
    let latest = world.read(move |tx| outcome::latest_by_decisions(tx, &scope, &[decision]));
    assert_eq!(latest.unwrap().get(&decision), Some(&wanted[2]));
    let stranger = Scope::of(WorkspaceId::new(at(0)));
    assert_eq!(world.read(move |tx| outcome::history(tx, &stranger, decision)), Ok(vec![]));
    let mut bad = wanted[0].clone();
    bad.status = "maybe".to_owned();
    assert!(world.write(move |tx| outcome::append(tx, &scope, &bad)).is_err());
}

fn latest_of_many(world: World) {
    let scope = world.scope;
    let endpoint = EndpointId::new(at(0));
    let decisions: Vec<_> = (0..100).map(|i| DecisionId::new(at(i))).collect();
    let all = decisions.clone();
    world
        .write(move |tx| {
            for (i, decision) in all.iter().enumerate().filter(|(i, _)| i % 10 != 3) {
                outcome::append(tx, &scope, &new_outcome(*decision, endpoint, i as i64, 0.0))?;
                outcome::append(tx, &scope, &new_outcome(*decision, endpoint, i as i64, 1.0))?;
            }
            Ok(())
        })
        .unwrap();
    for count in [0, 1, 31, 32, 33, 100] {
        let asked = decisions[..count].to_vec();
        let wanted = (0..count).filter(|i| i % 10 != 3).count();
        let latest =
            world.read(move |tx| outcome::latest_by_decisions(tx, &scope, &asked)).unwrap();
        assert_eq!(latest.len(), wanted);
        assert!(latest.values().all(|row| row.value == Some(1.0)));
    }
    assert_eq!(world.read(move |tx| outcome::count_since(tx, &scope, endpoint, at(96))), Ok(18));
}

fn windows_in_pages(world: World) {
    let scope = world.scope;
    let (endpoint, other) = (EndpointId::new(at(0)), EndpointId::new(at(1)));
    world
        .write(move |tx| {
            for i in 0..40 {
                let to = if i % 4 == 0 { other } else { endpoint };
                // Two decisions share each moment, so the pages must break ties.
                let row = new_outcome(DecisionId::new(at(i)), to, i / 2, i as f64);
                outcome::append(tx, &scope, &row)?;
                if i % 5 == 0 {
                    outcome::append(tx, &scope, &row.clone())?;
                }
            }
            Ok(())
        })
        .unwrap();
    let window = (at(2), at(17));
    let whole =
        world.read(move |tx| outcome::page(tx, &scope, endpoint, window, None, 1000)).unwrap();
    assert!(whole.1.is_none());
    for size in [1, 3, 7] {
        let mut pages = Vec::new();
        let mut after = None;
        loop {
            let from = after.clone();
            let (rows, next) = world
                .read(move |tx| outcome::page(tx, &scope, endpoint, window, from.as_ref(), size))
                .unwrap();
            pages.extend(rows);
            match next {
                Some(place) => after = Some(place),
                None => break,
            }
        }
        assert_eq!(pages, whole.0);
    }
    let latest = world
        .read(move |tx| {
            let mut rows = Vec::new();
            outcome::each_latest(tx, &scope, endpoint, window, |row| {
                rows.push(row);
                Ok(())
            })?;
            Ok(rows)
        })
        .unwrap();
    let mut decisions: Vec<_> = whole.0.iter().map(|row| row.decision_id).collect();
    decisions.dedup();
    assert_eq!(latest.iter().map(|row| row.decision_id).collect::<Vec<_>>(), decisions);
    assert!(latest.iter().all(|row| row.decided_at >= at(2) && row.decided_at < at(17)));
}
