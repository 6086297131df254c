//! Asking for a gate, signing, withdrawing and waiving in the browser.

use axum::http::StatusCode;
use viaduct_domain::permission::Role;

use crate::world::{Page, World};

async fn world() -> World {
    let world = World::new().await;
    let people = [
        ("ada", Role::Admin),
        ("bea", Role::Member),
        ("tom", Role::Member),
        ("dan", Role::Viewer),
        ("rita", Role::Viewer),
    ];
    world.add_people(&people).await;
    let ada = world.caller("ada").await;
    world.apply(&ada).await;
    world
}

/// The address that the page's form with this class or button posts to.
fn action(page: &Page, part: &str) -> String {
    let at = page.text.find(part).unwrap_or_else(|| panic!("no {part}: {}", page.text));
    let form = page.text[..at].rfind("action=\"").unwrap() + 8;
    page.text[form..].split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_shut_gate_cannot_be_asked_for() {
    let world = world().await;
    let tom = world.signed_in("tom").await;
    let page = world.get(&tom, "/projects/calls").await;
    page.has("G1 cannot be asked for").has("not measured yet");
    assert!(!page.text.contains("Ask for G1"));
    let refused = world.post(&tom, "/projects/calls/reviews", &[("csrf", &page.csrf())]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    refused.has("The gate stays shut").keeps_the_policy();
}

#[tokio::test]
async fn two_signatures_open_the_gate() {
    let world = world().await;
    world.measure_well().await;
    let tom = world.signed_in("tom").await;
    let page = world.get(&tom, "/projects/calls").await;
    page.has("Ask for G1").keeps_the_policy();
    let form = [("csrf", page.csrf())];
    let form: Vec<(&str, &str)> = form.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let asked = world.post(&tom, "/projects/calls/reviews", &form).await;
    assert_eq!(asked.header("location"), "/projects/calls", "{}", asked.text);
    let page = world.get(&tom, "/projects/calls").await;
    page.has("The review of G1 is open").has("0 <span class=\"of\">of 2 signed");
    assert!(!page.text.contains("sign-form"), "the charter gives `tom` no signature");
    page.has("Withdraw the review");

    let bea = world.signed_in("bea").await;
    let page = world.get(&bea, "/projects/calls").await;
    page.has("value=\"business_owner\"").has("The KPI, its unit value").keeps_the_policy();
    assert!(!page.text.contains("value=\"data_owner\""));
    let to = action(&page, "sign-statement");
    let csrf = page.csrf();
    let sign =
        |csrf, role, statement| [("csrf", csrf), ("role", role), ("statement", statement)].to_vec();
    let risk = "Leads who opted out are called a day late.";
    let forged = world.post(&bea, &to, &sign("x", "business_owner", risk)).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let short = world.post(&bea, &to, &sign(&csrf, "business_owner", "fine")).await;
    assert!(short.status.is_client_error(), "{}", short.status);
    let other = world.post(&bea, &to, &sign(&csrf, "data_owner", risk)).await;
    assert!(other.status.is_client_error(), "{}", other.status);
    let signed = world.post(&bea, &to, &sign(&csrf, "business_owner", risk)).await;
    assert_eq!(signed.status, StatusCode::SEE_OTHER, "{}", signed.text);
    let page = world.get(&bea, "/projects/calls").await;
    page.has("Signed as business owner").has(risk).has("1 <span class=\"of\">of 2 signed");

    let dan = world.signed_in("dan").await;
    let page = world.get(&dan, "/projects/calls").await;
    let signed = world.post(&dan, &to, &sign(&page.csrf(), "data_owner", risk)).await;
    assert_eq!(signed.status, StatusCode::SEE_OTHER, "{}", signed.text);
    let page = world.get(&dan, "/projects/calls").await;
    page.has("G1 is open: the last signature was yours").has("G1 opened: pilot begins");
    page.has("Gate G2").keeps_the_policy();
    let evaluation = page.text.split("/evaluations/").nth(1).unwrap().split('"').next().unwrap();
    let paper = world.get(&dan, &format!("/evaluations/{evaluation}")).await;
    assert_eq!(paper.status, StatusCode::OK);
    paper.has("every blocking criterion is met").keeps_the_policy();
}

#[tokio::test]
async fn the_signed_evaluation_names_its_signers() {
    let world = world().await;
    world.measure_well().await;
    let tom = world.caller("tom").await;
    let review = world.app.request_gate(&tom, "calls").await.unwrap();
    let bea = world.signed_in("bea").await;
    let page = world.get(&bea, "/projects/calls").await;
    let risk = "Nobody has looked at <script>alert(1)</script> students.";
    let fields =
        [("csrf", page.csrf()), ("role", "business_owner".into()), ("statement", risk.into())];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
    world.post(&bea, &action(&page, "sign-statement"), &fields).await;
    let paper = world.get(&bea, &format!("/evaluations/{}", review.evaluation)).await;
    paper.has(&review.evaluation_hash.to_string()).has("business owner</strong> · bea");
    paper.has("data owner</strong> · not signed").has("&#60;script&#62;alert");
    paper.keeps_the_policy();
}

#[tokio::test]
async fn who_asked_may_withdraw() {
    let world = world().await;
    world.measure_well().await;
    let tom = world.signed_in("tom").await;
    let csrf = world.get(&tom, "/projects/calls").await.csrf();
    world.post(&tom, "/projects/calls/reviews", &[("csrf", &csrf)]).await;
    let page = world.get(&tom, "/projects/calls").await;
    let to = action(&page, "Withdraw the review");
    let gone = world.post(&tom, &to, &[("csrf", &csrf)]).await;
    assert_eq!(gone.header("location"), "/projects/calls", "{}", gone.text);
    world.get(&tom, "/projects/calls").await.has("was withdrawn").has("Ask for G1");
}

#[tokio::test]
async fn a_waiver_is_approved_from_outside() {
    let world = world().await;
    let tom = world.signed_in("tom").await;
    let csrf = world.get(&tom, "/projects/calls").await.csrf();
    let fields = [
        ("csrf", csrf.as_str()),
        ("criterion", "A1"),
        ("reason", "The feed of outcomes is a month old."),
        ("compensation", "Figures are read by hand weekly."),
        ("expires_at", "2026-02-20"),
    ];
    let asked = world.post(&tom, "/projects/calls/waivers", &fields).await;
    assert_eq!(asked.header("location"), "/projects/calls", "{}", asked.text);
    let page = world.get(&tom, "/projects/calls").await;
    page.has("Asked for").has("The feed of outcomes is a month old.");
    assert!(!page.text.contains(">Approve<"), "an insider approves nothing");
    let rita = world.signed_in("rita").await;
    let page = world.get(&rita, "/projects/calls").await;
    let to = action(&page, ">Approve<");
    let done = world.post(&rita, &to, &[("csrf", &page.csrf())]).await;
    assert_eq!(done.header("location"), "/projects/calls", "{}", done.text);
    world.get(&rita, "/projects/calls").await.has("In force").has("is in force until");
}
