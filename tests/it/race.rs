//! Two writers at once: one gets through, the other a clear refusal; on both databases.

use axum::http::StatusCode;
use serde_json::json;
use viaduct_testkit::{Answer, World};

use crate::project::{FILE, NAME, PEOPLE, edited, measure, ready};

async fn worlds() -> [World; 2] {
    [World::without_worker().await, World::on_postgres().await]
}

/// One of the two got through.
#[track_caller]
fn one_of((left, right): (Answer, Answer)) -> Answer {
    let (won, lost) = if left.status.is_success() { (left, right) } else { (right, left) };
    assert!(won.status.is_success(), "{}", won.text);
    assert!(lost.status.is_client_error(), "{} {}", lost.status, lost.text);
    lost
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_ask_for_the_gate_and_one_review_opens() {
    for world in worlds().await {
        let world = ready(world, FILE).await;
        measure(&world, &[]).await;
        let path = format!("/api/v1/projects/{NAME}/reviews");
        let (bea, tom) = (world.as_user("bea"), world.as_user("tom"));
        let lost = one_of(tokio::join!(bea.post(&path, json!({})), tom.post(&path, json!({}))));
        assert_eq!(lost.status, StatusCode::CONFLICT, "{}", lost.text);
        // One after the other the stage forbids it; at the same moment the database does.
        assert!(["stage-forbids", "already-exists"].contains(&lost.problem()), "{}", lost.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_name_is_given_once() {
    for world in worlds().await {
        world.add_people(PEOPLE).await;
        let ada = world.as_user("ada");
        let body = json!({ "name": "zoe", "password": "long enough" });
        let both = tokio::join!(
            ada.post("/api/v1/users", body.clone()),
            ada.post("/api/v1/users", body.clone())
        );
        let lost = one_of(both);
        assert_eq!(lost.problem(), "already-exists", "{}", lost.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_last_signatures_open_the_gate_once() {
    for world in worlds().await {
        let world = ready(world, FILE).await;
        measure(&world, &[]).await;
        let path = format!("/api/v1/projects/{NAME}/reviews");
        let asked = world.as_user("ana").post(&path, json!({})).await.ok();
        let review = asked["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/reviews/{review}/signatures");
        let signed = |role: &str| json!({ "role": role, "statement": "The main risk is a shift of the rates." });
        let (bea, dan) = (world.as_user("bea"), world.as_user("dan"));
        let (left, right) = tokio::join!(
            bea.post(&path, signed("business_owner")),
            dan.post(&path, signed("data_owner"))
        );
        // Neither may be lost: who is told that somebody was first signs again, and concludes.
        for (answer, by, role) in [(left, &bea, "business_owner"), (right, &dan, "data_owner")] {
            if answer.status == StatusCode::CONFLICT {
                assert_eq!(answer.problem(), "conflict", "{}", answer.text);
                by.post(&path, signed(role)).await.ok();
            } else {
                answer.ok();
            }
        }
        let project = world.as_user("ana").get(&format!("/api/v1/projects/{NAME}")).await.ok();
        assert_eq!(project["stage"], "pilot", "{project}");
        let audit = world.as_user("ana").get("/api/v1/audit?limit=1000").await.text;
        assert_eq!(audit.matches("gate.opened").count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_files_at_once_leave_one_of_them_whole() {
    for world in worlds().await {
        world.add_people(PEOPLE).await;
        let ana = world.as_user("ana");
        let one = edited("threshold: 0.12", "threshold: 0.2")
            .replace("otherwise: skip", "otherwise: wait");
        let two = edited("threshold: 0.12", "threshold: 0.3")
            .replace("otherwise: skip", "otherwise: mail");
        for _ in 0..5 {
            let (left, right) = tokio::join!(ana.apply(&one), ana.apply(&two));
            for answer in [&left, &right] {
                assert!(
                    answer.status.is_success() || answer.status == StatusCode::CONFLICT,
                    "{}",
                    answer.text
                );
            }
            let rule =
                ana.get(&format!("/api/v1/projects/{NAME}")).await.ok()["spec"]["rule"].clone();
            let pair = (rule["when"]["threshold"].as_f64(), rule["otherwise"].as_str());
            assert!(
                pair == (Some(0.2), Some("wait")) || pair == (Some(0.3), Some("mail")),
                "{rule}"
            );
        }
        let list = ana.get("/api/v1/projects").await.ok();
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_alias_one_model_one_token_survive_a_crowd() {
    for world in worlds().await {
        world.add_people(PEOPLE).await;
        let ana = world.as_user("ana");
        let create =
            || ana.post("/api/2.0/mlflow/registered-models/create", json!({ "name": "m" }));
        let lost = one_of(tokio::join!(create(), create()));
        assert!(lost.text.contains("RESOURCE_ALREADY_EXISTS"), "{}", lost.text);
    }
}
