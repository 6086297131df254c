use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use viaduct_base::{ClockKind, DecisionId, EndpointId, Timestamp, WorkspaceId};
use viaduct_decisions::{DecisionLog, DecisionRow, LogOptions, Record, RefusedRow, RowError};

pub(crate) const ALWAYS: (Timestamp, Timestamp) =
    (Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));

pub(crate) fn endpoint(number: u128) -> EndpointId {
    EndpointId::from_u128(number)
}

pub(crate) fn decision(endpoint: EndpointId, at: Timestamp, lead: &str) -> DecisionRow {
    DecisionRow {
        id: DecisionId::new(at),
        at,
        clock: ClockKind::System,
        replayed: false,
        workspace: WorkspaceId::from_u128(1),
        endpoint,
        endpoint_name: "term-deposit".into(),
        project: None,
        stage: "pilot".into(),
        department: None,
        consumer: None,
        entity_hash: "e0".into(),
        keys: BTreeMap::from([("lead_id".to_owned(), lead.to_owned())]),
        trial: None,
        variant: "champion".into(),
        bucket: Some(17),
        flags: vec![],
        model: "term-deposit".into(),
        model_version: 3,
        contract_hash: None,
        rule_hash: None,
        inputs: json!({"age": 41, "job": "admin.", "euribor3m": 4.857})
            .as_object()
            .unwrap()
            .clone(),
        output: Some(json!({"label": 1, "probability": 0.25})),
        answered: json!({"label": 1, "probability": 0.25}),
        incumbent: None,
        model_action: Some("call".into()),
        action: "call".into(),
        latency_us: 40,
    }
}

pub(crate) fn refused(endpoint: EndpointId, at: Timestamp) -> Record {
    let error = RowError { pointer: "/rows/0/age".into(), detail: "`age` is missing".into() };
    Record::Refused(RefusedRow {
        at,
        endpoint,
        consumer: None,
        replayed: false,
        errors: vec![error],
    })
}

pub(crate) fn small(segment_bytes: u64) -> LogOptions {
    let segment_age = Duration::from_secs(3_600);
    LogOptions { segment_bytes, segment_age, compress: false, ..LogOptions::default() }
}

pub(crate) fn ids(log: &DecisionLog) -> Vec<DecisionId> {
    log.scan(None, ALWAYS.0, ALWAYS.1)
        .filter_map(|row| match row.unwrap() {
            Record::Decision(row) => Some(row.id),
            Record::Refused(_) | Record::Beside(_) => None,
        })
        .collect()
}

pub(crate) fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .collect();
    found.sort();
    found
}
