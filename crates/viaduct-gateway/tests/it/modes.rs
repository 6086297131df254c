use serde_json::json;
use viaduct_base::Kind;
use viaduct_decisions::Flag;
use viaduct_domain::assign::Variant;
use viaduct_gateway::{EndpointSnapshot, Mode};

use crate::world::{World, call, endpoint, lead, refusal, trial};

#[test]
fn an_unowned_endpoint_answers_with_its_model_and_its_rule() {
    let world = World::new(endpoint(Mode::Unowned));
    let answers = world.ask((0..60).map(lead).collect()).unwrap();
    let old = &answers[59];
    assert_eq!((old.variant, old.model_version), (Variant::Champion, Some(3)));
    assert_eq!(old.action.as_deref(), Some("call"));
    assert_eq!(answers[0].action.as_deref(), Some("skip"));
    let row = world.row(old);
    assert_eq!(row.answered["label"], 1);
    assert_eq!(row.output.as_ref(), old.output.as_ref());
    assert_eq!(row.model_action.as_deref(), Some("call"));
    assert_eq!((row.model.as_str(), row.model_version), ("term-deposit", 3));
    assert_eq!(row.keys["lead_id"], "59");
    assert_eq!(row.department.as_deref(), Some("call-centre"));
    // Only the contract's fields are kept: no phone number, no name of the customer.
    assert_eq!(serde_json::Value::Object(row.inputs), json!({"age": 79.0, "job": "student"}));
    assert!(row.entity_hash.len() == 32 && !row.entity_hash.contains("c-"));
    assert!(row.flags.is_empty() && row.bucket.is_none());
    let found = world.gateway.log().by_key(row.endpoint, "lead_id", "59").unwrap();
    assert_eq!(found[0].id, old.decision_id);
}

#[test]
fn a_shadow_answers_the_incumbent_and_logs_the_model_beside() {
    let world = World::new(endpoint(Mode::Shadow));
    let mut young = lead(0);
    young["desk"] = json!("letter");
    let mut scored = lead(59);
    scored["desk"] = json!({"probability": 0.125});
    let answers = world.ask(vec![young, scored, lead(2)]).unwrap();
    let got: Vec<_> = answers.iter().map(|a| a.action.as_deref().unwrap()).collect();
    assert_eq!(got, ["letter", "skip", "call"], "sent, by the rule, declared");
    assert_eq!(answers[0].output, None);
    assert_eq!(answers[1].output, Some(json!({"probability": 0.125})));
    assert_eq!(answers[1].model_version, None);
    let row = world.row(&answers[1]);
    assert_eq!(row.variant, "shadow");
    assert_eq!((row.action.as_str(), row.model_action.as_deref()), ("skip", Some("call")));
    assert!(row.output.unwrap()["probability"].as_f64().unwrap() > 0.9);
    assert_eq!(row.incumbent, Some(json!({"probability": 0.125})));
    assert_eq!(row.flags, [Flag::Withheld]);
    // The next ones are declared to have no usual answer.
    world.publish(EndpointSnapshot { business_as_usual: None, ..endpoint(Mode::Shadow) });
    let mut fine = lead(1);
    fine["desk"] = json!("call");
    let refused = refusal(world.ask(vec![fine, lead(2)]));
    assert_eq!(refused.kind, Kind::IncumbentMissing);
    assert!(refused.detail.contains("`incumbent`"), "{}", refused.detail);
    assert_eq!(refused.errors[0].pointer, "/rows/1/incumbent");
}

#[test]
fn a_shadow_serves_before_there_is_a_model() {
    let world = World::new(EndpointSnapshot { model: None, ..endpoint(Mode::Shadow) });
    let answers = world.ask(vec![lead(1)]).unwrap();
    assert_eq!(answers[0].action.as_deref(), Some("call"));
    assert_eq!(world.row(&answers[0]).output, None);
}

#[test]
fn a_holdout_gets_business_as_usual_and_never_the_score() {
    let world = World::new(endpoint(trial(10_000)));
    let answers = world.ask(vec![lead(0), lead(59)]).unwrap();
    for answer in &answers {
        assert_eq!((answer.variant, answer.action.as_deref()), (Variant::Holdout, Some("call")));
        assert_eq!((&answer.output, answer.model_version), (&None, None));
        let row = world.row(answer);
        assert_eq!((row.output, row.model_action, row.model_version), (None, None, 0));
    }
    // When the plan wants the score it is logged, flagged and still not sent.
    let Mode::Trial { trial: id, salt, holdout_bp, .. } = trial(10_000) else { panic!() };
    let scored = Mode::Trial { trial: id, salt, holdout_bp, score_holdout: true };
    world.publish(endpoint(scored));
    let answers = world.ask(vec![lead(0)]).unwrap();
    assert_eq!(answers[0].output, None);
    let row = world.row(&answers[0]);
    assert!(row.output.is_some() && row.flags == [Flag::Withheld]);
    assert_eq!(row.model_action.as_deref(), Some("skip"));
    assert_eq!(row.action, "call");
}

#[test]
fn a_frozen_endpoint_asks_no_model() {
    let world = World::new(EndpointSnapshot { frozen: true, ..endpoint(trial(5_000)) });
    for answer in world.ask((0..20).map(lead).collect()).unwrap() {
        assert_eq!(answer.action.as_deref(), Some("call"));
        let row = world.row(&answer);
        assert_eq!((row.trial, row.output, row.variant.as_str()), (None, None, "shadow"));
    }
}

#[test]
fn an_advising_rule_advises_and_a_shadow_rule_only_logs() {
    let mut spec = endpoint(Mode::Unowned);
    spec.rule.as_mut().unwrap().mode = viaduct_domain::rule::Mode::Shadow;
    let world = World::new(spec);
    let answers = world.ask(vec![lead(0)]).unwrap();
    assert_eq!(answers[0].action.as_deref(), Some("call"), "business as usual");
    assert_eq!(world.row(&answers[0]).model_action.as_deref(), Some("skip"));
}

#[test]
fn replayed_rows_and_the_clock_are_said() {
    let world = World::new(endpoint(Mode::Unowned));
    let mut past = call(vec![lead(1)]);
    past.replayed = true;
    let answer = world.gateway.predict(past).unwrap().remove(0);
    let row = world.row(&answer);
    assert!(row.replayed);
    assert_eq!(row.at.to_string(), "2026-03-01T08:00:00Z");
    assert_eq!(serde_json::to_value(row.clock).unwrap(), "simulated");
    world.clock.advance(viaduct_base::Span::days(1));
    let answer = world.ask(vec![lead(1)]).unwrap().remove(0);
    assert_eq!(world.row(&answer).at.to_string(), "2026-03-02T08:00:00Z");
}

#[test]
fn metrics_tell_what_happened() {
    let world = World::new(endpoint(Mode::Unowned));
    world.ask(vec![lead(1), lead(2)]).unwrap();
    let mut odd = lead(3);
    odd["age"] = json!(170);
    world.ask(vec![odd]).unwrap();
    refusal(world.ask(vec![json!({"age": 4})]));
    let mut text = String::new();
    world.gateway.write_metrics(&mut text);
    for line in [
        "viaduct_predict_requests_total{endpoint=\"term-deposit\",outcome=\"answered\"} 2",
        "viaduct_predict_requests_total{endpoint=\"term-deposit\",outcome=\"contract-violation\"} 1",
        "viaduct_predict_decisions_total{endpoint=\"term-deposit\",variant=\"champion\"} 3",
        "viaduct_predict_refused_rows_total{endpoint=\"term-deposit\"} 1",
        "viaduct_predict_violations_total{endpoint=\"term-deposit\",field=\"job\"} 1",
        "viaduct_predict_outside_total{endpoint=\"term-deposit\",field=\"age\"} 1",
        "viaduct_predict_duration_seconds_count{endpoint=\"term-deposit\"} 3",
        "viaduct_decision_log_rows 4",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}
