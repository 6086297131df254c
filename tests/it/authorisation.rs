//! Who gets in: every row of the API, by everybody.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use serde_json::json;
use viaduct_api::routes::Row;
use viaduct_domain::permission::{Access, Operation, Role};
use viaduct_testkit::{As, World};

use crate::project::{FILE, PEOPLE};

/// The row's path with something in each parameter.
fn path(row: &Row) -> String {
    let mut out = String::new();
    for part in row.path.split_inclusive('/') {
        match part.strip_prefix('{') {
            Some(rest) => {
                out.push_str("nothing");
                if rest.ends_with('/') {
                    out.push('/');
                } else if let Some((_, after)) = rest.split_once('}') {
                    out.push_str(after);
                }
            }
            None => out.push_str(part),
        }
    }
    out
}

/// What MLflow has and this server has not is answered by MLflow's own `NOT_IMPLEMENTED`.
/// Workspaces that are off answer 503, as MLflow's do.
fn is_no_fault(status: StatusCode, text: &str) -> bool {
    status.as_u16() < 500
        || status == StatusCode::NOT_IMPLEMENTED
        || text.contains("\"error_code\":\"FEATURE_DISABLED\"")
}

async fn ask(by: &As<'_>, row: &Row) -> (StatusCode, String) {
    let answer = by.send(row.method.clone(), &path(row), "application/json", "{}".into()).await;
    (answer.status, answer.text)
}

/// Routes that end what the test needs, asked with a body they refuse.
fn rows() -> Vec<Row> {
    let rows = viaduct_api::rows();
    assert!(rows.len() > 90, "only {} rows", rows.len());
    rows
}

#[tokio::test]
async fn nobody_passes_a_locked_door() {
    let world = World::new().await;
    world.add_people(PEOPLE).await;
    for row in rows() {
        let (status, text) = ask(&world.anonymous(), &row).await;
        let is_public = row.operation.access() == Access::Public;
        let refused = status == StatusCode::UNAUTHORIZED;
        assert_eq!(refused, !is_public, "{} {}: {status} {text}", row.method, row.path);
    }
}

#[tokio::test]
async fn a_role_too_weak_is_forbidden_and_one_that_suffices_is_not() {
    let world = World::new().await;
    world.add_people(PEOPLE).await;
    for (name, role) in [("vera", Role::Viewer), ("otto", Role::Member), ("ada", Role::Admin)] {
        for row in rows() {
            let needed = match row.operation.access() {
                Access::Public => continue,
                Access::AtLeast(needed) | Access::Named(needed) | Access::ConsumerOr(needed) => {
                    needed
                }
            };
            let (status, text) = ask(&world.as_user(name), &row).await;
            let said_weak = text.contains(&format!("asks for {} or more", needed.as_str()));
            assert_eq!(
                status == StatusCode::FORBIDDEN && said_weak,
                role < needed,
                "{name} {} {}: {status} {text}",
                row.method,
                row.path
            );
            assert_ne!(status, StatusCode::UNAUTHORIZED, "{name} {} {}", row.method, row.path);
            assert!(is_no_fault(status, &text), "{name} {} {}: {text}", row.method, row.path);
        }
    }
}

#[tokio::test]
async fn an_open_door_is_open_and_names_nobody() {
    let world = World::new().await;
    for row in rows() {
        let (status, text) = ask(&world.anonymous(), &row).await;
        let wants_name = text.contains("needs a named person");
        let is_named = matches!(row.operation.access(), Access::Named(_));
        assert_eq!(wants_name, is_named, "{} {}: {status} {text}", row.method, row.path);
        assert_eq!(
            status == StatusCode::UNAUTHORIZED,
            is_named && wants_name && { viaduct_base::Kind::NameNeeded.status() == 401 }
        );
        assert!(is_no_fault(status, &text), "{} {}: {text}", row.method, row.path);
    }
}

#[tokio::test]
async fn every_operation_is_reached_by_a_row_or_a_page() {
    // Signing in and out, and the styles, belong to pages; the pages bring their own rows.
    let of_pages = [Operation::Login, Operation::Logout, Operation::ReadAsset];
    let rows = rows();
    for operation in Operation::ALL {
        let reached = rows.iter().any(|row| row.operation == *operation);
        assert!(reached || of_pages.contains(operation), "`{}` guards nothing", operation.name());
    }
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused_on_every_route() {
    let world = World::new().await;
    for row in rows() {
        let request = |host: &str, origin: Option<&str>| {
            let mut request = Request::builder()
                .method(row.method.clone())
                .uri(path(&row))
                .header(header::HOST, host);
            if let Some(origin) = origin {
                request = request.header(header::ORIGIN, origin);
            }
            request.body(Body::empty()).unwrap()
        };
        let rebound = world.ask(request("evil.example:7878", None)).await;
        assert_eq!(rebound.status, StatusCode::FORBIDDEN, "{} {}", row.method, row.path);
        assert!(rebound.text.contains("Invalid Host header"), "{}", rebound.text);
        if !matches!(row.method, Method::GET | Method::HEAD | Method::OPTIONS) {
            for origin in ["https://evil.example", "null", "http://127.0.0.1.evil.example"] {
                let crossed = world.ask(request("127.0.0.1:7878", Some(origin))).await;
                assert_eq!(crossed.status, StatusCode::FORBIDDEN, "{} {}", row.method, row.path);
                assert!(crossed.text.contains("Cross-origin"), "{}", crossed.text);
            }
        }
    }
    // A path that nobody serves is guarded as well.
    let request =
        Request::get("/nowhere").header(header::HOST, "evil.example").body(Body::empty()).unwrap();
    assert_eq!(world.ask(request).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_first_user_is_an_admin_and_shuts_the_door() {
    let world = World::new().await;
    let anonymous = world.anonymous();
    anonymous.apply(FILE).await.ok();
    let user =
        |name: &str, role: &str| json!({ "name": name, "role": role, "password": "long enough" });
    let refused = anonymous.post("/api/v1/users", user("mona", "member")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text);
    assert!(refused.detail().contains("add an admin first"), "{}", refused.text);
    assert!(anonymous.get("/api/v1/projects").await.status.is_success(), "still open");
    anonymous.post("/api/v1/users", user("ada", "admin")).await.ok();
    assert_eq!(anonymous.get("/api/v1/projects").await.status, StatusCode::UNAUTHORIZED);
    let again = anonymous.post("/api/v1/users", user("eve", "admin")).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_disabled_person_is_out_at_once() {
    let world = World::new().await;
    world.add_people(PEOPLE).await;
    assert!(world.as_user("otto").get("/api/v1/projects").await.status.is_success());
    world.as_user("ada").post("/api/v1/users/otto/disable", json!({})).await.ok();
    let out = world.as_user("otto").get("/api/v1/projects").await;
    assert_eq!(out.status, StatusCode::UNAUTHORIZED);
    let last = world.as_user("ada").post("/api/v1/users/ada/disable", json!({})).await;
    assert_eq!(last.status, StatusCode::CONFLICT, "{}", last.text);
}

#[tokio::test]
async fn a_wrong_credential_is_refused_even_where_nobody_is_asked() {
    let world = World::new().await;
    for value in ["Bearer vdt_wrong", "Basic bm9ib2R5Om5vdGhpbmc=", "Digest x", "Bearer"] {
        let request = Request::get("/api/v1/projects").header(header::AUTHORIZATION, value);
        let answer = world.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{value}: {}", answer.text);
    }
}
