//! Who gets in, and which forms are read.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use viaduct_domain::permission::Role;

use crate::world::{Browser, PASSWORD, World};

#[tokio::test]
async fn the_first_page_of_an_empty_server() {
    let world = World::new().await;
    let browser = Browser::default();
    let page = world.get(&browser, "/").await;
    assert_eq!(page.status, StatusCode::OK);
    page.has("Nothing crosses yet").has("http://127.0.0.1:7878").has("0 of 3 seen so far");
    page.has("open on this machine").has("Simulated clock");
    page.keeps_the_policy();
    let cookie = page.cookies().join("; ");
    assert!(cookie.starts_with("viaduct_form="), "{cookie}");
    assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
    let head = Request::head("/").body(Body::empty()).unwrap();
    let head = world.ask(&browser, head).await;
    assert_eq!((head.status, head.text.as_str()), (StatusCode::OK, ""));
}

#[tokio::test]
async fn the_first_user_is_made_in_the_browser_and_shuts_the_door() {
    let world = World::new().await;
    let browser = Browser::default();
    let csrf = world.get(&browser, "/users").await.csrf();
    let fields =
        |role| [("csrf", csrf.as_str()), ("name", "ada"), ("role", role), ("password", PASSWORD)];
    let refused = world.post(&browser, "/users", &fields("member")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    refused.has("lock everybody out").keeps_the_policy();
    let added = world.post(&browser, "/users", &fields("admin")).await;
    assert_eq!((added.status, added.header("location")), (StatusCode::SEE_OTHER, "/login"));
    let login = world.get(&browser, "/login").await;
    login.has("<code>ada</code> was added as admin");
    let gone = world.get(&browser, "/login").await;
    assert!(!gone.text.contains("was added"), "a message is shown once");
    let home = world.get(&browser, "/projects/calls?x=1").await;
    assert_eq!(home.status, StatusCode::SEE_OTHER);
    assert_eq!(home.header("location"), "/login?next=%2Fprojects%2Fcalls%3Fx%3D1");
}

#[tokio::test]
async fn a_login_needs_the_form_and_the_password() {
    let world = World::new().await;
    world.add_people(&[("ada", Role::Admin)]).await;
    let browser = Browser::default();
    let page = world.get(&browser, "/login?next=/users").await;
    page.has("name=\"next\" value=\"/users\"").keeps_the_policy();
    let csrf = page.csrf();
    let login = [("name", "ada"), ("password", PASSWORD), ("next", "/users")];
    let with = |csrf| [&[("csrf", csrf)], login.as_slice()].concat();

    let foreign = Browser::default();
    for (who, secret) in [(&browser, ""), (&browser, "guess"), (&foreign, csrf.as_str())] {
        let page = world.post(who, "/login", &with(secret)).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{secret}");
        page.has("out of date").keeps_the_policy();
        assert!(!page.cookies().iter().any(|c| c.starts_with("viaduct_session")));
    }

    let wrong =
        [("csrf", csrf.as_str()), ("name", "ada"), ("password", "wrong"), ("next", "/users")];
    let page = world.post(&browser, "/login", &wrong).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    page.has("The name or the password is wrong").has("value=\"ada\"").has("value=\"/users\"");
    assert!(!page.text.contains("value=\"wrong\""), "a password is never sent back");

    let page = world.post(&browser, "/login", &with(&csrf)).await;
    assert_eq!((page.status, page.header("location")), (StatusCode::SEE_OTHER, "/users"));
    let cookie = page.cookies().into_iter().find(|c| c.starts_with("viaduct_session=")).unwrap();
    assert!(cookie.ends_with("; HttpOnly; SameSite=Lax; Path=/; Max-Age=43200"), "{cookie}");
    let users = world.get(&browser, "/users").await;
    users.has("ada").has("Sign out");

    let old = world.post(&browser, "/logout", &[("csrf", &csrf)]).await;
    assert_eq!(old.status, StatusCode::FORBIDDEN, "a secret from before the login is void");
    let out = world.post(&browser, "/logout", &[("csrf", &users.csrf())]).await;
    assert_eq!((out.status, out.header("location")), (StatusCode::SEE_OTHER, "/login"));
    let after = world.get(&browser, "/users").await;
    assert_eq!(after.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_login_leads_nowhere_else() {
    let world = World::new().await;
    world.add_people(&[("ada", Role::Admin)]).await;
    for next in ["//evil.example", "https://evil.example", "/\\evil.example"] {
        let browser = Browser::default();
        let csrf = world.get(&browser, "/login").await.csrf();
        let fields =
            [("csrf", csrf.as_str()), ("name", "ada"), ("password", PASSWORD), ("next", next)];
        let page = world.post(&browser, "/login", &fields).await;
        assert_eq!(page.header("location"), "/", "{next}");
    }
}

#[tokio::test]
async fn a_viewer_manages_nobody() {
    let world = World::new().await;
    world.add_people(&[("ada", Role::Admin), ("vic", Role::Viewer)]).await;
    let browser = world.signed_in("vic").await;
    let page = world.get(&browser, "/users").await;
    assert!(!page.text.contains("action=\"/users\""), "{}", page.text);
    let fields = [("csrf", page.csrf()), ("name", "eve".into()), ("role", "admin".into())];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let refused = world.post(&browser, "/users", &fields).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    refused.has("asks for admin or more").keeps_the_policy();
    let refused = world.post(&browser, "/users/ada/disable", &fields[..1]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_admin_disables_somebody() {
    let world = World::new().await;
    world.add_people(&[("ada", Role::Admin), ("bob", Role::Member)]).await;
    let bob = world.signed_in("bob").await;
    let ada = world.signed_in("ada").await;
    let csrf = world.get(&ada, "/users").await.csrf();
    let page = world.post(&ada, "/users/bob/disable", &[("csrf", &csrf)]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    world.get(&ada, "/users").await.has("<code>bob</code> was disabled").has("disabled</span>");
    assert_eq!(world.get(&bob, "/users").await.status, StatusCode::SEE_OTHER);
    let last = world.post(&ada, "/users/ada/disable", &[("csrf", &csrf)]).await;
    assert_eq!(last.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn only_forms_are_read() {
    let world = World::new().await;
    let browser = Browser::default();
    world.get(&browser, "/").await;
    let json = Request::post("/users")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from("{}"))
        .unwrap();
    assert_eq!(world.ask(&browser, json).await.status, StatusCode::BAD_REQUEST);
    let long = "x".repeat(70_000);
    let page = world.post(&browser, "/users", &[("csrf", &long)]).await;
    assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE);
}
