use serde_json::json;
use viaduct_base::{ConsumerId, Digest, Kind, Secret, Timestamp};
use viaduct_decisions::Record;
use viaduct_gateway::{CallKey, ConsumerSnapshot, EndpointSnapshot, Mode, ServedModel};

use crate::python;
use crate::world::{World, call, endpoint, lead, model, refusal, snapshot};

#[test]
fn rows_that_break_the_contract_are_named_counted_and_logged() {
    let world = World::new(endpoint(Mode::Unowned));
    world.ask(vec![lead(1), lead(2)]).unwrap();
    let mut late = lead(3);
    late["age"] = json!("forty");
    let refused = refusal(world.ask(vec![lead(1), late, json!({"age": 41})]));
    assert_eq!(refused.kind, Kind::ContractViolation);
    let pointers: Vec<_> = refused.errors.iter().map(|e| e.pointer.as_str()).collect();
    assert_eq!(pointers, ["/rows/1/age", "/rows/2/job"]);
    assert!(!format!("{refused:?}").contains("forty"), "values are not repeated");
    let id = endpoint(Mode::Unowned).id;
    let counts = world.gateway.log().counts_per_day(id);
    let day = "2026-03-01".parse().unwrap();
    assert_eq!((counts[&day].decisions, counts[&day].refused), (2, 2));
    let all = (Timestamp::from_micros(0), Timestamp::from_micros(i64::MAX));
    let logged: Vec<_> = world.gateway.log().scan(Some(id), all.0, all.1).collect();
    assert_eq!(logged.len(), 4);
    let Record::Refused(row) = logged[2].as_ref().unwrap() else { panic!() };
    assert_eq!(row.errors[0].pointer, "/rows/1/age");
}

#[test]
fn unknown_endpoints_and_empty_requests() {
    let world = World::new(endpoint(Mode::Unowned));
    let mut other = call(vec![lead(1)]);
    other.endpoint = "term-depositt".into();
    let refused = refusal(world.gateway.predict(other));
    assert_eq!(refused.kind, Kind::NotFound);
    assert!(refused.detail.contains("near: `term-deposit`"), "{}", refused.detail);
    assert_eq!(refusal(world.ask(vec![])).kind, Kind::InvalidInput);
    let mut bad = lead(1);
    bad["customer_id"] = json!(["c"]);
    let refused = refusal(world.ask(vec![bad]));
    assert_eq!(refused.errors[0].pointer, "/rows/0/customer_id");
    assert_eq!(refusal(world.ask(vec![lead(1); 10_001])).kind, Kind::TooLarge);
}

#[test]
fn a_closed_endpoint_knows_its_consumers_by_their_keys() {
    let consumer = ConsumerId::from_u128(5);
    let consumers = vec![ConsumerSnapshot {
        id: consumer,
        name: "app".into(),
        key_hash: Digest::of(b"vdk_secret"),
        department: Some("branch".into()),
        rate_per_second: None,
        burst: None,
        quota_per_day: None,
    }];
    let spec = EndpointSnapshot { open: false, consumers, ..endpoint(Mode::Unowned) };
    let world = World::new(spec);
    let with = |key| {
        let mut call = call(vec![lead(1)]);
        call.key = key;
        world.gateway.predict(call)
    };
    assert_eq!(refusal(with(CallKey::Absent)).kind, Kind::LoginRequired);
    let wrong = CallKey::Key(Secret::new("vdk_other".into()));
    assert_eq!(refusal(with(wrong)).kind, Kind::LoginRequired);
    let answers = with(CallKey::Key(Secret::new("vdk_secret".into()))).unwrap();
    let row = world.row(&answers[0]);
    assert_eq!((row.consumer, row.department.as_deref()), (Some(consumer), Some("branch")));
    assert!(with(CallKey::Trusted).is_ok());
}

#[test]
fn an_endpoint_that_cannot_serve_says_why() {
    let world = World::new(EndpointSnapshot { model: None, ..endpoint(Mode::Unowned) });
    let refused = refusal(world.ask(vec![lead(1)]));
    assert_eq!(refused.kind, Kind::NotReady);
    assert!(refused.detail.contains("no model yet"), "{}", refused.detail);

    let pickle = ServedModel { onnx: python::model("model.pkl"), ..model() };
    let spec = EndpointSnapshot { model: Some(pickle), ..endpoint(Mode::Unowned) };
    let problems = world.gateway.publish(snapshot(spec)).unwrap();
    assert!(problems[0].detail.contains("pip install skl2onnx"), "{problems:?}");
    let refused = refusal(world.ask(vec![lead(1)]));
    assert_eq!(refused.kind, Kind::ModelNotServable);
    let readiness = world.gateway.readiness();
    assert!(readiness.ready);
    assert!(readiness.degraded[0].contains("`term-deposit` version 3"), "{readiness:?}");

    let features = Some(vec!["age".to_owned(), "income".to_owned()]);
    let spec = EndpointSnapshot {
        model: Some(ServedModel { features, ..model() }),
        ..endpoint(Mode::Unowned)
    };
    let problems = world.gateway.publish(snapshot(spec)).unwrap();
    assert!(problems[0].detail.contains("needs `income`"), "{problems:?}");
}
