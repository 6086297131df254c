//! Many endpoints, many versions, little memory.

use std::sync::Arc;
use std::time::Instant;

use viaduct_base::{EndpointId, SimulatedClock};
use viaduct_decisions::{DecisionLog, Durability};
use viaduct_gateway::{
    EndpointSnapshot, Gateway, GatewayConfig, Mode, PredictCall, ServedModel, Snapshot,
};

use crate::python;
use crate::world::{call, endpoint, lead, model};

fn numbered(number: i64) -> EndpointSnapshot {
    // Labels make each a model of its own.
    let classes = Some(vec![0.into(), number.into()]);
    EndpointSnapshot {
        id: EndpointId::from_u128(100 + number as u128),
        name: format!("leads-{number}").parse().unwrap(),
        model: Some(ServedModel { version: number, classes, ..model() }),
        ..endpoint(Mode::Unowned)
    }
}

fn loads(gateway: &Gateway) -> (u64, u64) {
    let mut text = String::new();
    gateway.write_metrics(&mut text);
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().parse().ok()).unwrap()
    };
    (value("viaduct_model_cache_loads_total "), value("viaduct_model_cache_evictions_total "))
}

#[test]
fn a_thousand_endpoints_come_into_service_without_a_thousand_loads() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(SimulatedClock::new("2026-03-01T08:00:00Z".parse().unwrap()));
    let (log, _) = DecisionLog::open(&dir.path().join("decisions"), Durability::Os).unwrap();
    let config = GatewayConfig {
        model_bytes: 50_000_000,
        ..GatewayConfig::new(dir.path().join("gateway"), python::runtime())
    };
    let (gateway, _) = Gateway::open(config, log, clock).unwrap();
    let mut all: Vec<_> = (1..=1_000).map(numbered).collect();
    let publish = |all: &[EndpointSnapshot]| {
        let (workspace_salt, endpoints) = ("salt".into(), all.to_vec());
        assert!(gateway.publish(Snapshot { workspace_salt, endpoints }).unwrap().is_empty());
    };
    publish(&all);
    let begun = loads(&gateway).0;
    assert!(begun <= 16, "{begun} models were loaded");
    let ask = |number: i64| {
        let call = PredictCall { endpoint: format!("leads-{number}"), ..call(vec![lead(59)]) };
        gateway.predict(call).unwrap().remove(0)
    };
    assert_eq!(ask(700).model_version, Some(700), "loaded when it is asked");
    assert_eq!(loads(&gateway).0, begun + 1);
    // One change loads one version.
    all[499] = EndpointSnapshot { stage: "department".into(), ..numbered(500) };
    all[699].model = Some(ServedModel { version: 7, ..model() });
    publish(&all);
    assert_eq!(loads(&gateway).0, begun + 2);
    assert_eq!(ask(700).model_version, Some(7));
    // A stampede on a cold version loads it once.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(ask(900).model_version, Some(900)));
        }
    });
    assert_eq!(loads(&gateway).0, begun + 3);
    let start = Instant::now();
    for number in 100..400 {
        assert_eq!(ask(number).model_version, Some(number));
    }
    println!("300 cold endpoints asked in {:?}", start.elapsed());
}

#[test]
fn a_small_budget_lets_the_longest_unused_leave_and_every_endpoint_still_answers() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(SimulatedClock::new("2026-03-01T08:00:00Z".parse().unwrap()));
    let (log, _) = DecisionLog::open(&dir.path().join("decisions"), Durability::Os).unwrap();
    let config = GatewayConfig {
        model_bytes: 1,
        ..GatewayConfig::new(dir.path().join("gateway"), python::runtime())
    };
    let (gateway, _) = Gateway::open(config, log, clock).unwrap();
    let endpoints = (1..=5).map(numbered).collect();
    gateway.publish(Snapshot { workspace_salt: "salt".into(), endpoints }).unwrap();
    for _ in 0..2 {
        for number in 1..=5 {
            let call = PredictCall { endpoint: format!("leads-{number}"), ..call(vec![lead(59)]) };
            assert_eq!(gateway.predict(call).unwrap()[0].model_version, Some(number));
        }
    }
    let (loads, evictions) = loads(&gateway);
    assert!(loads >= 10 && evictions >= loads - 1, "{loads} loads, {evictions} evictions");
}
