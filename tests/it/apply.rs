//! Project files over the router.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use viaduct_testkit::World;

use crate::project::{FILE, NAME, PEOPLE, edited};

#[tokio::test]
async fn the_same_file_twice_changes_nothing() {
    let world = World::new().await;
    let anonymous = world.anonymous();
    let first = anonymous.apply(FILE).await.ok();
    assert_eq!((first["project"].as_str(), first["created"].as_bool()), (Some(NAME), Some(true)));
    assert!(!first["changes"].as_array().unwrap().is_empty());
    world.settle().await;
    let before = world.subjects(NAME).await;
    let audit = anonymous.get("/api/v1/audit?limit=1000").await.ok();
    world.pass(viaduct_base::Span::hours(1));
    let second = anonymous.apply(FILE).await.ok();
    assert_eq!((second["created"].as_bool(), &second["changes"]), (Some(false), &json!([])));
    world.settle().await;
    assert_eq!(world.subjects(NAME).await, before, "nothing became stale");
    assert_eq!(anonymous.get("/api/v1/audit?limit=1000").await.ok(), audit);
}

#[tokio::test]
async fn what_does_not_exist_yet_is_a_warning() {
    let world = World::new().await;
    let said = |answer: &Value| answer["warnings"].to_string();
    let warnings = said(&world.anonymous().apply(FILE).await.ok());
    for name in ["bea", "tom", "dan", "rita", "is not registered yet", "data/history.csv"] {
        assert!(warnings.contains(name), "no warning about `{name}`: {warnings}");
    }
    world.add_people(PEOPLE).await;
    let warnings = said(&world.as_user("ana").apply(FILE).await.ok());
    assert!(!warnings.contains("bea") && warnings.contains("not registered"), "{warnings}");
    crate::project::register_version(&world).await;
    let csv = "date,value,n\n2025-12-01,1.0,40\n2025-12-02,1.5,41\n".to_owned();
    let path = format!("/api/v1/projects/{NAME}/kpis/margin-per-lead/history");
    world.as_user("ana").send(Method::POST, &path, "text/csv", csv).await.ok();
    let warnings = said(&world.as_user("ana").apply(FILE).await.ok());
    assert!(
        !warnings.contains("not registered") && !warnings.contains("history.csv"),
        "{warnings}"
    );
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let world = World::new().await;
    let dry = |file: &str| {
        let (world, file) = (&world, file.to_owned());
        async move {
            let path = "/api/v1/apply?dry_run=true";
            world.anonymous().send(Method::POST, path, "application/yaml", file).await.ok()
        }
    };
    let told = dry(FILE).await;
    assert_eq!((told["created"].as_bool(), told["dry_run"].as_bool()), (Some(true), Some(true)));
    let list = world.anonymous().get("/api/v1/projects").await.ok();
    assert_eq!(list["items"], json!([]));
    assert_eq!(world.anonymous().get("/api/v1/audit").await.ok()["items"], json!([]));
    world.anonymous().apply(FILE).await.ok();
    world.settle().await;
    let show = || async { world.anonymous().get(&format!("/api/v1/projects/{NAME}")).await.ok() };
    let before = show().await;
    let told = dry(&edited("threshold: 0.12", "threshold: 0.2")).await;
    let changes = told["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(changes[0]["path"].as_str().unwrap().contains("threshold"), "{changes:?}");
    assert_eq!(show().await, before);
}

#[tokio::test]
async fn a_bad_file_names_line_and_column() {
    let world = World::new().await;
    let bad = edited("    purpose: marketing", "    porpoise: marketing");
    let refused = world.anonymous().apply(&bad).await;
    assert_eq!(
        (refused.status, refused.problem()),
        (StatusCode::BAD_REQUEST, "invalid-manifest"),
        "{}",
        refused.text
    );
    let line = bad.lines().position(|line| line.contains("porpoise")).unwrap() as u64 + 1;
    let errors = refused.body["errors"].as_array().unwrap();
    let named = errors.iter().find(|e| e["line"].as_u64() == Some(line)).unwrap();
    assert_eq!(named["column"].as_u64(), Some(5), "{named}");
    assert!(named["detail"].as_str().unwrap().contains("`purpose`"), "{named}");
    for broken in ["", "[", "kind: Project", "{a: &x [*x]}", "\u{0}", "a: b: c"] {
        let refused = world.anonymous().apply(broken).await;
        assert_eq!(refused.problem(), "invalid-manifest", "{broken:?}: {}", refused.text);
        let first = &refused.body["errors"][0];
        assert!(first["line"].as_u64().is_some(), "{broken:?}: {}", refused.text);
    }
    let list = world.anonymous().get("/api/v1/projects").await.ok();
    assert_eq!(list["items"], json!([]));
}

#[tokio::test]
async fn a_form_of_a_foreign_page_is_not_a_file() {
    let world = World::new().await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
        let sent = world.anonymous().send(Method::POST, "/api/v1/apply", kind, FILE.into()).await;
        assert_eq!(sent.status, StatusCode::BAD_REQUEST, "{kind}: {}", sent.text);
    }
}

#[tokio::test]
async fn an_endpoint_belongs_to_one_project() {
    let world = World::new().await;
    world.anonymous().apply(FILE).await.ok();
    let other = edited("{name: term-deposit, workspace", "{name: other, workspace");
    let refused = world.anonymous().apply(&other).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    assert!(refused.detail().contains("term-deposit"), "{}", refused.text);
}

#[tokio::test]
async fn a_deleted_concept_is_gone_and_its_name_is_free() {
    let world = World::new().await;
    world.anonymous().apply(FILE).await.ok();
    world.settle().await;
    let path = format!("/api/v1/projects/{NAME}");
    assert_eq!(world.anonymous().delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(world.anonymous().get(&path).await.status, StatusCode::NOT_FOUND);
    let again = world.anonymous().apply(FILE).await.ok();
    assert_eq!(again["created"], json!(true));
    // What happened stays told.
    let audit = world.anonymous().get("/api/v1/audit").await.text;
    assert!(audit.contains("project.deleted") && audit.contains("project.created"), "{audit}");
}
