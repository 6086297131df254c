//! Experiments, runs and models: what the tables, the run and the model show, and undelete.

use axum::http::StatusCode;
use viaduct_app::mlflow::{
    Batch, DatasetUse, Holder, MetricRow, ModelOutput, NewExperiment, NewLoggedModel, NewRun,
    NewVersion, Pair, RunChange,
};
use viaduct_base::Span;
use viaduct_domain::permission::{Caller, Role};

use crate::world::{Browser, World};

const EVIL: &str = "<script>alert(1)</script>";

fn pair(key: &str, value: &str) -> Pair {
    Pair { key: key.into(), value: value.into() }
}

fn metric(world: &World, key: &str, value: f64, step: i64) -> MetricRow {
    MetricRow { key: key.into(), value, at: world.app.now(), step }
}

async fn run(world: &World, by: &Caller, experiment: &str, name: &str, auc: f64) -> String {
    let new = NewRun {
        experiment_id: experiment.into(),
        name: Some(name.into()),
        user_name: "bea".into(),
        start_ms: None,
        tags: vec![pair("team", EVIL), pair("mlflow.source.git.repoURL", "javascript:alert(2)")],
    };
    let id = world.app.create_run(by, new).await.unwrap().row.run_id;
    let mut metrics: Vec<MetricRow> =
        (0..400).map(|step| metric(world, "loss", 1.0 / (step + 1) as f64, step)).collect();
    metrics.push(metric(world, "auc", auc, 0));
    let params = vec![pair("depth", "6"), pair("eta", &format!("{}", auc / 8.0)), pair("x", EVIL)];
    let batch = Batch { metrics, params, ..Batch::default() };
    world.app.log_batch(by, &id, batch).await.unwrap();
    world.clock.advance(Span::minutes(5));
    let ms = world.app.now().as_micros() / 1000;
    let done = RunChange { status: Some("FINISHED".into()), end_ms: Some(ms), name: None };
    world.app.update_run(by, &id, done).await.unwrap();
    id
}

async fn tracked() -> (World, Browser, String, Vec<String>) {
    let world = World::new().await;
    world.add_people(&[("ada", Role::Admin), ("vic", Role::Viewer)]).await;
    let ada = world.caller("ada").await;
    let tags = vec![pair("mlflow.note.content", "Which leads?")];
    let new = NewExperiment { name: format!("calls {EVIL}"), artifact_location: None, tags };
    let experiment = world.app.create_experiment(&ada, new, None).await.unwrap();
    let mut runs = Vec::new();
    for (name, auc) in [("first", 0.71), ("second", 0.84), ("third", 0.79)] {
        runs.push(run(&world, &ada, &experiment, name, auc).await);
    }
    let browser = world.signed_in("ada").await;
    (world, browser, experiment, runs)
}

#[tokio::test]
async fn experiments_are_listed_and_a_filter_that_does_not_read_says_so() {
    let (world, browser, _, _) = tracked().await;
    let page = world.get(&browser, "/experiments").await;
    page.has("calls &#60;script&#62;").has("Which leads?").has("Default").keeps_the_policy();
    let page = world.get(&browser, "/experiments?filter=name%20LIKE%20'calls%25'").await;
    assert!(!page.text.contains(">Default<"), "{}", page.text);
    let page = world.get(&browser, "/experiments?filter=nome%20%3D%20'x'").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    page.has("filter-problem").has("Invalid").has("nome").keeps_the_policy();
}

#[tokio::test]
async fn the_table_filters_sorts_pages_and_takes_columns() {
    let (world, browser, experiment, runs) = tracked().await;
    let base = format!("/experiments/{experiment}");
    let names = |text: &str| {
        let mut found: Vec<(usize, &str)> = ["first", "second", "third"]
            .into_iter()
            .filter_map(|name| Some((text.find(&format!(">{name}</a>"))?, name)))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, name)| name).collect::<Vec<_>>()
    };
    let page = world.get(&browser, &base).await;
    page.has("0.84").has("5 min").keeps_the_policy();
    assert!(!page.text.contains("<script>alert"), "{}", page.text);
    assert_eq!(names(&page.text), ["third", "second", "first"], "latest first");
    for (query, expected) in [
        ("order=-metrics.auc", vec!["second", "third", "first"]),
        ("order=params.eta", vec!["first", "third", "second"]),
        ("order=attributes.run_name", vec!["first", "second", "third"]),
        ("filter=metrics.auc%20%3E%200.75&order=metrics.auc", vec!["third", "second"]),
        ("filter=metrics.auc%20%3E%200.99", vec![]),
    ] {
        let page = world.get(&browser, &format!("{base}?{query}")).await;
        assert_eq!(page.status, StatusCode::OK, "{query}: {}", page.text);
        assert_eq!(names(&page.text), expected, "{query}");
    }
    let page = world.get(&browser, &format!("{base}?col=params.depth&col=tags.team")).await;
    page.has("name=\"col\" value=\"params.depth\" checked").has("&#60;script&#62;alert(1)");
    assert!(!page.text.contains("value=\"metrics.auc\" checked"));
    let sorted = world.get(&browser, &format!("{base}?order=-metrics.auc")).await;
    sorted.has("aria-sort=\"descending\"").has("order=metrics.auc");
    for bad in ["filter=metrics.auc%20%3E", "order=-nothing.x", "page=zzz"] {
        let page = world.get(&browser, &format!("{base}?{bad}")).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{bad}");
        page.has("filter-problem").keeps_the_policy();
    }
    let compare = format!("{base}/compare?run={}&run={}", runs[0], runs[1]);
    let page = world.get(&browser, &compare).await;
    page.has("2 runs beside each other").has("differs").has("0.71").keeps_the_policy();
    page.has("loss over the steps");
    let only = world.get(&browser, &format!("{compare}&only=different")).await;
    assert!(!only.text.contains("</span> depth") && !only.text.contains(">depth<"));
    only.has("auc").has("Show all lines");
    let one = world.get(&browser, &format!("{base}/compare?run={}", runs[0])).await;
    assert_eq!(one.status, StatusCode::BAD_REQUEST);
    one.has("pick two to 5 runs");
}

#[tokio::test]
async fn a_run_shows_everything_that_hangs_on_it() {
    let (world, browser, experiment, runs) = tracked().await;
    let ada = world.caller("ada").await;
    let id = &runs[0];
    let used = DatasetUse {
        name: "leads".into(),
        digest: "abc123".into(),
        dataset: serde_json::json!({ "source": "{\"uri\": \"javascript:alert(3)\"}" }),
        tags: serde_json::json!({ "mlflow.data.context": "training" }),
    };
    world.app.log_inputs(&ada, id, vec![used], Vec::new()).await.unwrap();
    let new = NewLoggedModel {
        experiment_id: experiment.clone(),
        name: Some("booster".into()),
        model_type: None,
        source_run_id: Some(id.clone()),
        params: Vec::new(),
        tags: Vec::new(),
    };
    let model = world.app.create_logged_model(&ada, new).await.unwrap().row.model_id;
    let made = ModelOutput { model_id: model, step: 0 };
    world.app.log_outputs(&ada, id, vec![made]).await.unwrap();
    let holder = Holder::Run(id.clone());
    let file = format!("plots/{}.txt", "a<b>");
    let mut upload = world.app.begin_upload(&ada, &holder, &file).await.unwrap();
    upload.push("hello".into()).await.unwrap();
    upload.finish().await.unwrap();

    let page = world.get(&browser, &format!("/runs/{id}")).await;
    page.has("<h1>first</h1>").has("loss over the steps").has("leads").has("training");
    page.has("booster").has("plots/").has("logged params or tags").has("ada").keeps_the_policy();
    assert!(!page.text.contains("href=\"javascript"), "{}", page.text);
    assert!(!page.text.contains("<script>alert"));
    page.has("javascript:alert(2)").has("javascript:alert(3)");
    let folder = world.get(&browser, &format!("/runs/{id}?folder=plots")).await;
    folder.has("a&#60;b&#62;.txt").has("5 B").has("one folder up");
    folder.has(&format!("/get-artifact?run_uuid={id}&#38;path=plots%2Fa%3Cb%3E.txt"));
    let out = world.get(&browser, &format!("/runs/{id}?folder=../..")).await;
    assert_eq!(out.status, StatusCode::OK);
    out.has("it must be relative");
    let found = world.get(&browser, &format!("/?q={id}")).await;
    assert_eq!(found.header("location"), format!("/runs/{id}"));
    let none = world.get(&browser, "/runs/nothing").await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    none.keeps_the_policy();
}

#[tokio::test]
async fn a_deleted_run_and_experiment_come_back_by_a_button() {
    let (world, browser, experiment, runs) = tracked().await;
    let ada = world.caller("ada").await;
    world.app.delete_run(&ada, &runs[0]).await.unwrap();
    let page = world.get(&browser, &format!("/runs/{}", runs[0])).await;
    page.has("Restore the run").has("4 Feb 2026");
    let target = format!("/runs/{}/restore", runs[0]);
    let viewer = world.signed_in("vic").await;
    let seen = world.get(&viewer, &format!("/runs/{}", runs[0])).await;
    assert!(!seen.text.contains("Restore the run"), "a viewer is offered nothing");
    let csrf = seen.csrf();
    let refused = world.post(&viewer, &target, &[("csrf", &csrf)]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let forged = world.post(&browser, &target, &[("csrf", "nonsense")]).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let done = world.post(&browser, &target, &[("csrf", &page.csrf())]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    let page = world.get(&browser, &format!("/runs/{}", runs[0])).await;
    page.has("The run was restored.").has("restored it").has("deleted it");

    world.app.delete_experiment(&ada, &experiment).await.unwrap();
    let page = world.get(&browser, "/experiments?view=deleted").await;
    page.has("Restore");
    let target = format!("/experiments/{experiment}/restore");
    let done = world.post(&browser, &target, &[("csrf", &page.csrf())]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    let page = world.get(&browser, &format!("/experiments/{experiment}")).await;
    page.has("first").has("second");
}

#[tokio::test]
async fn a_model_shows_versions_lineage_endpoints_and_who_changed_it() {
    let (world, browser, _, runs) = tracked().await;
    let ada = world.caller("ada").await;
    world.apply(&ada).await;
    world.predict(7);
    world.app.create_registered_model(&ada, "calls", Some(EVIL.into()), vec![]).await.unwrap();
    let source = format!("runs:/{}/model", runs[1]);
    let new = NewVersion {
        name: "calls".into(),
        source,
        run_id: Some(runs[1].clone()),
        ..NewVersion::default()
    };
    world.app.create_model_version(&ada, new, None).await.unwrap();
    world.app.set_model_alias(&ada, "calls", "champion", "1").await.unwrap();
    world.app.bind_models().await.unwrap();
    let list = world.get(&browser, "/models").await;
    list.has("calls").has("@champion → 1").has("/endpoints/calls").keeps_the_policy();
    let page = world.get(&browser, "/models/calls").await;
    page.has("@champion").has(">second</a>").has("/endpoints/calls").has("pointed an alias");
    page.has("registered a version").has(&format!("/runs/{}", runs[1])).keeps_the_policy();
    assert!(!page.text.contains("<script>alert"));
    let run = world.get(&browser, &format!("/runs/{}", runs[1])).await;
    run.has("version 1").has("href=\"/models/calls\"");
    let bad = world.get(&browser, "/models?filter=nome%20%3D%201").await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.get(&browser, "/models/nothing").await.status, StatusCode::NOT_FOUND);
}
