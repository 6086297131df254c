use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use viaduct_gateway::{Mode, ServedModel, Snapshot};

use crate::python;
use crate::world::{World, call, endpoint, lead, model, open, snapshot};

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
    let clock = std::sync::Arc::new(viaduct_base::SimulatedClock::new(start));
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
            // Other options make another model: it is really loaded again.
            let classes = Some(vec![0.into(), 1.into(), version.into()]);
            spec.model = Some(ServedModel { version, classes, ..model() });
            world.gateway.publish(snapshot(spec)).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(asked.load(Ordering::Relaxed) > 30);
}
