use std::time::{Duration, Instant};

use serde_json::json;
use viaduct_base::RolloutId;
use viaduct_decisions::Flag;
use viaduct_domain::assign::{Variant, bucket};
use viaduct_gateway::{
    CallKey, Challenger, EndpointSnapshot, Guard, GuardWhat, Mode, ReportEvent, ServedModel,
    VariantCounts,
};

use crate::python;
use crate::world::{World, call, endpoint, lead, model, open, snapshot, trial};

fn version(name: &str) -> ServedModel {
    ServedModel { version: 4, onnx: python::model(name), ..model() }
}

fn challenged(mode: Mode, name: &str, share_bp: u16, shadow: bool) -> EndpointSnapshot {
    let challenger = Challenger {
        rollout: RolloutId::from_u128(9),
        salt: "r".into(),
        model: version(name),
        share_bp,
        shadow,
    };
    EndpointSnapshot { challenger: Some(challenger), ..endpoint(mode) }
}

fn guard(what: GuardWhat, max: f64, min_n: u64) -> Vec<Guard> {
    vec![Guard { what, max, min_n, window_s: 60 }]
}

fn of(world: &World, variant: Variant) -> VariantCounts {
    let counts = world.gateway.counts("term-deposit").unwrap();
    counts.into_iter().find(|counts| counts.variant == variant).unwrap()
}

/// Waits for the gateway's own threads; far longer than they take.
fn until(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < Duration::from_secs(10), "it did not happen within 10 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_challenger_takes_its_share_by_entity_and_sticks() {
    let world = World::new(challenged(Mode::Unowned, "other.onnx", 2_500, false));
    let mut taken = 0;
    for start in (0..4_000).step_by(1_000) {
        let answers = world.ask((start..start + 1_000).map(lead).collect()).unwrap();
        for (number, answer) in (start..).zip(answers) {
            let scope = RolloutId::from_u128(9).to_string();
            let is_its = bucket("r", &scope, &format!("c-{number}")) < 2_500;
            let (variant, version) = match is_its {
                true => (Variant::Challenger, Some(4)),
                false => (Variant::Champion, Some(3)),
            };
            assert_eq!((answer.variant, answer.model_version), (variant, version));
            taken += u64::from(is_its);
            if number % 997 == 0 {
                let row = world.row(&answer);
                assert_eq!(
                    (row.variant.as_str(), row.model_version),
                    (variant.as_str(), version.unwrap())
                );
                // The other model says the opposite.
                let is_old = 20 + number % 60 > 50;
                let action = if is_old == is_its { "skip" } else { "call" };
                assert_eq!(answer.action.as_deref(), Some(action), "{number}");
            }
        }
    }
    // Four standard deviations of a binomial share at n = 4,000.
    assert!((taken as f64 - 1_000.0).abs() < 4.0 * (4_000.0f64 * 0.25 * 0.75).sqrt(), "{taken}");
    let (champion, challenger) = (of(&world, Variant::Champion), of(&world, Variant::Challenger));
    assert_eq!((champion.rows, challenger.rows), (4_000 - taken, taken));
    assert_eq!((champion.requests, challenger.requests), (4, 4));
    assert_eq!(challenger.rollout, Some(RolloutId::from_u128(9)));
    // A larger share moves nobody back to the champion.
    let before: Vec<_> = world.ask((0..500).map(lead).collect()).unwrap();
    world.publish(challenged(Mode::Unowned, "other.onnx", 5_000, false));
    let after = world.ask((0..500).map(lead).collect()).unwrap();
    for (before, after) in before.iter().zip(&after) {
        assert!(before.variant == Variant::Champion || after.variant == Variant::Challenger);
    }
}

#[test]
fn stage_and_holdout_come_before_the_challenger() {
    let everybody = |mode| challenged(mode, "other.onnx", 10_000, false);
    let world = World::new(everybody(trial(3_000)));
    for answer in world.ask((0..200).map(lead).collect()).unwrap() {
        assert_ne!(answer.variant, Variant::Challenger, "a trial compares two arms");
    }
    world.publish(everybody(Mode::Shadow));
    assert_eq!(world.ask(vec![lead(1)]).unwrap()[0].variant, Variant::Shadow);
    world.publish(EndpointSnapshot { frozen: true, ..everybody(Mode::Unowned) });
    assert_eq!(world.ask(vec![lead(1)]).unwrap()[0].variant, Variant::Shadow);
    world.publish(everybody(Mode::Champion { salt: "s".into(), holdout_bp: 2_000 }));
    let answers = world.ask((0..1_000).map(lead).collect()).unwrap();
    let held = answers.iter().filter(|a| a.variant == Variant::Holdout).count();
    assert!((140..=260).contains(&held), "{held}");
    assert!(answers.iter().all(|a| a.variant != Variant::Champion));
}

#[test]
fn a_tester_may_pick_a_variant_and_the_row_says_so() {
    let spec = challenged(Mode::Unowned, "other.onnx", 0, false);
    let world = World::new(EndpointSnapshot { trusted_override: true, ..spec });
    let ask = |key, variant| {
        let entry = world.gateway.enter("term-deposit").unwrap().picking(Some(variant));
        let call = viaduct_gateway::PredictCall { key, ..call(vec![lead(1)]) };
        entry.predict(call).unwrap().remove(0)
    };
    let picked = ask(CallKey::Trusted, Variant::Challenger);
    assert_eq!((picked.variant, picked.model_version), (Variant::Challenger, Some(4)));
    assert_eq!(world.row(&picked).flags, [Flag::Override]);
    let stranger = ask(CallKey::Absent, Variant::Challenger);
    assert_eq!(stranger.variant, Variant::Champion, "no key, no choice");
    world.publish(challenged(Mode::Unowned, "other.onnx", 0, false));
    assert_eq!(ask(CallKey::Trusted, Variant::Challenger).variant, Variant::Champion);
}

#[test]
fn an_onlooker_is_logged_beside_and_costs_nothing() {
    let world = World::new(challenged(Mode::Unowned, "other.onnx", 0, true));
    let answers = world.ask((0..60).map(lead).collect()).unwrap();
    assert!(answers.iter().all(|a| (a.variant, a.model_version) == (Variant::Champion, Some(3))));
    world.gateway.settle();
    let row = world.row(&answers[59]);
    let beside = world.gateway.log().beside(row.endpoint, row.id).unwrap();
    assert_eq!(beside.len(), 1);
    let said = &beside[0];
    assert_eq!((said.model_version, said.action.as_deref()), (4, Some("skip")));
    assert_eq!((row.action.as_str(), said.disagrees), ("call", Some(true)));
    let counts = of(&world, Variant::Challenger);
    assert_eq!((counts.rows, counts.compared), (60, 60));
    assert!(counts.disagreements > 50, "{counts:?}");
    assert_eq!(of(&world, Variant::Champion).rows, 60);
    // One that fails is counted and said beside.
    world.publish(challenged(Mode::Unowned, "fails.onnx", 0, true));
    let answer = world.ask(vec![lead(59)]).unwrap().remove(0);
    world.gateway.settle();
    let beside = world.gateway.log().beside(row.endpoint, answer.decision_id).unwrap();
    assert!(beside[0].output.is_none() && beside[0].error.is_some());
    assert_eq!(of(&world, Variant::Challenger).errors, 1);
}

#[test]
fn a_challenger_that_fails_costs_no_caller_an_answer() {
    let world = World::new(challenged(Mode::Unowned, "fails.onnx", 10_000, false));
    let answer = world.ask(vec![lead(59)]).unwrap().remove(0);
    assert_eq!((answer.variant, answer.model_version), (Variant::Challenger, Some(3)));
    assert!(answer.is_fallback && answer.action.as_deref() == Some("call"));
    let row = world.row(&answer);
    assert_eq!((row.model_version, row.flags.as_slice()), (3, &[Flag::Fallback][..]));
    let counts = of(&world, Variant::Challenger);
    assert_eq!((counts.rows, counts.errors, counts.fallbacks), (1, 1, 1));
}

#[test]
fn a_breach_rolls_back_by_itself_and_says_why() {
    let mut spec = challenged(Mode::Unowned, "fails.onnx", 10_000, false);
    spec.guards = guard(GuardWhat::ErrorRate, 0.1, 5);
    let world = World::new(spec.clone());
    world.ask((40..44).map(lead).collect()).unwrap();
    std::thread::sleep(Duration::from_millis(700));
    assert!(world.gateway.reports().is_empty(), "four rows say nothing");
    world.ask((40..50).map(lead).collect()).unwrap();
    until(|| !world.gateway.reports().is_empty());
    let report = world.gateway.reports().remove(0);
    let ReportEvent::RolledBack { rollout, model_version, measured, n, why, .. } = &report.event
    else {
        panic!("{report:?}")
    };
    assert_eq!((*rollout, *model_version, *measured, *n), (RolloutId::from_u128(9), 4, 1.0, 14));
    assert!(why.contains("error_rate") && why.contains("more than 0.1"), "{why}");
    let in_service = |gateway: &viaduct_gateway::Gateway| {
        gateway.endpoint("term-deposit").unwrap().challenger.is_some()
    };
    assert!(!in_service(&world.gateway));
    assert_eq!(world.ask(vec![lead(59)]).unwrap()[0].variant, Variant::Champion);
    // The control plane does not know it yet: its snapshot does not bring the challenger back.
    world.publish(spec.clone());
    assert!(!in_service(&world.gateway));
    // Nor does a restart without it, nor a snapshot after it has acknowledged.
    let World { dir, gateway, clock } = world;
    drop(gateway);
    let gateway = open(dir.path(), &clock);
    assert!(!in_service(&gateway) && gateway.reports() == [report.clone()]);
    gateway.acknowledge(report.id).unwrap();
    gateway.publish(snapshot(spec)).unwrap();
    assert!(!in_service(&gateway) && gateway.reports().is_empty());
}

#[test]
fn every_guard_has_its_measure() {
    let breach = |guards: Vec<Guard>, name: &str, shadow: bool, ages: &[u64]| {
        let share = if shadow { 0 } else { 10_000 };
        let mut spec = challenged(Mode::Unowned, name, share, shadow);
        spec.guards = guards;
        let world = World::new(spec);
        for age in ages {
            let mut row = lead(1);
            row["age"] = json!(age);
            world.ask(vec![row]).unwrap();
        }
        world.gateway.settle();
        until(|| !world.gateway.reports().is_empty());
        match world.gateway.reports().remove(0).event {
            ReportEvent::RolledBack { measured, .. } => measured,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        breach(guard(GuardWhat::NanRate, 0.2, 4), "nan.onnx", false, &[60, 61, 20, 21]),
        0.5
    );
    let odd = guard(GuardWhat::ViolationRate, 0.2, 4);
    assert_eq!(breach(odd, "other.onnx", false, &[160, 20, 21, 22]), 0.25);
    let disagreement = guard(GuardWhat::DisagreementRate, 0.5, 2);
    assert_eq!(breach(disagreement, "other.onnx", true, &[20, 80]), 1.0);
    let slow = guard(GuardWhat::LatencyP99Ms, 5.0, 2);
    assert!(breach(slow, "slow.onnx", false, &[20, 21]) > 5.0);
}

#[test]
fn a_candidate_that_cannot_be_loaded_gets_no_traffic() {
    let world = World::new(endpoint(Mode::Unowned));
    let spec = challenged(Mode::Unowned, "model.pkl", 10_000, false);
    let problems = world.gateway.publish(snapshot(spec)).unwrap();
    assert!(problems[0].detail.contains("version 4"), "{problems:?}");
    let answer = world.ask(vec![lead(59)]).unwrap().remove(0);
    assert_eq!((answer.variant, answer.is_fallback), (Variant::Champion, false));
}
