//! The first gate over the real router: what shuts it, who opens it.

use axum::http::StatusCode;
use serde_json::{Value, json};
use viaduct_base::Span;
use viaduct_domain::fact::FactName;
use viaduct_domain::policy::{Check, Operator};
use viaduct_domain::stage::GateName;
use viaduct_testkit::{Answer, World};

use crate::project::{
    FILE, NAME, at_tier, bad, checks, edited, measure, measure_with, ready, register_version,
};

const RISK: &str = "The main residual risk is a shift of the rates.";

async fn gate(world: &World) -> Value {
    let path = format!("/api/v1/projects/{NAME}/gate");
    world.as_user("ana").get(&path).await.ok()["evaluation"].clone()
}

fn blockers(evaluation: &Value) -> Vec<String> {
    let all = evaluation["blockers"].as_array().unwrap();
    all.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

async fn request(world: &World, by: &str) -> Answer {
    world.as_user(by).post(&format!("/api/v1/projects/{NAME}/reviews"), json!({})).await
}

async fn sign(world: &World, review: &str, by: &str, role: &str) -> Answer {
    let body = json!({ "role": role, "statement": RISK });
    world.as_user(by).post(&format!("/api/v1/reviews/{review}/signatures"), body).await
}

async fn stage(world: &World) -> (String, String) {
    let project = world.as_user("ana").get(&format!("/api/v1/projects/{NAME}")).await.ok();
    let word = |key: &str| project[key].as_str().unwrap().to_owned();
    (word("stage"), word("state"))
}

fn at(stage: &str, state: &str) -> (String, String) {
    (stage.to_owned(), state.to_owned())
}

async fn green(file: &str) -> World {
    let world = ready(World::without_worker().await, file).await;
    measure(&world, &[]).await;
    let evaluation = gate(&world).await;
    assert_eq!(evaluation["opens"], true, "{:?}", blockers(&evaluation));
    world
}

async fn open_review(world: &World, by: &str) -> String {
    request(world, by).await.ok()["id"].as_str().unwrap().to_owned()
}

/// The gate is shut by just this criterion, says so, and cannot be asked for.
async fn assert_shut_by(world: &World, criterion: &str, status: &str, what: &str) {
    let evaluation = gate(world).await;
    assert_eq!(evaluation["opens"], false, "{criterion}: {what}");
    assert_eq!(blockers(&evaluation), [criterion], "{what}");
    let rows = evaluation["results"].as_array().unwrap();
    let row = rows.iter().find(|row| row["id"] == criterion || row["criterion"] == criterion);
    let row = row.unwrap_or_else(|| panic!("no row `{criterion}` in {}", rows[0]));
    assert_eq!(row["status"], status, "{what}: {row}");
    let refused = request(world, "ana").await;
    assert_eq!(refused.problem(), "gate-shut", "{what}: {}", refused.text);
    assert!(refused.detail().contains(&format!("`{criterion}`")), "{what}: {}", refused.text);
    assert_eq!(stage(world).await, at("concept", "clear"), "{what}");
}

#[tokio::test]
async fn each_missing_fact_shuts_the_gate() {
    let all = checks(GateName::G1);
    let criteria: std::collections::BTreeSet<_> = all.iter().map(|(id, _)| id).collect();
    assert_eq!(criteria.len(), 15);
    let world = ready(World::without_worker().await, FILE).await;
    for (criterion, check) in &all {
        // A new file with the same content would change nothing: every subject moves on instead.
        world.pass(Span::days(400));
        measure(&world, &[check.fact]).await;
        let expected = if earlier(&all, check.fact) { "stale" } else { "not_enough_data" };
        let evaluation = gate(&world).await;
        assert_eq!(blockers(&evaluation), [criterion.as_str()], "without `{}`", check.fact);
        // It was measured a round ago, so it is too old now; in the first round it never was.
        assert_shut_by(&world, criterion, expected, check.fact.as_str()).await;
    }
}

/// Whether an earlier round of the loop has measured the fact.
fn earlier(all: &[(String, Check)], fact: FactName) -> bool {
    all[0].1.fact != fact
}

#[tokio::test]
async fn each_red_fact_shuts_the_gate() {
    let world = ready(World::without_worker().await, FILE).await;
    for (criterion, check) in checks(GateName::G1) {
        if check.op == Operator::Exists {
            continue;
        }
        measure(&world, &[]).await;
        assert_eq!(gate(&world).await["opens"], true);
        measure_with(&world, |other| (other.fact == check.fact).then(|| bad(other))).await;
        assert_shut_by(&world, &criterion, "fail", check.fact.as_str()).await;
    }
}

#[tokio::test]
async fn each_old_fact_shuts_the_gate() {
    let world = ready(World::without_worker().await, FILE).await;
    for (criterion, check) in checks(GateName::G1) {
        measure(&world, &[]).await;
        // Just within its age it still counts; a moment later it does not.
        world.pass(check.max_age);
        let others = |other: &Check| other.fact != check.fact;
        measure_only(&world, others).await;
        let evaluation = gate(&world).await;
        assert_eq!(evaluation["opens"], true, "`{}`: {:?}", check.fact, blockers(&evaluation));
        world.pass(Span::micros(1));
        measure_only(&world, others).await;
        assert_shut_by(&world, &criterion, "stale", check.fact.as_str()).await;
    }
}

async fn measure_only(world: &World, of: impl Fn(&Check) -> bool) {
    let out: Vec<FactName> = checks(GateName::G1)
        .iter()
        .map(|(_, check)| check)
        .filter(|check| !of(check))
        .map(|c| c.fact)
        .collect();
    measure(world, &out).await;
}

#[tokio::test]
async fn a_changed_thing_makes_its_facts_stale() {
    // An edit of the file, and the criteria that rest on what it changes.
    let edits: [(&str, &str, &[&str]); 6] = [
        ("purpose: marketing\n", "purpose: fundraising\n", &["D3", "O1"]),
        ("threshold: 0.12", "threshold: 0.2", &["S1", "I1"]),
        ("version: 1.0.0", "version: 1.0.1", &["D1", "D2", "D3", "M3"]),
        ("duration: P42D", "duration: P43D", &["A3", "A4"]),
        ("run_per_month: 900", "run_per_month: 901", &["A3", "A4"]),
        ("maturity: P21D", "maturity: P22D", &["A1", "A2", "A3", "A4", "A5", "D4", "S1"]),
    ];
    for (from, to, stale) in edits {
        let world = green(FILE).await;
        world.pass(Span::minutes(1));
        world.as_user("ana").apply(&edited(from, to)).await.ok();
        let evaluation = gate(&world).await;
        assert_eq!(blockers(&evaluation), stale, "{to}");
        assert_eq!(request(&world, "ana").await.problem(), "gate-shut");
        // Measured anew on what is there now, it opens again.
        measure(&world, &[]).await;
        assert_eq!(gate(&world).await["opens"], true, "{to}");
    }
}

#[tokio::test]
async fn another_version_behind_the_endpoint_is_another_thing() {
    let world = green(FILE).await;
    world.pass(Span::minutes(1));
    register_version(&world).await;
    world.app.bind_models().await.unwrap();
    let shut = blockers(&gate(&world).await);
    assert_eq!(shut, ["A4", "D1", "M1", "M2", "M3", "S1", "I1"]);
}

#[tokio::test]
async fn two_people_open_it() {
    let world = green(FILE).await;
    let review = open_review(&world, "ana").await;
    assert_eq!(stage(&world).await, at("concept", "under_review"));
    let first = sign(&world, &review, "bea", "business_owner").await.ok();
    assert_eq!(first["state"], "open");
    assert_eq!(stage(&world).await, at("concept", "under_review"), "one signature is not two");
    let last = sign(&world, &review, "dan", "data_owner").await.ok();
    assert_eq!(last["state"], "opened");
    assert_eq!(stage(&world).await, at("pilot", "clear"));
    let late = sign(&world, &review, "dan", "data_owner").await;
    assert_eq!(late.status, StatusCode::CONFLICT, "{}", late.text);
}

#[tokio::test]
async fn nobody_signs_for_another_or_twice() {
    let world = green(FILE).await;
    let review = open_review(&world, "ana").await;
    for (by, role, status) in [
        ("dan", "business_owner", StatusCode::FORBIDDEN),
        ("otto", "business_owner", StatusCode::FORBIDDEN),
        ("ada", "data_owner", StatusCode::FORBIDDEN),
        ("rita", "risk_partner", StatusCode::BAD_REQUEST),
        ("bea", "emperor", StatusCode::BAD_REQUEST),
    ] {
        let refused = sign(&world, &review, by, role).await;
        assert_eq!(refused.status, status, "{by} as {role}: {}", refused.text);
    }
    sign(&world, &review, "bea", "business_owner").await.ok();
    for role in ["business_owner", "data_owner"] {
        let again = sign(&world, &review, "bea", role).await;
        assert!(again.status.is_client_error(), "{role}: {}", again.text);
    }
    let path = format!("/api/v1/reviews/{review}/signatures");
    for statement in ["", "ok", "............", "   fine    "] {
        let body = json!({ "role": "data_owner", "statement": statement });
        let said = world.as_user("dan").post(&path, body).await;
        assert_eq!(said.status, StatusCode::BAD_REQUEST, "{statement:?}: {}", said.text);
    }
    let body =
        json!({ "role": "data_owner", "statement": RISK, "evaluation_hash": "0".repeat(64) });
    let other = world.as_user("dan").post(&path, body).await;
    assert_eq!(other.status, StatusCode::CONFLICT, "{}", other.text);
    assert_eq!(stage(&world).await, at("concept", "under_review"));
}

#[tokio::test]
async fn one_person_in_two_roles_is_one_person() {
    let world =
        ready(World::without_worker().await, &edited("data_owners: [dan]", "data_owners: [bea]"))
            .await;
    measure(&world, &[]).await;
    // The charter gives both roles to bea: no two different people could ever sign.
    let refused = request(&world, "ana").await;
    assert!(refused.status.is_client_error(), "{}", refused.text);
    assert_eq!(stage(&world).await, at("concept", "clear"));
}

#[tokio::test]
async fn every_data_owner_signs() {
    let world = green(&edited("data_owners: [dan]", "data_owners: [dan, sam]")).await;
    let review = open_review(&world, "ana").await;
    sign(&world, &review, "bea", "business_owner").await.ok();
    sign(&world, &review, "dan", "data_owner").await.ok();
    assert_eq!(stage(&world).await, at("concept", "under_review"));
    sign(&world, &review, "sam", "data_owner").await.ok();
    assert_eq!(stage(&world).await, at("pilot", "clear"));
}

#[tokio::test]
async fn the_highest_tier_needs_the_risk_partner() {
    let world = green(&at_tier("T1")).await;
    let review = open_review(&world, "ana").await;
    sign(&world, &review, "bea", "business_owner").await.ok();
    sign(&world, &review, "dan", "data_owner").await.ok();
    assert_eq!(stage(&world).await, at("concept", "under_review"));
    sign(&world, &review, "rita", "risk_partner").await.ok();
    assert_eq!(stage(&world).await, at("pilot", "clear"));
}

/// Monday 08:00 and three working days: Thursday 08:00. A look a second earlier sees nothing.
async fn after_silence(world: &World) {
    world.pass(Span::seconds(3 * 86_400 - 1));
    world.app.conclude_due_reviews().await.unwrap();
    assert_eq!(stage(world).await, at("concept", "under_review"), "too early");
    world.pass(Span::seconds(1));
}

#[tokio::test]
async fn silence_opens_at_t3_only_and_only_while_everything_passes() {
    let world = green(&at_tier("T3")).await;
    open_review(&world, "ana").await;
    after_silence(&world).await;
    measure(&world, &[]).await;
    world.app.conclude_due_reviews().await.unwrap();
    assert_eq!(stage(&world).await, at("pilot", "clear"));

    let world = green(&at_tier("T3")).await;
    let review = open_review(&world, "ana").await;
    after_silence(&world).await;
    // Nothing was measured since: A1, D2, I1 and O1 are older than their two days.
    world.app.conclude_due_reviews().await.unwrap();
    assert_eq!(stage(&world).await, at("concept", "clear"));
    let shown = world.as_user("ana").get(&format!("/api/v1/reviews/{review}")).await.ok();
    assert_eq!(shown["state"], "closed");
    let told = shown["difference"].to_string();
    assert!(["A1", "D2", "I1", "O1"].iter().all(|id| told.contains(id)), "{told}");

    for tier in ["T1", "T2"] {
        let world = green(&at_tier(tier)).await;
        open_review(&world, "ana").await;
        after_silence(&world).await;
        for _ in 0..20 {
            measure(&world, &[]).await;
            world.app.conclude_due_reviews().await.unwrap();
            assert_eq!(stage(&world).await, at("concept", "under_review"), "{tier}");
            world.pass(Span::days(1));
        }
        let audit = world.as_user("ana").get("/api/v1/audit?limit=1000").await.text;
        assert_eq!(audit.matches("review.escalated").count(), 1, "told once at {tier}");
    }
}

#[tokio::test]
async fn a_fact_that_turns_red_between_two_signatures_closes_the_review() {
    let world = green(FILE).await;
    let review = open_review(&world, "ana").await;
    sign(&world, &review, "bea", "business_owner").await.ok();
    world.pass(Span::minutes(5));
    measure_with(&world, |check| (check.fact == FactName::LeakageIdOverlap).then(|| bad(check)))
        .await;
    let last = sign(&world, &review, "dan", "data_owner").await.ok();
    assert_eq!(last["state"], "closed", "{last}");
    let difference = last["difference"].as_array().unwrap();
    assert!(!difference.is_empty() && last["difference"].to_string().contains("M3"), "{last}");
    assert_eq!(stage(&world).await, at("concept", "clear"));
    let audit = world.as_user("ana").get("/api/v1/audit?limit=1000").await.text;
    assert!(!audit.contains("gate.opened") && audit.contains("review.closed"));
    // Both signatures are spent: a new review starts from nothing.
    measure(&world, &[]).await;
    let again = open_review(&world, "ana").await;
    sign(&world, &again, "bea", "business_owner").await.ok();
    assert_eq!(stage(&world).await, at("concept", "under_review"));
}

#[tokio::test]
async fn another_model_between_two_signatures_closes_the_review() {
    let world = green(FILE).await;
    let review = open_review(&world, "ana").await;
    sign(&world, &review, "bea", "business_owner").await.ok();
    world.pass(Span::minutes(5));
    register_version(&world).await;
    world.app.bind_models().await.unwrap();
    // All of it passes again, on a version that bea never saw.
    measure(&world, &[]).await;
    let last = sign(&world, &review, "dan", "data_owner").await.ok();
    assert_eq!(last["state"], "closed", "{last}");
    assert_eq!(stage(&world).await, at("concept", "clear"));
}

#[tokio::test]
async fn a_waiver_stands_in_when_an_outsider_approves_it_and_until_it_ends() {
    let world = ready(World::without_worker().await, FILE).await;
    measure(&world, &[FactName::ModelReproduced, FactName::ModelReproducedMetricGap]).await;
    assert_eq!(blockers(&gate(&world).await), ["M2"]);
    let path = format!("/api/v1/projects/{NAME}/waivers");
    let ends = world.now() + Span::days(30);
    let ask = |expires_at: viaduct_base::Timestamp| {
        json!({ "criterion": "M2", "reason": "The training cluster is being moved.",
            "compensation": "The run was repeated by hand and compared.", "expires_at": expires_at })
    };
    let far = world.as_user("ana").post(&path, ask(world.now() + Span::days(91))).await;
    assert!(far.status.is_client_error(), "{}", far.text);
    let made = world.as_user("ana").post(&path, ask(ends)).await.ok();
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!(blockers(&gate(&world).await), ["M2"], "asked for is not approved");
    let approve = format!("/api/v1/waivers/{id}/approve");
    for insider in ["ana", "bea", "tom", "sam", "dan", "rita"] {
        let refused = world.as_user(insider).post(&approve, json!({})).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{insider}: {}", refused.text);
    }
    assert_eq!(blockers(&gate(&world).await), ["M2"]);
    world.as_user("otto").post(&approve, json!({})).await.ok();
    let evaluation = gate(&world).await;
    assert_eq!(evaluation["opens"], true, "{:?}", blockers(&evaluation));
    let listed = world.as_user("ana").get(&path).await.ok();
    assert_eq!(listed["debt"].as_array().unwrap().len(), 1, "{listed}");
    // The day it ends, the criterion is as it was.
    world.pass(Span::days(30));
    measure(&world, &[FactName::ModelReproduced, FactName::ModelReproducedMetricGap]).await;
    assert_eq!(blockers(&gate(&world).await), ["M2"]);
}

#[tokio::test]
async fn a_withdrawn_or_frozen_review_opens_nothing_later() {
    let world = green(FILE).await;
    let review = open_review(&world, "ana").await;
    let stranger =
        world.as_user("otto").post(&format!("/api/v1/reviews/{review}/withdraw"), json!({})).await;
    assert_eq!(stranger.status, StatusCode::FORBIDDEN, "{}", stranger.text);
    world.as_user("bea").post(&format!("/api/v1/reviews/{review}/withdraw"), json!({})).await.ok();
    assert_eq!(stage(&world).await, at("concept", "clear"));

    let frozen = open_review(&world, "ana").await;
    let note = json!({ "note": "A wrong campaign was loaded this morning." });
    world.as_user("tom").post(&format!("/api/v1/projects/{NAME}/freeze"), note.clone()).await.ok();
    let refused = request(&world, "ana").await;
    assert_eq!(refused.problem(), "stage-forbids", "{}", refused.text);
    world.as_user("tom").post(&format!("/api/v1/projects/{NAME}/thaw"), note).await.ok();
    measure(&world, &[]).await;
    let live = open_review(&world, "ana").await;
    for dead in [&review, &frozen] {
        let shown = world.as_user("ana").get(&format!("/api/v1/reviews/{dead}")).await.ok();
        assert_eq!(shown["state"], "withdrawn", "{shown}");
        for (by, role) in [("bea", "business_owner"), ("dan", "data_owner")] {
            let late = sign(&world, dead, by, role).await;
            assert_eq!(late.status, StatusCode::CONFLICT, "{}", late.text);
        }
    }
    assert_eq!(stage(&world).await, at("concept", "under_review"));
    sign(&world, &live, "bea", "business_owner").await.ok();
    sign(&world, &live, "dan", "data_owner").await.ok();
    assert_eq!(stage(&world).await, at("pilot", "clear"));
}
