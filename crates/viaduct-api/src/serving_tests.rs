//! Predictions over HTTP. A shadow endpoint answers without a model, so no runtime is needed here;
//! the gateway's own tests ask real ones.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::routing::{get, post};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use viaduct_base::{Digest, EndpointId, Secret, SystemClock, WorkspaceId};
use viaduct_decisions::{DecisionLog, Durability};
use viaduct_domain::contract::Contract;
use viaduct_gateway::{ConsumerSnapshot, EndpointSnapshot, Gateway, GatewayConfig, Mode, Snapshot};
use viaduct_infer::RuntimeConfig;

use crate::authenticate::ConsumerKey;
use crate::predict::Serving;
use crate::{oip, predict};

fn gateway(dir: &std::path::Path) -> Gateway {
    let (log, _) = DecisionLog::open(&dir.join("decisions"), Durability::Os).unwrap();
    let config = GatewayConfig::new(dir.join("gateway"), RuntimeConfig::new(dir));
    Gateway::open(config, log, Arc::new(SystemClock)).unwrap().0
}

fn endpoint() -> EndpointSnapshot {
    let contract = Contract::from_value(json!({
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": "leads", "version": "1.0.0",
        "status": "active", "name": "Leads",
        "schema": [{ "name": "leads", "logicalType": "object", "properties": [
            { "name": "age", "logicalType": "number", "physicalType": "float", "required": true },
            { "name": "job", "logicalType": "string", "physicalType": "text" },
        ] }],
    }))
    .unwrap();
    EndpointSnapshot {
        id: EndpointId::from_u128(7),
        name: "leads".parse().unwrap(),
        workspace: WorkspaceId::from_u128(1),
        project: None,
        department: None,
        stage: "concept".into(),
        mode: Mode::Shadow,
        model: None,
        contract: Some(contract),
        rule: None,
        entity_field: None,
        key_fields: vec![],
        business_as_usual: None,
        consumers: vec![ConsumerSnapshot {
            id: viaduct_base::ConsumerId::from_u128(3),
            name: "app".into(),
            key_hash: Digest::of(b"vdk_good"),
            department: None,
            rate_per_second: None,
            burst: None,
            quota_per_day: None,
        }],
        ..EndpointSnapshot::bare(
            EndpointId::from_u128(7),
            "leads".parse().unwrap(),
            WorkspaceId::from_u128(1),
        )
    }
}

struct Server {
    _dir: tempfile::TempDir,
    gateway: Gateway,
    router: Router,
}

fn server() -> Server {
    let dir = tempfile::tempdir().unwrap();
    let gateway = gateway(dir.path());
    let snapshot = Snapshot { workspace_salt: "s".into(), endpoints: vec![endpoint()] };
    gateway.publish(snapshot).unwrap();
    let router = Router::new()
        .route("/api/v1/endpoints/{endpoint}/predict", post(predict::predict))
        .route("/v2", get(oip::server))
        .route("/v2/health/ready", get(oip::ready))
        .route("/v2/models/{name}", get(oip::model))
        .route("/v2/models/{name}/ready", get(oip::model_ready))
        .route("/v2/models/{name}/infer", post(oip::infer))
        .route("/v2/models/{name}/versions/{version}", get(oip::version))
        .with_state(Serving(gateway.clone()));
    Server { _dir: dir, gateway, router }
}

impl Server {
    async fn ask(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.ask(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask(post_request(path, &body)).await
    }
}

fn post_request(path: &str, body: &Value) -> Request<Body> {
    Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

const PREDICT: &str = "/api/v1/endpoints/leads/predict";

#[tokio::test]
async fn rows_become_decisions_that_can_be_found() {
    let server = server();
    let body = json!({
        "rows": [{"age": 41, "lead": 7, "old": "call"}], "keys": ["lead"], "incumbent": "old",
        "replayed": true,
    });
    let (status, answer) = server.post(PREDICT, body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let decision = &answer["decisions"][0];
    assert_eq!((&decision["variant"], &decision["action"]), (&json!("shadow"), &json!("call")));
    assert_eq!(decision["output"], Value::Null);
    let id = decision["decision_id"].as_str().unwrap().parse().unwrap();
    let row = server.gateway.log().get(id).unwrap().unwrap();
    assert!(row.replayed);
    assert_eq!(row.keys["lead"], "7");
}

#[tokio::test]
async fn refusals_are_problems_with_pointers() {
    let server = server();
    let (status, problem) = server
        .post(PREDICT, json!({"rows": [{"age": "x", "old": "call"}], "incumbent": "old"}))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(problem["type"], "/problems/contract-violation");
    assert_eq!(problem["errors"][0]["pointer"], "/rows/0/age");
    let (status, problem) = server.post(PREDICT, json!({"rows": [{"age": 1}]})).await;
    assert_eq!(
        (status, &problem["type"]),
        (StatusCode::BAD_REQUEST, &json!("/problems/incumbent-missing"))
    );
    let (status, problem) = server.post(PREDICT, json!({"row": []})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(problem["detail"].as_str().unwrap().contains("unknown field `row`"), "{problem}");
    let (status, _) = server.post("/api/v1/endpoints/x/predict", json!({"rows": [{}]})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_consumers_key_is_held_against_the_endpoint() {
    let server = server();
    let body = json!({"rows": [{"age": 41, "old": "call"}], "incumbent": "old"});
    for (key, wanted) in [("vdk_good", StatusCode::OK), ("vdk_bad", StatusCode::UNAUTHORIZED)] {
        let mut request = post_request(PREDICT, &body);
        request.extensions_mut().insert(ConsumerKey(Secret::new(key.to_owned())));
        assert_eq!(server.ask(request).await.0, wanted);
    }
}

#[tokio::test]
async fn the_protocol_describes_and_answers() {
    let server = server();
    assert_eq!(server.get("/v2").await.1["name"], "viaduct");
    assert_eq!(server.get("/v2/health/ready").await, (StatusCode::OK, json!({"ready": true})));
    let (_, model) = server.get("/v2/models/leads").await;
    assert_eq!(model["inputs"][0], json!({"name": "age", "datatype": "FP64", "shape": [-1, 1]}));
    let (status, _) = server.get("/v2/models/leads/ready").await;
    assert_eq!(status, StatusCode::OK);
    let (status, error) = server.get("/v2/models/leads/versions/4").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(error["error"].as_str().unwrap().contains("serves version none"), "{error}");

    let body = json!({
        "id": "mine",
        "parameters": {"entity": "c-1", "keys": "{\"lead\": 8}"},
        "inputs": [
            {"name": "age", "shape": [2, 1], "datatype": "FP32", "data": [[41.5], [null]]},
            {"name": "viaduct.incumbent", "shape": [2], "datatype": "BYTES", "data": ["call", "skip"]},
        ],
        "outputs": [{"name": "action"}, {"name": "viaduct.decision_id"}],
    });
    // `age` is required but not declared never to be null twice: null is refused by the contract.
    let (status, error) = server.post("/v2/models/leads/infer", body.clone()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{error}");
    assert!(error["error"].as_str().unwrap().contains("(at /rows/1/age)"), "{error}");
    let mut fine = body;
    fine["inputs"][0]["data"] = json!([41.5, 42]);
    let (status, answer) = server.post("/v2/models/leads/infer", fine).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!((&answer["id"], &answer["model_name"]), (&json!("mine"), &json!("leads")));
    assert_eq!(answer["outputs"][0]["data"], json!(["call", "skip"]));
    let id = answer["outputs"][1]["data"][1].as_str().unwrap().parse().unwrap();
    let row = server.gateway.log().get(id).unwrap().unwrap();
    assert_eq!((row.keys["lead"].as_str(), row.action.as_str()), ("8", "skip"));
    assert!(!row.entity_hash.is_empty());
}

#[tokio::test]
async fn malformed_tensors_are_named() {
    let server = server();
    let tensor = |extra: Value| {
        let mut input = json!({"name": "age", "shape": [1], "datatype": "FP32", "data": [1.0]});
        input.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({ "inputs": [input] })
    };
    for (extra, said) in [
        (json!({"data": ["x"]}), "cell 0 is not a number"),
        (json!({"datatype": "FP8"}), "`FP8` is no datatype"),
        (json!({"shape": [3]}), "has shape [3] and 1 cells"),
        (json!({"shape": [-1]}), "has shape [-1]"),
        (json!({"shape": [9223372036854775807i64, 4]}), "not that many"),
        (json!({"shape": [1_000_000_000_000i64, 0], "data": []}), "and 0 cells"),
        (json!({"shape": [0], "data": []}), "`rows` is empty"),
        (json!({"shape": [1, 1, 1]}), "a column is [n] or [n, 1]"),
        (json!({"data": null}), "`data` is missing"),
        (json!({"parameters": {"binary_data_size": 4}}), "0 are left behind the JSON"),
        (json!({"datatype": "INT8", "data": [300]}), "out of the range of INT8"),
    ] {
        let (status, error) = server.post("/v2/models/leads/infer", tensor(extra)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{error}");
        assert!(error["error"].as_str().unwrap().contains(said), "{said}: {error}");
    }
    let (status, _) = server.post("/v2/models/leads/infer", json!({"inputs": []})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = server.post("/v2/models/leads/infer", json!([])).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}
