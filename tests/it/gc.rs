//! Deleted runs come back within the retention, go for good after it, and stay while something
//! refers to them; on both databases.

use axum::http::StatusCode;
use serde_json::{Value, json};
use viaduct_base::Span;
use viaduct_store::Scope;
use viaduct_store::binding::{self, BindingRow};
use viaduct_testkit::{As, World};

use crate::project::{FILE, NAME, PEOPLE};

const API: &str = "/api/2.0/mlflow";

async fn worlds() -> [World; 2] {
    [World::without_worker().await, World::on_postgres().await]
}

async fn experiment(by: &As<'_>, name: &str) -> String {
    let made = by.post(&format!("{API}/experiments/create"), json!({ "name": name })).await.ok();
    made["experiment_id"].as_str().unwrap().to_owned()
}

/// A run with metrics, params, tags and a file.
async fn run(world: &World, by: &As<'_>, experiment: &str) -> String {
    let new = json!({ "experiment_id": experiment, "start_time": 1, "tags": [{ "key": "team", "value": "risk" }] });
    let made = by.post(&format!("{API}/runs/create"), new).await.ok();
    let id = made["run"]["info"]["run_id"].as_str().unwrap().to_owned();
    let points: Vec<Value> = (0..700)
        .map(|n| json!({ "key": "loss", "value": n, "timestamp": n + 1, "step": n }))
        .collect();
    let batch =
        json!({ "run_id": id, "metrics": points, "params": [{ "key": "a", "value": "1" }] });
    by.post(&format!("{API}/runs/log-batch"), batch).await.ok();
    let file =
        format!("/api/2.0/mlflow-artifacts/artifacts/{experiment}/{id}/artifacts/model/MLmodel");
    let put = by.send(axum::http::Method::PUT, &file, "", format!("of {id}")).await;
    put.ok();
    assert!(files(world).iter().any(|path| path.contains(&id)));
    id
}

/// Every file below the folder of artifacts.
fn files(world: &World) -> Vec<String> {
    let (mut folders, mut found) = (vec![world.dir().join("blobs")], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

async fn delete(by: &As<'_>, run: &str) {
    by.post(&format!("{API}/runs/delete"), json!({ "run_id": run })).await.ok();
}

async fn gc(by: &As<'_>, body: Value) -> Value {
    by.post("/api/v1/gc/mlflow", body).await.ok()
}

fn ids<'a>(report: &'a Value, part: &str) -> Vec<&'a str> {
    report[part].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect()
}

async fn exists(by: &As<'_>, run: &str) -> bool {
    by.get(&format!("{API}/runs/get?run_id={run}")).await.status == StatusCode::OK
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_deleted_long_ago_goes_and_nothing_else() {
    for world in worlds().await {
        world.add_people(PEOPLE).await;
        let (ada, bea) = (world.as_user("ada"), world.as_user("bea"));
        let kept = experiment(&bea, "kept").await;
        let (old, young, alive) = (
            run(&world, &bea, &kept).await,
            run(&world, &bea, &kept).await,
            run(&world, &bea, &kept).await,
        );
        delete(&bea, &old).await;
        world.pass(Span::days(20));
        delete(&bea, &young).await;
        world.pass(Span::days(11));

        let refused = bea.post("/api/v1/gc/mlflow", json!({})).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text);
        let too_young = ada.post("/api/v1/gc/mlflow", json!({ "older_than": "P1D" })).await;
        assert_eq!(too_young.problem(), "invalid-input", "{}", too_young.text);

        let dry = gc(&ada, json!({})).await;
        assert_eq!((ids(&dry, "collected"), &dry["dry_run"]), (vec![old.as_str()], &json!(true)));
        assert!(exists(&bea, &old).await, "a dry run touches nothing");

        let done = gc(&ada, json!({ "dry_run": false })).await;
        assert_eq!(ids(&done, "collected"), [old.as_str()], "{done}");
        assert_eq!(done["left"], json!([]));
        assert!(done["objects"].as_u64().unwrap() >= 1, "{done}");
        assert!(!exists(&bea, &old).await);
        assert!(!files(&world).iter().any(|path| path.contains(&old)));
        for stays in [&young, &alive] {
            assert!(exists(&bea, stays).await);
            assert!(files(&world).iter().any(|path| path.contains(stays.as_str())));
        }
        let again = gc(&ada, json!({ "dry_run": false })).await;
        assert_eq!(ids(&again, "collected"), [""; 0]);

        bea.post(&format!("{API}/runs/restore"), json!({ "run_id": young })).await.ok();
        let back = bea.get(&format!("{API}/runs/get?run_id={young}")).await.ok();
        assert_eq!(back["run"]["info"]["lifecycle_stage"], "active");
        assert_eq!(back["run"]["data"]["metrics"][0]["value"], 699.0);
        let gone = bea.post(&format!("{API}/runs/restore"), json!({ "run_id": old })).await;
        assert_eq!(gone.status, StatusCode::NOT_FOUND);

        let trail = ada.get("/api/v1/audit").await.ok().to_string();
        assert!(trail.contains("run.collected") && trail.contains(&old), "{trail}");
        let history = bea.get(&format!("/api/v1/history?subject=run:{old}")).await.ok();
        let verbs: Vec<&str> = history["changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|change| change["verb"].as_str().unwrap())
            .collect();
        assert_eq!(&verbs[..2], ["collected", "deleted"], "{history}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_experiment_goes_with_its_runs_unless_something_in_it_stays() {
    for world in worlds().await {
        world.add_people(PEOPLE).await;
        let (ada, bea) = (world.as_user("ada"), world.as_user("bea"));
        let (free, held) = (experiment(&bea, "free").await, experiment(&bea, "held").await);
        let history = bea.get(&format!("/api/v1/history?subject=experiment:{free}")).await.ok();
        let change = &history["changes"][0];
        assert_eq!((&change["verb"], &change["actor"]["name"]), (&json!("created"), &json!("bea")));
        let gone = run(&world, &bea, &free).await;
        let (by_run, by_source) = (run(&world, &bea, &held).await, run(&world, &bea, &held).await);
        let model = json!({ "experiment_id": free, "name": "m", "source_run_id": gone });
        let made = bea.post(&format!("{API}/logged-models"), model).await.ok();
        let logged = made["model"]["info"]["model_id"].as_str().unwrap().to_owned();
        bea.post(&format!("{API}/registered-models/create"), json!({ "name": "m" })).await.ok();
        let first =
            json!({ "name": "m", "source": format!("runs:/{by_run}/model"), "run_id": by_run });
        bea.post(&format!("{API}/model-versions/create"), first).await.ok();
        let place = format!("mlflow-artifacts:/{held}/{by_source}/artifacts/model");
        let second = json!({ "name": "m", "source": place });
        bea.post(&format!("{API}/model-versions/create"), second).await.ok();
        for id in [&free, &held] {
            let deleted = json!({ "experiment_id": id });
            bea.post(&format!("{API}/experiments/delete"), deleted).await.ok();
        }
        world.pass(Span::days(40));
        let done = gc(&ada, json!({ "dry_run": false })).await;
        let mut collected = ids(&done, "collected");
        collected.sort_unstable();
        let mut expected = [gone.as_str(), &logged, &free];
        expected.sort_unstable();
        assert_eq!(collected, expected, "{done}");
        for stays in [&by_run, &by_source, &held] {
            assert!(ids(&done, "kept").contains(&stays.as_str()), "{stays}: {done}");
        }
        let why = done["kept"][0]["why"].as_str().unwrap();
        assert!(why.contains("`m/"), "{why}");
        assert!(exists(&bea, &by_run).await && exists(&bea, &by_source).await);
        let back = json!({ "experiment_id": held });
        bea.post(&format!("{API}/experiments/restore"), back).await.ok();
        assert!(exists(&bea, &by_run).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_an_endpoint_or_a_fact_names_stays_when_the_registry_has_forgotten_it() {
    for world in worlds().await {
        world.add_people(PEOPLE).await;
        let (ada, bea) = (world.as_user("ada"), world.as_user("bea"));
        bea.apply(FILE).await.ok();
        let home = experiment(&bea, "home").await;
        let from = run(&world, &bea, &home).await;
        bea.post(&format!("{API}/registered-models/create"), json!({ "name": "m" })).await.ok();
        let new = json!({ "name": "m", "source": format!("runs:/{from}/model"), "run_id": from });
        bea.post(&format!("{API}/model-versions/create"), new).await.ok();
        let endpoint = world.app.list_endpoints(&world.app.system()).await.unwrap().remove(0).id;
        let scope = Scope::of(world.app.workspace());
        let now = world.now();
        let row = BindingRow {
            endpoint,
            model_name: "m".into(),
            version: 1,
            bound_at: now,
            shadow_until: now,
            pinned_by: None,
        };
        world.app.store().write("bind", move |tx| binding::put(tx, &scope, &row)).await.unwrap();
        let version = json!({ "name": "m", "version": "1" });
        let path = format!("{API}/model-versions/delete");
        let kind = "application/json";
        bea.send(axum::http::Method::DELETE, &path, kind, version.to_string()).await.ok();
        delete(&bea, &from).await;
        world.pass(Span::days(40));
        let done = gc(&ada, json!({ "dry_run": false })).await;
        assert_eq!(ids(&done, "kept"), [from.as_str()], "{NAME}: {done}");
        assert!(done["kept"][0]["why"].as_str().unwrap().contains("names `m/1`"), "{done}");
        assert!(exists(&bea, &from).await);
    }
}
