//! Rows of the decision log that are too old go when an admin asks, and what a project's evidence
//! stands on stays.

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::watch;
use viaduct_app::decision::DecisionRetention;
use viaduct_base::{EndpointId, Span};
use viaduct_decisions::{Record, RefusedRow, RowError};
use viaduct_testkit::World;
use viaduct_work::Worker;

use crate::project::{FILE, PEOPLE};

/// A request of that age that the contract refused.
fn refused(world: &World, endpoint: EndpointId, age: Span) {
    let error = RowError { pointer: "/rows/0/age".into(), detail: "`age` is missing".into() };
    let row = RefusedRow {
        at: world.now() - age,
        endpoint,
        consumer: None,
        replayed: false,
        errors: vec![error],
    };
    world.app.decisions().append(&[Record::Refused(row)]).unwrap();
}

fn rows(world: &World) -> u64 {
    world.app.decisions().stats().rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn old_rows_go_when_told_to_and_evidence_stays() {
    let world = World::without_worker().await;
    world.add_people(PEOPLE).await;
    let (ada, bea) = (world.as_user("ada"), world.as_user("bea"));
    bea.apply(FILE).await.ok();
    let owned = world.app.list_endpoints(&world.app.system()).await.unwrap().remove(0).id;
    // Of an endpoint that was deleted since.
    let gone = EndpointId::from_u128(7);
    for endpoint in [owned, gone] {
        for days in [200, 120, 60, 1] {
            refused(&world, endpoint, Span::days(days));
        }
    }
    let path = "/api/v1/gc/decisions";
    let asked = json!({ "rows_older_than": "P30D" });
    assert_eq!(bea.post(path, asked.clone()).await.status, StatusCode::FORBIDDEN);
    let nothing = ada.post(path, json!({})).await;
    assert_eq!(nothing.problem(), "invalid-input", "{}", nothing.text);
    let nobody = json!({ "endpoint": "nobody", "rows_older_than": "P30D" });
    assert_eq!(ada.post(path, nobody).await.problem(), "not-found");

    let of = |report: &Value, name: &str| -> Value {
        let all = report["endpoints"].as_array().unwrap();
        all.iter().find(|one| one["endpoint"] == name).unwrap().clone()
    };
    let dry = ada.post(path, asked).await.ok();
    assert_eq!((&dry["dry_run"], rows(&world)), (&json!(true), 8));
    assert_eq!(of(&dry, &gone.to_string())["refused"], 3);
    let mine = of(&dry, "term-deposit");
    assert_eq!(mine["refused"], 2, "{mine}");
    let why = mine["kept"].as_str().unwrap();
    assert!(why.contains("its project's facts"), "{why}");

    let done = json!({ "rows_older_than": "P30D", "dry_run": false });
    let done = ada.post(path, done).await.ok();
    assert_eq!(of(&done, &gone.to_string())["refused"], 3, "{done}");
    assert!(done["segments"].as_u64().unwrap() >= 1, "{done}");
    assert_eq!(rows(&world), 3);
    let audit = ada.get("/api/v1/audit?limit=1000").await.ok();
    let told: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["action"] == "decisions.expired")
        .collect();
    assert_eq!(told.len(), 2, "{audit}");
    let again = ada.post(path, json!({ "rows_older_than": "P30D", "dry_run": false })).await.ok();
    assert_eq!((&again["segments"], rows(&world)), (&json!(0), 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_configured_goes_daily() {
    let world = World::without_worker().await;
    world.add_people(PEOPLE).await;
    let ada = world.as_user("ada");
    let gone = EndpointId::from_u128(7);
    for days in [200, 29, 1] {
        refused(&world, gone, Span::days(days));
    }
    let retention = DecisionRetention { rows: Some(Span::days(30)), inputs: None };
    world.app.set_decision_retention(retention);
    let told = ada.post("/api/v1/gc/decisions", json!({})).await.ok();
    assert_eq!((&told["dry_run"], &told["endpoints"][0]["refused"]), (&json!(true), &json!(1)));
    let (stop, stopped) = watch::channel(false);
    let worker = tokio::spawn(Worker::new(world.app.clone()).run(stopped));
    // Why: the worker does so too, and the clock must not pass before it does.
    world.app.schedule_expiry().await.unwrap();
    assert_eq!(rows(&world), 3);
    world.advance("P1D").await;
    assert_eq!(rows(&world), 2, "the oldest is gone");
    world.advance("P1D").await;
    assert_eq!(rows(&world), 1, "and a day later the one that was 29 days old");
    let audit = ada.get("/api/v1/audit?limit=1000").await.ok();
    let by = |entry: &&Value| entry["action"] == "decisions.expired" && entry["actor"] == "system";
    assert_eq!(audit["items"].as_array().unwrap().iter().filter(by).count(), 2, "{audit}");
    stop.send(true).unwrap();
    worker.await.unwrap();
    let never = json!({ "rows_older_than": "-P1D" });
    let never = ada.post("/api/v1/gc/decisions", never).await;
    assert_eq!(never.problem(), "invalid-input");
    assert!(never.detail().contains("`rows_older_than` is `-P1D`"), "{}", never.text);
}
