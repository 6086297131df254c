//! Random walks over the real router, `apply` and the MLflow routes: no sequence of calls moves a
//! project up without an evaluation that passed at that moment and the signatures it needs, or the
//! policy's recorded time-out.

use std::collections::BTreeSet;

use axum::http::Method;
use serde_json::{Value, json};
use viaduct_base::{Error, Span, Timestamp};
use viaduct_store::{Scope, evaluation, project, review, signature};
use viaduct_testkit::World;

use crate::project::{NAME, PEOPLE, at_tier, bad, measure, measure_with, ready, register_version};

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// The project's stage by the database, not by the API.
async fn stored_stage(world: &World) -> Option<(String, i64)> {
    let scope = Scope::of(world.app.workspace());
    world
        .app
        .store()
        .read("stage", move |tx| project::find_by_name(tx, &scope, NAME))
        .await
        .unwrap()
        .map(|row| (row.stage.clone(), row.revision))
}

const GOOD: &str = "The risk is a shift of the rates.";
const ROLES: [&str; 3] = ["business_owner", "data_owner", "risk_partner"];
const SIGNERS: [(&str, &str); 3] =
    [("bea", "business_owner"), ("dan", "data_owner"), ("rita", "risk_partner")];

struct Walk<'a> {
    world: &'a World,
    dice: Dice,
    reviews: Vec<String>,
    waivers: Vec<String>,
    /// Whether a review was opened a moment ago.
    signing: bool,
    moves: u32,
}

impl Walk<'_> {
    fn anybody(&mut self) -> &'static str {
        self.dice.pick(PEOPLE).0
    }

    async fn post(&mut self, path: &str, body: Value) -> Value {
        let by = self.anybody();
        let answer = self.world.as_user(by).post(path, body).await;
        assert!(answer.status.as_u16() < 500, "{by} {path}: {}", answer.text);
        answer.body
    }

    /// One random act of somebody.
    async fn act(&mut self) -> String {
        let project = format!("/api/v1/projects/{NAME}");
        let mlflow = |path: &str| format!("/api/2.0/mlflow/{path}");
        let mut which = self.dice.below(27);
        // Half of the time what leads on: otherwise hardly a walk would reach an open gate.
        if self.dice.below(2) == 0 {
            which = if self.signing { 4 } else { *self.dice.pick(&[0, 10]) };
        }
        match which {
            0..=3 => {
                let made = self.post(&format!("{project}/reviews"), json!({})).await;
                self.signing |= made["id"].is_string();
                self.reviews.extend(made["id"].as_str().map(str::to_owned));
            }
            4..=8 => {
                let Some(review) = self.reviews.last().cloned() else { return String::new() };
                let old = self.dice.pick(&self.reviews).clone();
                let review = if self.dice.below(4) == 0 { old } else { review };
                let (mut by, mut role) = *self.dice.pick(&SIGNERS);
                if self.dice.below(5) == 0 {
                    (by, role) = (self.anybody(), self.dice.pick(&ROLES));
                }
                let statement = *self.dice.pick(&[GOOD, GOOD, GOOD, GOOD, "ok"]);
                let body = json!({ "role": role, "statement": statement });
                let path = format!("/api/v1/reviews/{review}/signatures");
                let answer = self.world.as_user(by).post(&path, body).await;
                assert!(answer.status.as_u16() < 500, "{}", answer.text);
                self.signing &= self.dice.below(12) > 0;
            }
            9 => {
                if let Some(review) = self.reviews.last().cloned() {
                    self.post(&format!("/api/v1/reviews/{review}/withdraw"), json!({})).await;
                }
            }
            10..=12 => measure(self.world, &[]).await,
            13 => {
                // One red fact, and the others as they were.
                let which = self.dice.below(30);
                let seen = std::cell::Cell::new(0);
                measure_with(self.world, |check| {
                    seen.set(seen.get() + 1);
                    (seen.get() == which + 1).then(|| bad(check))
                })
                .await;
            }
            14 => self.world.pass(*self.dice.pick(&[
                Span::minutes(1),
                Span::hours(5),
                Span::days(1),
                Span::days(3),
                Span::days(30),
            ])),
            15 => self.world.app.conclude_due_reviews().await.unwrap(),
            16 => {
                register_version(self.world).await;
                self.world.app.bind_models().await.unwrap();
            }
            17 => {
                let tier = *self.dice.pick(&["T1", "T2", "T3"]);
                let rule = *self.dice.pick(&["0.12", "0.2"]);
                let file = at_tier(tier).replace("threshold: 0.12", &format!("threshold: {rule}"));
                // What nobody may write: a stage, a state, a role, facts.
                let sneak = *self.dice.pick(&["", "", "  stage: pilot\n", "  state: clear\n"]);
                let file = file.replacen("  title:", &format!("{sneak}  title:"), 1);
                let by = self.anybody();
                let done = self.world.as_user(by).apply(&file).await;
                assert!(done.status.as_u16() < 500, "{}", done.text);
                assert!(sneak.is_empty() || !done.status.is_success(), "{}", done.text);
            }
            18 => {
                let ends = self.world.now() + Span::days(20);
                let criterion = *self.dice.pick(&["M2", "S1", "A3", "O1"]);
                let body = json!({ "criterion": criterion, "reason": "It is being mended just now.",
                    "compensation": "Somebody looks at it daily.", "expires_at": ends });
                let made = self.post(&format!("{project}/waivers"), body).await;
                self.waivers.extend(made["id"].as_str().map(str::to_owned));
            }
            19 => {
                if let Some(waiver) = self.waivers.last().cloned() {
                    self.post(&format!("/api/v1/waivers/{waiver}/approve"), json!({})).await;
                }
            }
            20 => {
                let verb = *self.dice.pick(&["freeze", "thaw"]);
                let note = json!({ "note": "Somebody thought that it was needed." });
                self.post(&format!("{project}/{verb}"), note).await;
            }
            21 => {
                let body = json!({ "stage": "pilot", "state": "clear" });
                self.post(&project, body.clone()).await;
                self.post(&format!("{project}/stage"), body).await;
            }
            22 => {
                let stage = json!({ "name": NAME, "version": "1", "stage": "Production" });
                self.post(&mlflow("model-versions/transition-stage"), stage).await;
                let tag = json!({ "name": NAME, "key": "viaduct.stage", "value": "pilot" });
                self.post(&mlflow("registered-models/set-tag"), tag).await;
            }
            23 => {
                let alias = json!({ "name": NAME, "alias": "champion", "version": "1" });
                self.post(&mlflow("registered-models/alias"), alias).await;
                self.world.app.bind_models().await.unwrap();
            }
            24 => {
                self.post(&format!("{project}/trials"), json!({})).await;
            }
            25 => {
                let path = format!("{project}/kpis/margin-per-lead/history");
                let csv = "date,value,n\n2025-11-01,1,9\n".to_owned();
                let by = self.anybody();
                self.world.as_user(by).send(Method::POST, &path, "text/csv", csv).await;
                self.post(&format!("{project}/kpis/margin-per-lead/freeze"), json!({})).await;
            }
            _ => {
                let by = self.anybody();
                self.world.as_user(by).delete(&project).await;
            }
        }
        format!("act {which}")
    }
}

/// Whether the gate would open now, by an evaluation that is not the review's own.
async fn opens(world: &World) -> bool {
    let answer = world.as_user("ada").get(&format!("/api/v1/projects/{NAME}/gate")).await;
    answer.body["evaluation"]["opens"] == json!(true)
}

/// The rows behind a move up: a passed evaluation of this moment, and who agreed to it.
async fn assert_earned(world: &World, was_open: bool, what: &str) {
    assert!(was_open, "{what}: the gate was shut a moment ago");
    let now = world.now();
    let scope = Scope::of(world.app.workspace());
    let (row, signatures, signed, fresh) = world
        .app
        .store()
        .read("evidence", move |tx| -> Result<_, Error> {
            let of = project::find_by_name(tx, &scope, NAME)?.unwrap();
            let reviews = review::list(tx, &scope, of.id)?;
            let row =
                reviews.into_iter().find(|row| row.closed_at == Some(now) && row.state == "opened");
            let row = row.unwrap_or_else(|| panic!("no review opened the gate at this moment"));
            let signatures = signature::list(tx, &scope, row.id)?;
            let signed = evaluation::find(tx, &scope, row.evaluation_id)?.unwrap();
            let fresh = evaluation::list(tx, &scope, of.id, 1)?.remove(0);
            Ok((row, signatures, signed, fresh))
        })
        .await
        .unwrap();
    assert!(signed.opens, "{what}");
    assert_eq!(signed.evaluation_hash, row.evaluation_hash, "{what}");
    assert!(fresh.opens && fresh.evaluated_at == now, "{what}");
    let body: Value = serde_json::from_str(&row.body_json).unwrap();
    let required = body["required"].as_array().unwrap();
    let silent = body["tier"] == "T3"
        && body["on_timeout"] == "accept_if_all_block_pass"
        && row.due_at.is_some_and(|due: Timestamp| due <= now);
    let mut who = BTreeSet::new();
    let by_all = required.iter().all(|slot| {
        signatures.iter().any(|signature| {
            slot["role"] == signature.role
                && slot["users"].as_array().unwrap().contains(&json!(signature.user_name))
                && signature.evaluation_hash == row.evaluation_hash
                && who.insert(signature.user_name.clone())
        })
    });
    assert!(by_all || silent, "{what}: {required:?} by {signatures:?}");
    assert_eq!(required.len(), if body["tier"] == "T1" { 3 } else { 2 }, "{what}");
    let audit = world.as_user("ada").get("/api/v1/audit?limit=3").await.ok();
    assert!(audit.to_string().contains("gate.opened"), "{what}: {audit}");
}

async fn walk(world: World, seed: u64, steps: usize) -> u32 {
    let world = ready(world, &at_tier("T2")).await;
    let mut walk = Walk {
        world: &world,
        dice: Dice(seed),
        reviews: Vec::new(),
        waivers: Vec::new(),
        signing: false,
        moves: 0,
    };
    let mut stage = stored_stage(&world).await;
    let mut told = Vec::new();
    for step in 0..steps {
        let was_open = opens(&world).await;
        told.push(walk.act().await);
        let now = stored_stage(&world).await;
        let word = |stage: &Option<(String, i64)>| stage.as_ref().map(|s| s.0.clone());
        if word(&now) == word(&stage) {
            stage = now;
            continue;
        }
        let what = format!("seed {seed} step {step}: {stage:?} to {now:?} by {:?}", told.last());
        match (word(&stage).as_deref(), word(&now).as_deref()) {
            (Some("concept"), Some("pilot")) => {
                assert_earned(&world, was_open, &what).await;
                walk.moves += 1;
            }
            // A concept may be deleted.
            (Some("concept"), None) => {}
            _ => panic!("{what}"),
        }
        // Begin anew: what reached the pilot is put away, and its name is used again.
        if word(&now).as_deref() == Some("pilot") {
            break;
        }
        world.as_user("ana").apply(&at_tier("T2")).await.ok();
        world.app.bind_models().await.unwrap();
        walk.reviews.clear();
        stage = stored_stage(&world).await;
    }
    walk.moves
}

#[tokio::test]
async fn no_walk_moves_a_project_up_unearned() {
    let mut moves = 0;
    for seed in 0..12 {
        moves += walk(World::without_worker().await, seed, 160).await;
    }
    // A walk that never reaches an open gate proves nothing.
    assert!(moves >= 2, "only {moves} of 12 walks opened a gate");
}

#[tokio::test]
async fn nor_on_postgres() {
    for seed in 100..102 {
        walk(World::on_postgres().await, seed, 120).await;
    }
}
