//! Every page of a project with decisions.

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use viaduct_base::{DecisionId, Span};
use viaduct_domain::permission::Role;

use crate::world::{Browser, World};

async fn lived_in() -> (World, Browser, Vec<DecisionId>) {
    let world = World::new().await;
    world.add_people(&[("ada", Role::Admin), ("bea", Role::Member)]).await;
    let ada = world.caller("ada").await;
    world.apply(&ada).await;
    let history = "date,value,n\n2025-12-01,1.5,40\n2025-12-02,1.75,41\n".to_owned();
    let kpi = ("calls".to_owned(), "margin".to_owned());
    world.app.load_history(&ada, kpi.clone(), history).await.unwrap();
    world.app.freeze_baseline(&ada, kpi).await.unwrap();
    let decisions = world.predict(60);
    world.clock.advance(Span::days(2));
    for decision in [decisions[0], decisions[59]] {
        world.report(&ada, decision, 11.4).await;
    }
    let browser = world.signed_in("ada").await;
    (world, browser, decisions)
}

#[tokio::test]
async fn every_page_answers() {
    let (world, browser, decisions) = lived_in().await;
    let decision = format!("/decisions/{}", decisions[0]);
    let pages = [
        ("/", "Calls &#60;of the day&#62;"),
        ("/?q=calls", "1 project for"),
        ("/projects/calls", "Which leads are worth a call?"),
        ("/projects/calls/decisions", "lead-59"),
        ("/projects/calls/decisions?page=2", "lead-9"),
        ("/projects/calls/decisions?key=lead-7", "lead-7"),
        ("/projects/calls/decisions?variant=holdout", "No decision matches"),
        (decision.as_str(), "shadow: business as usual was answered"),
        ("/endpoints/calls", "given back; the model is logged beside it"),
        ("/users", "bea"),
        ("/api", "/api/openapi.json"),
    ];
    for (path, text) in pages {
        let page = world.get(&browser, path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(page.header("cache-control"), "no-store");
        page.has(text);
        page.keeps_the_policy();
        assert!(!page.text.contains("<b>technician"), "{path}: inputs are text");
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        request.headers_mut().insert("x-viaduct-fragment", "main".parse().unwrap());
        let part = world.ask(&browser, request).await;
        part.has(text);
        assert!(!part.text.contains("<html") && !part.text.contains("<main"), "{path}");
    }
}

#[tokio::test]
async fn the_project_shows_what_there_is() {
    let (world, browser, _) = lived_in().await;
    let page = world.get(&browser, "/projects/calls").await;
    page.has("baseline frozen").has("final after 21 days").has("a case not acted on counts €0");
    page.has("no such user yet").has("history").has("All 60").has("€11.40");
    page.has("The history of <code>margin</code> was frozen");
    page.has("A1</span> <span class=\"c-title\">The KPI is alive");
    page.has("Not enough data").has("viaduct kpi history calls margin");
    let csv = world.get(&browser, "/projects/calls/kpis/margin/points.csv").await;
    assert_eq!(
        csv.text,
        "date,series,value,n\n2025-12-01,history,1.5,40\n2025-12-02,history,1.75,41\n"
    );
    assert!(csv.header("content-disposition").contains("calls-margin.csv"));
}

#[tokio::test]
async fn the_endpoint_counts_and_gives_a_key_once() {
    let (world, browser, _) = lived_in().await;
    let page = world.get(&browser, "/endpoints/calls").await;
    page.has("<td class=\"mono\">age</td>").has("call when probability &#62;= 0.15");
    page.has("No model answers: <code>calls@champion</code> does not exist yet");
    page.has("&#34;age&#34;:1").has("&#34;customer_id&#34;:&#34;customer-1&#34;");
    assert!(!page.text.contains("duration&#34;"), "a field of after the decision is not sent");
    let csv = world.get(&browser, "/endpoints/calls/traffic.csv").await;
    csv.has("day,shadow\n").has("5 Jan,60\n");

    let fields = [("csrf", page.csrf()), ("name", "app".to_owned())];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let made = world.post(&browser, "/endpoints/calls/consumers", &fields).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    made.has("Key of app").has("vdk_").keeps_the_policy();
    assert_eq!(made.header("cache-control"), "no-store");
    let later = world.get(&browser, "/endpoints/calls").await;
    later.has("<strong>app</strong>").has("never called");
    assert!(!later.text.contains("vdk_"), "a key is shown once");
    let again = world.post(&browser, "/endpoints/calls/consumers", &fields).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_decision_tells_how_it_came_about() {
    let (world, browser, decisions) = lived_in().await;
    let page = world.get(&browser, &format!("/decisions/{}", decisions[0])).await;
    page.has("lead-0").has("counts now").has("€11.40").has("from call-centre");
    page.has("final 21 days after the decision").has("&#60;b&#62;technician");
    let found = world.get(&browser, &format!("/?q={}", decisions[0])).await;
    assert_eq!(found.header("location"), format!("/decisions/{}", decisions[0]));
}

#[tokio::test]
async fn what_is_not_there_is_a_page_too() {
    let (world, browser, _) = lived_in().await;
    for path in [
        "/projects/nothing",
        "/projects/nothing/decisions",
        "/projects/calls/kpis/nothing/points.csv",
        "/endpoints/nothing",
        "/decisions/nothing",
        "/decisions/dec_00000000000000000000000000",
        "/evaluations/evl_00000000000000000000000000",
        "/static/nothing.js",
    ] {
        let page = world.get(&browser, path).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
        page.has("There is no such thing").has("req_").keeps_the_policy();
    }
}

#[tokio::test]
async fn files_are_cached_for_ever() {
    let (world, browser, _) = lived_in().await;
    for asset in viaduct_ui::assets::all() {
        let page = world.get(&browser, &format!("/static/{}", asset.file)).await;
        assert_eq!(page.status, StatusCode::OK);
        assert_eq!(page.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(page.header("content-type"), asset.content_type);
        assert_eq!(page.text.len(), asset.bytes.len());
        assert!(page.cookies().is_empty());
    }
}

#[test]
fn every_link_of_the_pages_is_a_row() {
    let (_, rows) = viaduct_ui::routes::router();
    let has = |method: &str, path: &str| {
        rows.iter().any(|row| row.method.as_str() == method && matches(row.path, path))
    };
    use viaduct_ui::path;
    for link in [
        path::HOME.to_owned(),
        path::USERS.to_owned(),
        path::LOGIN.to_owned(),
        path::API.to_owned(),
        path::project("p"),
        path::decisions("p"),
        path::decision("d"),
        path::endpoint("e"),
        path::evaluation("v"),
        path::kpi_csv("p", "k"),
        path::traffic_csv("e"),
        path::asset("f"),
    ] {
        assert!(has("GET", &link), "{link}");
    }
    for form in [
        path::LOGIN.to_owned(),
        path::LOGOUT.to_owned(),
        path::USERS.to_owned(),
        path::disable_user("u"),
        path::collect("p"),
        path::open_review("p"),
        path::sign_review("r"),
        path::withdraw_review("r"),
        path::ask_waiver("p"),
        path::approve_waiver("w"),
        path::consumers("e"),
    ] {
        assert!(has("POST", &form), "{form}");
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<&str>, Vec<&str>) =
        (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len()
        && pattern.iter().zip(&path).all(|(p, s)| p.starts_with('{') || p == s)
}
