//! A gateway in a directory of its own.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use viaduct_base::{EndpointId, Error, Refusal, SimulatedClock, TrialId, WorkspaceId};
use viaduct_decisions::{DecisionLog, DecisionRow, Durability};
use viaduct_domain::contract::Contract;
use viaduct_domain::manifest::BusinessAsUsual;
use viaduct_gateway::{
    Answer, CallKey, EndpointSnapshot, Engine, Gateway, GatewayConfig, Mode, PredictCall,
    ServedModel, Snapshot,
};

use crate::python;

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) gateway: Gateway,
    pub(crate) clock: Arc<SimulatedClock>,
}

pub(crate) fn open(dir: &Path, clock: &Arc<SimulatedClock>) -> Gateway {
    let (log, _) = DecisionLog::open(&dir.join("decisions"), Durability::Os).unwrap();
    let config = GatewayConfig::new(dir.join("gateway"), python::runtime());
    let (gateway, problems) = Gateway::open(config, log, clock.clone()).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    gateway
}

impl World {
    pub(crate) fn new(endpoint: EndpointSnapshot) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(SimulatedClock::new("2026-03-01T08:00:00Z".parse().unwrap()));
        let gateway = open(dir.path(), &clock);
        let world = Self { dir, gateway, clock };
        world.publish(endpoint);
        world
    }

    pub(crate) fn publish(&self, endpoint: EndpointSnapshot) {
        let problems = self.gateway.publish(snapshot(endpoint)).unwrap();
        assert!(problems.is_empty(), "{problems:?}");
    }

    pub(crate) fn ask(&self, rows: Vec<Value>) -> Result<Vec<Answer>, Error> {
        self.gateway.predict(call(rows))
    }

    pub(crate) fn row(&self, answer: &Answer) -> DecisionRow {
        self.gateway.log().get(answer.decision_id).unwrap().unwrap()
    }
}

pub(crate) fn refusal(result: Result<Vec<Answer>, Error>) -> Refusal {
    match result {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

pub(crate) fn snapshot(endpoint: EndpointSnapshot) -> Snapshot {
    Snapshot { workspace_salt: "salt".into(), endpoints: vec![endpoint] }
}

pub(crate) fn call(rows: Vec<Value>) -> PredictCall {
    let object = |row: Value| match row {
        Value::Object(row) => row,
        other => panic!("not an object: {other}"),
    };
    PredictCall {
        endpoint: "term-deposit".into(),
        key: CallKey::Absent,
        rows: rows.into_iter().map(object).collect::<Vec<Map<String, Value>>>(),
        entity: None,
        keys: None,
        incumbent: Some("desk".into()),
        replayed: false,
    }
}

pub(crate) fn lead(number: u64) -> Value {
    let job = ["admin.", "retired", "student"][number as usize % 3];
    json!({
        "age": 20 + number % 60, "job": job, "customer_id": format!("c-{number}"),
        "lead_id": number, "phone": "555-1234",
    })
}

fn contract() -> Contract {
    let field = |name: &str, logical: &str, physical: &str| {
        json!({
            "name": name, "logicalType": logical, "physicalType": physical, "required": true,
            "classification": "confidential",
            "customProperties": [{"property": "viaduct.available", "value": "at_decision"}],
        })
    };
    let mut age = field("age", "number", "float");
    age["logicalTypeOptions"] = json!({"minimum": 17, "maximum": 100});
    let after = json!({
        "name": "duration", "logicalType": "number", "physicalType": "float",
        "customProperties": [{"property": "viaduct.available", "value": "after_decision"}],
    });
    Contract::from_value(json!({
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": "leads", "version": "1.0.0",
        "status": "active", "name": "Leads",
        "schema": [{
            "name": "leads", "logicalType": "object",
            "properties": [after, age, field("job", "string", "text")],
        }],
    }))
    .unwrap()
}

pub(crate) fn model() -> ServedModel {
    ServedModel {
        name: "term-deposit".into(),
        version: 3,
        onnx: python::model("model.onnx"),
        features: None,
        classes: None,
        engine: Engine::Onnx,
    }
}

pub(crate) fn endpoint(mode: Mode) -> EndpointSnapshot {
    let rule = json!({
        "name": "call-list", "when": {"field": "probability", "op": ">=", "threshold": 0.5},
        "action": "call", "otherwise": "skip", "mode": "auto",
    });
    EndpointSnapshot {
        id: EndpointId::from_u128(7),
        name: "term-deposit".parse().unwrap(),
        workspace: WorkspaceId::from_u128(1),
        project: None,
        department: Some("call-centre".into()),
        stage: "pilot".into(),
        mode,
        model: Some(model()),
        contract: Some(contract()),
        rule: Some(serde_json::from_value(rule).unwrap()),
        entity_field: Some("customer_id".into()),
        key_fields: vec!["lead_id".into()],
        business_as_usual: Some(BusinessAsUsual { action: "call".into(), output: None }),
        consumers: vec![],
        open: true,
        ..EndpointSnapshot::bare(
            EndpointId::from_u128(7),
            "term-deposit".parse().unwrap(),
            WorkspaceId::from_u128(1),
        )
    }
}

pub(crate) fn trial(holdout_bp: u16) -> Mode {
    Mode::Trial {
        trial: TrialId::from_u128(11),
        salt: "s".into(),
        holdout_bp,
        score_holdout: false,
    }
}
