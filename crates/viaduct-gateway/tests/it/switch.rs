use viaduct_base::{Error, Kind};
use viaduct_domain::assign::Variant;
use viaduct_gateway::{EndpointSnapshot, Mode, ReportEvent};

use crate::world::{World, endpoint, lead, model, open, refusal};

#[test]
fn a_kill_is_on_disk_and_over_every_snapshot_until_it_is_taken_over() {
    let world = World::new(endpoint(Mode::Unowned));
    world.gateway.kill("term-deposit", "ada", "it calls everybody").unwrap();
    let killed = |gateway: &viaduct_gateway::Gateway| {
        gateway.snapshot().unwrap().endpoints[0].killed.clone().map(|killed| killed.reason)
    };
    assert_eq!(killed(&world.gateway).as_deref(), Some("it calls everybody"));
    // The control plane publishes without knowing it.
    world.publish(endpoint(Mode::Unowned));
    assert!(killed(&world.gateway).is_some());
    let World { dir, gateway, clock } = world;
    drop(gateway);
    let gateway = open(dir.path(), &clock);
    assert!(killed(&gateway).is_some());
    let reports = gateway.reports();
    let expected = ReportEvent::Killed { by: "ada".into(), reason: "it calls everybody".into() };
    assert_eq!((reports.len(), &reports[0].event), (1, &expected));
    gateway.revive("term-deposit", "ben").unwrap();
    assert!(killed(&gateway).is_none());
    for report in gateway.reports() {
        gateway.acknowledge(report.id).unwrap();
    }
    drop(gateway);
    let gateway = open(dir.path(), &clock);
    assert!(gateway.reports().is_empty() && killed(&gateway).is_none());
}

#[test]
fn a_kill_needs_an_endpoint_and_a_reason() {
    let world = World::new(endpoint(Mode::Unowned));
    let Err(Error::Refused(refused)) = world.gateway.kill("term-deposit", "ada", " ") else {
        panic!()
    };
    assert!(refused.detail.contains("say why"), "{}", refused.detail);
    let Err(Error::Refused(refused)) = world.gateway.kill("other", "ada", "x") else { panic!() };
    assert_eq!(refused.kind, Kind::NotFound);
    assert!(world.gateway.reports().is_empty());
}

#[test]
fn a_decision_is_replayed_with_a_version_of_choice() {
    let world = World::new(endpoint(Mode::Unowned));
    let answers = world.ask(vec![lead(59)]).unwrap();
    let row = world.row(&answers[0]);
    let again = world.gateway.replay(&row, model()).unwrap();
    assert_eq!(serde_json::to_value(&again).ok(), row.output);
    let rows = world.gateway.log().stats().rows;
    assert_eq!(rows, 1, "a replay is no decision");
    let missing = viaduct_gateway::ServedModel { onnx: "/nowhere.onnx".into(), ..model() };
    let refused = world.gateway.replay(&row, missing).unwrap_err();
    assert!(refused.detail.contains("`/nowhere.onnx`"), "{}", refused.detail);
}

#[test]
fn a_snapshot_of_the_last_release_is_readable() {
    let old = serde_json::json!({"workspace_salt": "s", "endpoints": [{
        "id": "end_00000000000000000000000007", "name": "leads",
        "workspace": "wsp_00000000000000000000000001", "project": null, "department": null,
        "stage": "unowned", "mode": {"kind": "unowned"},
        "model": {"name": "m", "version": 1, "onnx": "/m.onnx", "features": null, "classes": null},
        "contract": null, "rule": null, "entity_field": null, "key_fields": [],
        "business_as_usual": null, "open": true, "frozen": false,
        "consumers": [{"id": "csm_00000000000000000000000001", "name": "app",
            "key_hash": viaduct_base::Digest::of(b"k"), "department": null}],
    }]});
    let read: viaduct_gateway::Snapshot = serde_json::from_value(old).unwrap();
    let endpoint: &EndpointSnapshot = &read.endpoints[0];
    assert_eq!(endpoint.limits.queue, viaduct_gateway::Limits::default().queue);
    assert_eq!(endpoint.fallback, viaduct_gateway::Fallback::Error);
}

#[test]
fn counts_are_by_variant_and_version() {
    let world = World::new(endpoint(Mode::Unowned));
    world.ask(vec![lead(1), lead(2)]).unwrap();
    refusal(world.ask(vec![serde_json::json!({"age": 4})]));
    let counts = world.gateway.counts("term-deposit").unwrap();
    let champion = counts.iter().find(|c| c.variant == Variant::Champion).unwrap();
    assert_eq!((champion.requests, champion.rows, champion.model_version), (1, 2, Some(3)));
    assert_eq!(champion.violations, 1);
    assert!(champion.latency_us.p50 > 0 && champion.latency_us.p99 >= champion.latency_us.p50);
}
