use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::json;
use viaduct_base::{ConsumerId, Digest, Error, Kind, Secret, Timestamp};
use viaduct_gateway::{
    CallKey, ConsumerSnapshot, EndpointSnapshot, Mode, PredictCall, ServedModel, Snapshot,
};

use crate::python;
use crate::world::{World, call, endpoint, lead, model, open};

fn consumer(number: u128, rate: Option<f64>, quota: Option<u64>) -> ConsumerSnapshot {
    ConsumerSnapshot {
        id: ConsumerId::from_u128(number),
        name: format!("app-{number}"),
        key_hash: Digest::of(format!("key-{number}").as_bytes()),
        department: None,
        rate_per_second: rate,
        burst: Some(10),
        quota_per_day: quota,
    }
}

fn ask(world: &World, number: u128, rows: u64) -> Result<(), viaduct_base::Refusal> {
    let key = CallKey::Key(Secret::new(format!("key-{number}")));
    let call = PredictCall { key, ..call((0..rows).map(lead).collect()) };
    match world.gateway.predict(call) {
        Ok(_) => Ok(()),
        Err(Error::Refused(refusal)) => Err(refusal),
        Err(fault) => panic!("{fault:?}"),
    }
}

#[test]
fn each_consumer_has_a_rate_and_a_quota_of_its_own() {
    let consumers =
        vec![consumer(1, Some(0.001), None), consumer(2, None, Some(25)), consumer(3, None, None)];
    let spec = EndpointSnapshot { consumers, open: false, ..endpoint(Mode::Unowned) };
    let world = World::new(spec.clone());
    assert!(ask(&world, 1, 10).is_ok());
    let refused = ask(&world, 1, 1).unwrap_err();
    assert_eq!(refused.kind, Kind::TooManyRequests);
    assert!(refused.retry_after_s.unwrap() > 100);
    // The neighbours do not notice, and a new snapshot forgives nothing.
    assert!(ask(&world, 3, 50).is_ok());
    world.publish(EndpointSnapshot { stage: "department".into(), ..spec });
    assert!(ask(&world, 1, 1).is_err());
    assert!(ask(&world, 2, 20).is_ok());
    let refused = ask(&world, 2, 6).unwrap_err();
    assert_eq!(refused.kind, Kind::QuotaUsed);
    assert!(ask(&world, 2, 5).is_ok());
    let mut text = String::new();
    world.gateway.write_metrics(&mut text);
    let line = "viaduct_predict_requests_total{endpoint=\"term-deposit\",outcome=\"quota-used\"} 1";
    assert!(text.lines().any(|l| l == line), "{text}");
}

#[test]
fn a_restart_forgives_no_quota() {
    let world = World::new(endpoint(Mode::Unowned));
    // Quotas are days of the machine's clock, so decisions have to be of today.
    world.clock.advance_to(Timestamp::from_system());
    let consumers = vec![consumer(2, None, Some(25)), consumer(3, None, Some(25))];
    world.publish(EndpointSnapshot { consumers, open: false, ..endpoint(Mode::Unowned) });
    assert!(ask(&world, 2, 20).is_ok());
    let World { dir, gateway, clock } = world;
    drop(gateway);
    let gateway = open(dir.path(), &clock);
    let world = World { dir, gateway, clock };
    let begun = Instant::now();
    let refused = loop {
        // A request that is larger than the whole quota is refused, and says what is left.
        let refused = ask(&world, 2, 26).unwrap_err();
        if !refused.detail.contains("25 are left") || begun.elapsed() > Duration::from_secs(10) {
            break refused;
        }
    };
    assert!(refused.detail.contains("and 5 are left"), "{}", refused.detail);
    assert!(ask(&world, 2, 5).is_ok());
    assert_eq!(ask(&world, 2, 1).unwrap_err().kind, Kind::QuotaUsed);
    assert!(ask(&world, 3, 25).is_ok(), "the neighbour has its own");
}

#[test]
fn a_full_queue_refuses_at_once_and_leaves_the_neighbour_alone() {
    let slow = ServedModel { onnx: python::model("slow.onnx"), ..model() };
    let mut busy = EndpointSnapshot { model: Some(slow), rule: None, ..endpoint(Mode::Unowned) };
    busy.limits.queue = 2;
    let mut quiet = endpoint(Mode::Unowned);
    (quiet.id, quiet.name) = (viaduct_base::EndpointId::from_u128(8), "quiet".parse().unwrap());
    let world = World::new(endpoint(Mode::Unowned));
    let endpoints = vec![busy, quiet];
    world.gateway.publish(Snapshot { workspace_salt: "s".into(), endpoints }).unwrap();
    let begun = Barrier::new(3);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let entry = world.gateway.enter("term-deposit").unwrap();
                begun.wait();
                entry.predict(call(vec![lead(1)])).unwrap();
            });
        }
        begun.wait();
        let refused = world.gateway.enter("term-deposit").unwrap_err();
        assert_eq!((refused.kind, refused.retry_after_s), (Kind::QueueFull, Some(1)));
        for _ in 0..20 {
            let call = PredictCall { endpoint: "quiet".into(), ..call(vec![lead(1)]) };
            world.gateway.predict(call).unwrap();
        }
    });
    assert!(world.gateway.enter("term-deposit").is_ok(), "places come back");
    let mut text = String::new();
    world.gateway.write_metrics(&mut text);
    for line in [
        "viaduct_predict_queue{endpoint=\"term-deposit\"} 0",
        "viaduct_predict_requests_total{endpoint=\"term-deposit\",outcome=\"queue-full\"} 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}

#[test]
fn only_a_small_request_to_a_quick_endpoint_may_run_among_others() {
    let world = World::new(endpoint(Mode::Unowned));
    for _ in 0..40 {
        world.ask(vec![lead(1)]).unwrap();
    }
    let entry = world.gateway.enter("term-deposit").unwrap();
    assert!(!entry.is_quick(1_000));
    let slow = ServedModel { onnx: python::model("slow.onnx"), ..model() };
    world.publish(EndpointSnapshot { model: Some(slow), rule: None, ..endpoint(Mode::Unowned) });
    world.ask(vec![lead(1)]).unwrap();
    assert!(!world.gateway.enter("term-deposit").unwrap().is_quick(1));
}

#[test]
fn a_request_is_as_large_as_the_endpoint_says() {
    let mut spec = endpoint(Mode::Unowned);
    spec.limits.rows_max = 3;
    let world = World::new(spec);
    assert!(world.ask((0..3).map(lead).collect()).is_ok());
    let Err(Error::Refused(refused)) = world.ask((0..4).map(lead).collect()) else { panic!() };
    assert!(refused.detail.contains("at most 3"), "{}", refused.detail);
    assert!(world.ask(vec![json!({"age": 1})]).is_err());
}

#[test]
fn a_run_that_takes_too_long_is_stopped_and_the_next_one_is_not() {
    let long = ServedModel { onnx: python::model("long.onnx"), ..model() };
    let mut spec = EndpointSnapshot { model: Some(long), rule: None, ..endpoint(Mode::Unowned) };
    spec.limits.deadline_ms = 0;
    let world = World::new(spec.clone());
    let took = |world: &World| {
        let begun = Instant::now();
        let answer = world.ask(vec![lead(1)]);
        (answer, begun.elapsed())
    };
    let (answer, whole) = took(&world);
    let whole_answer = answer.unwrap().remove(0).output;
    spec.limits.deadline_ms = 50;
    world.publish(spec.clone());
    let (answer, stopped) = took(&world);
    let refused = crate::world::refusal(answer);
    assert_eq!(refused.kind, Kind::DeadlinePassed, "{}", refused.detail);
    assert!(stopped < whole / 2, "stopped after {stopped:?} of {whole:?}");
    // The same sessions go on: nothing of the stop is left in them.
    spec.limits.deadline_ms = 0;
    world.publish(spec);
    for _ in 0..2 {
        assert_eq!(world.ask(vec![lead(1)]).unwrap().remove(0).output, whole_answer);
    }
}
