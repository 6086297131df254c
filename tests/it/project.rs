//! The example's project, and facts under which its first gate opens.

use serde_json::json;
use viaduct_base::Digest;
use viaduct_domain::fact::{FactName, FactValue, Measurement, Shape, Subject, Unit, Window};
use viaduct_domain::policy::{Check, Operator, Policy};
use viaduct_domain::stage::GateName;
use viaduct_testkit::World;

/// The example's file, tier T2.
pub(crate) const FILE: &str =
    include_str!("../../crates/viaduct-domain/src/manifest/term_deposit.yaml");
/// Its name.
pub(crate) const NAME: &str = "term-deposit";

/// Everybody whom the charter names, an outsider and an admin.
pub(crate) const PEOPLE: &[(&str, &str)] = &[
    ("ada", "admin"),
    ("bea", "member"),
    ("tom", "member"),
    ("sam", "viewer"),
    ("dan", "viewer"),
    ("rita", "viewer"),
    ("ana", "member"),
    ("otto", "member"),
    ("vera", "viewer"),
];

/// The file with an edit that must find its place.
pub(crate) fn edited(from: &str, to: &str) -> String {
    assert!(FILE.contains(from), "the file has no `{from}`");
    FILE.replacen(from, to, 1)
}

/// The file at another tier.
pub(crate) fn at_tier(tier: &str) -> String {
    match tier {
        "T1" => edited("raise_to: T2", "raise_to: T1"),
        "T3" => edited(
            "value_per_decision: 4.0, currency: EUR, purpose_flags: [], automation: advisory, raise_to: T2",
            "value_per_decision: 1.0, currency: EUR, purpose_flags: [], automation: advisory",
        ),
        _ => FILE.to_owned(),
    }
}

/// A world with everybody, the project and a model version behind its endpoint.
pub(crate) async fn ready(world: World, file: &str) -> World {
    world.add_people(PEOPLE).await;
    world.as_user("ana").apply(file).await.ok();
    register_version(&world).await;
    world.app.bind_models().await.unwrap();
    world
}

/// Registers a version with the alias that the file names, as an MLflow client does.
pub(crate) async fn register_version(world: &World) {
    let ana = world.as_user("ana");
    let at = |path: &str| format!("/api/2.0/mlflow/{path}");
    let run = ana.post(&at("runs/create"), json!({ "experiment_id": "0" })).await.ok();
    let id = run["run"]["info"]["run_id"].as_str().unwrap();
    let uri = run["run"]["info"]["artifact_uri"].as_str().unwrap();
    // Why not checked: it exists from the second time on.
    ana.post(&at("registered-models/create"), json!({ "name": NAME })).await;
    let version = json!({ "name": NAME, "source": format!("{uri}/model"), "run_id": id });
    let made = ana.post(&at("model-versions/create"), version).await.ok();
    let alias = json!({ "name": NAME, "alias": "champion",
        "version": made["model_version"]["version"] });
    ana.post(&at("registered-models/alias"), alias).await.ok();
}

/// Every check of a gate.
pub(crate) fn checks(gate: GateName) -> Vec<(String, Check)> {
    let policy = Policy::shipped().unwrap();
    let criteria = &policy.gate(gate).unwrap().criteria;
    let all =
        criteria.iter().flat_map(|c| c.checks.iter().map(|check| (c.id.clone(), check.clone())));
    all.collect()
}

/// A value that passes the check.
fn good(check: &Check) -> FactValue {
    match (check.fact.shape(), check.op) {
        (Shape::Flag, _) => FactValue::flag(true),
        (Shape::Interval, _) => FactValue::interval(0.5, (0.2, 0.8), 0.95),
        (Shape::Scalar, Operator::AtMost | Operator::LessThan) => FactValue::scalar(0.0),
        (Shape::Scalar, _) if check.fact.unit() == Unit::Share => FactValue::scalar(1.0),
        (Shape::Scalar, _) => FactValue::scalar(100.0),
    }
}

/// A value that fails it.
pub(crate) fn bad(check: &Check) -> FactValue {
    match (check.fact.shape(), check.op) {
        (Shape::Flag, _) => FactValue::flag(false),
        (Shape::Interval, _) => FactValue::interval(-0.5, (-0.8, -0.2), 0.95),
        (Shape::Scalar, Operator::AtMost | Operator::LessThan) => FactValue::scalar(99.0),
        (Shape::Scalar, _) => FactValue::scalar(-1.0),
    }
}

/// Facts of every check of G1 on what is current, without those that `leave_out` names.
pub(crate) async fn measure(world: &World, leave_out: &[FactName]) {
    measure_with(world, |check| (!leave_out.contains(&check.fact)).then(|| good(check))).await;
}

/// Facts of G1 with chosen values.
pub(crate) async fn measure_with(world: &World, value: impl Fn(&Check) -> Option<FactValue>) {
    let (id, subjects) = world.subjects(NAME).await;
    let mut made = Vec::new();
    for (_, check) in checks(GateName::G1) {
        let kind = check.fact.subject_kind();
        let Some(value) = value(&check) else { continue };
        let subject = Subject::new(kind, subjects[&kind].id.clone());
        let mut fact = Measurement::new(check.fact, subject, value, Digest::of(b"rows")).n(1_000);
        if let Some(window) = check.window {
            fact = fact.window(Window::ending(world.now(), window));
        }
        if check.fact.unit() == Unit::Money {
            fact = fact.currency("EUR");
        }
        made.push(fact);
    }
    let count = made.len();
    let facts = world.app.record_measurements(id, made).await.unwrap();
    assert_eq!(facts.len(), count, "a measurement was no fact");
}
