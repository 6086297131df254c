use serde_json::json;
use viaduct_base::{Error, Kind, Timestamp};
use viaduct_decisions::Flag;
use viaduct_domain::assign::Variant;
use viaduct_gateway::{EndpointSnapshot, Fallback, Killed, Mode, ServedModel};

use crate::python;
use crate::world::{World, endpoint, lead, model, refusal, snapshot, trial};

fn with(name: &str, fallback: Fallback) -> EndpointSnapshot {
    let broken = ServedModel { version: 4, onnx: python::model(name), ..model() };
    EndpointSnapshot {
        model: Some(broken),
        rule: None,
        business_as_usual: None,
        fallback,
        ..endpoint(Mode::Unowned)
    }
}

fn killed() -> Option<Killed> {
    let at: Timestamp = "2026-03-01T08:00:00Z".parse().unwrap();
    Some(Killed { at, by: "ada".into(), reason: "it calls everybody".into() })
}

#[test]
fn a_number_that_is_not_finite_never_decides() {
    let world = World::new(with("nan.onnx", Fallback::Error));
    assert!(world.ask(vec![lead(1)]).is_ok());
    let refused = refusal(world.ask(vec![lead(1), lead(59)]));
    assert_eq!(refused.kind, Kind::NoAnswer);
    assert_eq!(refused.errors[0].pointer, "/rows/1");
    let constant = Fallback::Constant { output: Some(json!({"value": 0.0})), action: None };
    world.publish(with("nan.onnx", constant));
    let answers = world.ask(vec![lead(1), lead(59)]).unwrap();
    assert_eq!((answers[0].is_fallback, answers[1].is_fallback), (false, true));
    assert_eq!(answers[1].output, Some(json!({"value": 0.0})));
    assert_eq!((answers[0].model_version, answers[1].model_version), (Some(4), None));
    let row = world.row(&answers[1]);
    assert_eq!(row.flags, [Flag::Withheld, Flag::Fallback, Flag::NotFinite]);
    assert_eq!(row.answered, json!({"value": 0.0}));
    let counts = world.gateway.counts("term-deposit").unwrap();
    let champion = counts.iter().find(|c| c.variant == Variant::Champion).unwrap();
    assert_eq!((champion.nan, champion.fallbacks, champion.errors), (2, 1, 0));
}

#[test]
fn a_broken_number_where_business_as_usual_is_known_is_no_error() {
    let usual = endpoint(Mode::Unowned).business_as_usual;
    let spec = EndpointSnapshot { business_as_usual: usual, ..with("nan.onnx", Fallback::Error) };
    let world = World::new(spec);
    let answer = world.ask(vec![lead(59)]).unwrap().remove(0);
    assert_eq!((answer.action.as_deref(), answer.is_fallback), (Some("call"), true));
}

#[test]
fn a_failed_run_is_answered_by_each_kind_of_fallback() {
    let world = World::new(with("fails.onnx", Fallback::Error));
    let refused = refusal(world.ask(vec![lead(59)]));
    assert_eq!(refused.kind, Kind::NotReady);
    assert!(refused.detail.contains("out of data bounds"), "{}", refused.detail);

    let constant = Fallback::Constant { output: None, action: Some("ask a person".into()) };
    world.publish(with("fails.onnx", constant));
    let answer = world.ask(vec![lead(59)]).unwrap().remove(0);
    assert_eq!((answer.action.as_deref(), &answer.output), (Some("ask a person"), &None));
    assert_eq!(world.row(&answer).action, "ask a person");

    world.publish(with("fails.onnx", Fallback::BusinessAsUsual));
    let mut row = lead(59);
    row["desk"] = json!("letter");
    let answer = world.ask(vec![row]).unwrap().remove(0);
    assert_eq!((answer.action.as_deref(), answer.is_fallback), (Some("letter"), true));
    assert_eq!(refusal(world.ask(vec![lead(59)])).kind, Kind::NotReady, "nothing is usual here");

    let previous = Some(model());
    let spec = EndpointSnapshot { previous, ..with("fails.onnx", Fallback::Previous) };
    world.publish(spec);
    let answer = world.ask(vec![lead(59)]).unwrap().remove(0);
    assert_eq!((answer.model_version, answer.is_fallback), (Some(3), true));
    assert!(answer.output.unwrap()["probability"].as_f64().unwrap() > 0.9);
}

#[test]
fn a_killed_endpoint_answers_its_fallback_and_keeps_its_arms() {
    let world = World::new(EndpointSnapshot { killed: killed(), ..endpoint(trial(5_000)) });
    let answers = world.ask((0..100).map(lead).collect()).unwrap();
    assert!(
        answers.iter().all(|a| a.action.as_deref() == Some("call") && a.model_version.is_none())
    );
    let champion = answers.iter().find(|a| a.variant == Variant::Champion).unwrap();
    let row = world.row(champion);
    assert_eq!((row.flags.as_slice(), row.output), (&[Flag::Fallback, Flag::Killed][..], None));
    assert!(answers.iter().any(|a| a.variant == Variant::Holdout));

    let bare = EndpointSnapshot { business_as_usual: None, ..endpoint(Mode::Unowned) };
    world.publish(EndpointSnapshot { killed: killed(), ..bare });
    let refused = refusal(world.ask(vec![lead(1)]));
    assert_eq!(refused.kind, Kind::EndpointKilled);
    assert!(refused.detail.contains("ada") && refused.detail.contains("it calls everybody"));
}

#[test]
fn a_kill_takes_effect_with_the_next_request() {
    let world = World::new(endpoint(Mode::Unowned));
    assert!(!world.ask(vec![lead(1)]).unwrap()[0].is_fallback);
    world.gateway.kill("term-deposit", "ada", "it calls everybody").unwrap();
    assert!(world.ask(vec![lead(1)]).unwrap()[0].is_fallback);
    world.gateway.revive("term-deposit", "ada").unwrap();
    assert!(!world.ask(vec![lead(1)]).unwrap()[0].is_fallback);
}

#[test]
fn a_version_that_cannot_be_loaded_leaves_the_one_before_in_service() {
    let world = World::new(endpoint(Mode::Unowned));
    let broken = ServedModel { version: 4, onnx: python::model("model.pkl"), ..model() };
    let spec = EndpointSnapshot { model: Some(broken), ..endpoint(Mode::Unowned) };
    let problems = world.gateway.publish(snapshot(spec)).unwrap();
    assert!(problems[0].detail.contains("version 3 stays in service"), "{problems:?}");
    let answer = world.ask(vec![lead(59)]).unwrap().remove(0);
    assert_eq!(answer.model_version, Some(3));
    // Also after a restart without the control plane.
    let World { dir, gateway, clock } = world;
    drop(gateway);
    let gateway = crate::world::open(dir.path(), &clock);
    let answer = gateway.predict(crate::world::call(vec![lead(59)])).unwrap().remove(0);
    assert_eq!(answer.model_version, Some(3));
}

#[test]
fn an_answer_that_comes_too_late_is_not_given() {
    let mut spec = with("slow.onnx", Fallback::Error);
    spec.limits.deadline_ms = 20;
    let world = World::new(spec.clone());
    let refused = refusal(world.ask(vec![lead(1)]));
    assert_eq!(refused.kind, Kind::DeadlinePassed);
    assert_eq!(world.gateway.log().stats().rows, 0, "nothing was decided");
    spec.limits.deadline_ms = 0;
    world.publish(spec);
    let entry = world.gateway.enter("term-deposit").unwrap();
    let late = std::time::Instant::now();
    let Err(Error::Refused(refused)) =
        entry.until(Some(late)).predict(crate::world::call(vec![lead(1)]))
    else {
        panic!()
    };
    assert_eq!(refused.kind, Kind::DeadlinePassed);
    assert!(world.ask(vec![lead(1)]).is_ok());
}
