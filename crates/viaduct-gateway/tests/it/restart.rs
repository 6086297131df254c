use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use viaduct_base::SimulatedClock;
use viaduct_decisions::{DecisionLog, Durability};
use viaduct_gateway::{Gateway, GatewayConfig, Mode, ServedModel, Snapshot};

use crate::python;
use crate::world::{World, call, endpoint, lead, model, open};

#[test]
fn a_restart_serves_from_disk_alone() {
    let source = tempfile::tempdir().unwrap();
    let onnx = source.path().join("model.onnx");
    std::fs::copy(python::model("model.onnx"), &onnx).unwrap();
    let mut spec = endpoint(Mode::Unowned);
    spec.model = Some(ServedModel { onnx, ..model() });
    let world = World::new(spec);
    let before = world.ask(vec![lead(59)]).unwrap().remove(0);
    let kept = world.gateway.snapshot().unwrap();
    drop(source);
    let World { dir, gateway, clock } = world;
    drop(gateway);

    // The directory may have moved meanwhile, as a restored backup does.
    let moved = dir.path().join("moved");
    std::fs::create_dir(&moved).unwrap();
    for name in ["gateway", "decisions"] {
        std::fs::rename(dir.path().join(name), moved.join(name)).unwrap();
    }
    let gateway = open(&moved, &clock);
    assert!(gateway.readiness().ready && gateway.readiness().degraded.is_empty());
    let after = gateway.predict(call(vec![lead(59)])).unwrap().remove(0);
    assert_eq!(after.output, before.output);
    assert_eq!(gateway.log().get(before.decision_id).unwrap().unwrap().id, before.decision_id);
    let again = gateway.snapshot().unwrap();
    assert_eq!(again.endpoints[0].contract, kept.endpoints[0].contract);
    assert_eq!(again.endpoints[0].rule, kept.endpoints[0].rule);
}

#[test]
fn a_fresh_directory_is_not_ready_until_something_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let start = "2026-03-01T08:00:00Z".parse().unwrap();
    let clock = Arc::new(SimulatedClock::new(start));
    let gateway = open(dir.path(), &clock);
    assert!(!gateway.readiness().ready);
    let refused = crate::world::refusal(gateway.predict(call(vec![lead(1)])));
    assert_eq!(refused.kind, viaduct_base::Kind::NotReady);
    gateway.publish(Snapshot::default()).unwrap();
    assert!(gateway.readiness().ready);
}

#[test]
fn unnamed_models_leave_the_disk() {
    let world = World::new(endpoint(Mode::Unowned));
    let models = || std::fs::read_dir(world.dir.path().join("gateway/models")).unwrap().count();
    assert_eq!(models(), 1);
    world.gateway.publish(Snapshot::default()).unwrap();
    assert_eq!(models(), 0);
    world.publish(endpoint(Mode::Unowned));
    assert!(world.ask(vec![lead(1)]).is_ok());
}

/// Swaps to another file and back while a request waits; budgets decide whether the version that
/// leaves is in memory.
fn swap_before_the_answer(model_bytes: u64) {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(SimulatedClock::new("2026-03-01T08:00:00Z".parse().unwrap()));
    let (log, _) = DecisionLog::open(&dir.path().join("decisions"), Durability::Os).unwrap();
    let mut config = GatewayConfig::new(dir.path().join("gateway"), python::runtime());
    config.model_bytes = model_bytes;
    let (gateway, _) = Gateway::open(config, log, clock.clone()).unwrap();
    let world = World { dir, gateway, clock };
    let files = || std::fs::read_dir(world.dir.path().join("gateway/models")).unwrap().count();
    let mut other = endpoint(Mode::Unowned);
    other.model = Some(ServedModel { version: 4, onnx: python::model("other.onnx"), ..model() });
    world.publish(endpoint(Mode::Unowned));
    let first = world.ask(vec![lead(59)]).unwrap().remove(0);
    let waits = world.gateway.enter("term-deposit").unwrap();
    // The queue's job publishes the same once more.
    world.publish(other.clone());
    world.publish(other.clone());
    let late = waits.predict(call(vec![lead(59)])).unwrap().remove(0);
    assert_eq!((late.model_version, &late.output), (Some(3), &first.output));
    let now = world.ask(vec![lead(59)]).unwrap().remove(0);
    assert!(now.model_version == Some(4) && now.output != first.output);
    // What a late request did is no reason to decline the way back.
    world.publish(endpoint(Mode::Unowned));
    assert_eq!(world.ask(vec![lead(59)]).unwrap()[0].output, first.output);
    assert_eq!(files(), 1);
}

#[test]
fn who_came_before_a_swap_is_answered_by_the_version_of_then() {
    swap_before_the_answer(1 << 30);
    swap_before_the_answer(1);
}

#[test]
fn version_swaps_fail_no_request() {
    let world = World::new(endpoint(Mode::Unowned));
    let (stop, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (world, stop, asked) = (&world, &stop, &asked);
            scope.spawn(move || {
                let mut number = thread;
                while !stop.load(Ordering::Relaxed) {
                    world.ask(vec![lead(number)]).unwrap();
                    asked.fetch_add(1, Ordering::Relaxed);
                    number += 3;
                }
            });
        }
        for version in 1..30 {
            let mut spec = endpoint(Mode::Unowned);
            // Every other one is another file, which leaves the disk with its version.
            let onnx = python::model(["model.onnx", "other.onnx"][version as usize % 2]);
            spec.model = Some(ServedModel { version, onnx, ..model() });
            world.publish(spec.clone());
            world.publish(spec);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(asked.load(Ordering::Relaxed) > 30);
}
