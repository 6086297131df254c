//! MLflow's wire over the real routes, a real SQLite database and real files.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::{self, Next};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use viaduct_app::{App, Parts, Settings};
use viaduct_auth::Params;
use viaduct_base::SystemClock;
use viaduct_blob::Blobs;
use viaduct_decisions::{DecisionLog, Durability};
use viaduct_domain::permission::{Caller, Door, Who};
use viaduct_domain::policy::Policy;
use viaduct_gateway::{Gateway, GatewayConfig};
use viaduct_infer::RuntimeConfig;
use viaduct_store::{DatabaseConfig, DatabaseUrl, Scope, Store, audit, job};

pub(super) struct Server {
    dir: tempfile::TempDir,
    pub(super) app: App,
    router: Router,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: axum::http::HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{:?}", self.body))
    }

    /// MLflow's error code.
    pub(super) fn code(&self) -> String {
        self.json()["error_code"].as_str().unwrap_or_default().to_owned()
    }
}

pub(super) async fn server() -> Server {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name);
    let url = DatabaseUrl::sqlite_in(dir.path());
    let store = Store::open(&DatabaseConfig { url }, dir.path()).unwrap();
    let clock = Arc::new(SystemClock);
    let (decisions, _) = DecisionLog::open(&place("decisions"), Durability::Os).unwrap();
    let runtime = RuntimeConfig::new(dir.path());
    let config = GatewayConfig::new(place("gateway"), runtime.clone());
    let (gateway, _) = Gateway::open(config, decisions.clone(), clock.clone()).unwrap();
    let settings = Settings {
        is_loopback: true,
        password_params: Params::CHEAP_FOR_TESTS,
        reproduce: None,
        sidecars: None,
        remotes: Vec::new(),
        data_dir: dir.path().to_owned(),
    };
    let parts = Parts {
        store,
        blobs: Blobs::open(&place("blobs")).unwrap(),
        decisions,
        gateway,
        runtime,
        clock,
        simulated: None,
        policy: Policy::shipped().unwrap(),
        settings,
    };
    let app = App::open(parts).await.unwrap();
    let caller = Caller { who: Who::Anonymous, workspace: app.workspace(), door: Door::Open };
    let (router, _) = super::routes().finish();
    let named = move |mut request: Request, next: Next| {
        request.extensions_mut().insert(caller.clone());
        next.run(request)
    };
    let router = router.layer(middleware::from_fn(named)).with_state(app.clone());
    Server { dir, app, router }
}

const API: &str = "/api/2.0/mlflow";
const FILES: &str = "/api/2.0/mlflow-artifacts/artifacts";

impl Server {
    pub(super) async fn ask(&self, request: Request) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.into_body().collect().await.unwrap().to_bytes().to_vec();
        Answer { status, headers, body }
    }

    pub(super) async fn send(&self, method: Method, path: &str, body: Value) -> Answer {
        let path = if path.starts_with("/api/") { path.to_owned() } else { format!("{API}{path}") };
        let request = axum::http::Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "127.0.0.1:7878")
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8");
        self.ask(request.body(Body::from(body.to_string())).unwrap()).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, body).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        let path = if path.starts_with("/api/") { path.to_owned() } else { format!("{API}{path}") };
        self.ask(axum::http::Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn put(&self, path: &str, body: impl Into<Body>) -> Answer {
        let request = axum::http::Request::put(format!("{FILES}/{path}"));
        self.ask(request.body(body.into()).unwrap()).await
    }

    pub(super) async fn run(&self) -> String {
        let made = self.post("/runs/create", json!({ "experiment_id": "0" })).await.json();
        made["run"]["info"]["run_id"].as_str().unwrap().to_owned()
    }

    pub(super) async fn model(&self, name: &str, versions: usize) {
        self.post("/registered-models/create", json!({ "name": name })).await;
        for _ in 0..versions {
            let source = format!("mlflow-artifacts:/0/x/artifacts/{name}");
            let body = json!({ "name": name, "source": source });
            let made = self.post("/model-versions/create", body).await;
            assert_eq!(made.status, StatusCode::OK, "{:?}", made.json());
        }
    }

    /// Kinds of jobs that wait, and actions in the audit trail, latest first.
    async fn traces(&self) -> (Vec<String>, Vec<String>) {
        let scope = Scope::of(self.app.workspace());
        self.app
            .store()
            .read("traces", move |tx| -> Result<_, viaduct_store::StoreError> {
                let jobs = job::list(tx, 100)?.into_iter().map(|row| row.kind).collect();
                let deeds = audit::list(tx, &scope, None, 100)?;
                Ok((jobs, deeds.into_iter().map(|entry| entry.row.action).collect()))
            })
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn numbers_on_the_wire() {
    let server = server().await;
    let run = server.run().await;
    let point = |key: &str, value: Value| {
        json!({ "run_id": run, "key": key, "value": value, "timestamp": "1700000000123",
                "step": "3", "an_unknown_field": {} })
    };
    for (key, value) in [("a", json!(0.5)), ("n", json!("NaN")), ("i", json!("Infinity"))] {
        let answer = server.post("/runs/log-metric", point(key, value)).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({})));
    }
    let seen = server.get(&format!("/runs/get?run_id={run}")).await.json();
    assert_eq!(seen["run"]["info"]["run_uuid"], json!(run));
    assert_eq!(
        seen["run"]["data"]["metrics"],
        json!([
            { "key": "a", "value": 0.5, "timestamp": 1_700_000_000_123_i64, "step": 3 },
            { "key": "i", "value": f64::MAX, "timestamp": 1_700_000_000_123_i64, "step": 3 },
            { "key": "n", "value": "NaN", "timestamp": 1_700_000_000_123_i64, "step": 3 },
        ])
    );
    assert_eq!(seen["run"]["info"].get("end_time"), None, "what is not set is left out");
    let text = server.get(&format!("/runs/get?run_uuid={run}")).await;
    assert!(String::from_utf8(text.body).unwrap().starts_with("{\n  \"run\": {\n"));
    let none = server.post("/runs/search", json!({ "experiment_ids": ["77"] })).await;
    assert_eq!(none.json(), json!({}));
}

#[tokio::test]
async fn errors_on_the_wire() {
    let server = server().await;
    for (answer, status, code, said) in [
        (
            server.post("/experiments/create", json!({})).await,
            400,
            "INVALID_PARAMETER_VALUE",
            "Missing value for required parameter 'name'.",
        ),
        (
            server.post("/experiments/create", json!({"name": 123})).await,
            400,
            "INVALID_PARAMETER_VALUE",
            "Invalid value 123 for parameter 'name' supplied",
        ),
        (
            server.post("/experiments/create", json!({"name": "Default"})).await,
            400,
            "RESOURCE_ALREADY_EXISTS",
            "already exists",
        ),
        (
            server.post("/experiments/create", json!({"name": "a".repeat(501)})).await,
            400,
            "INVALID_PARAMETER_VALUE",
            "exceeds the maximum length",
        ),
        (server.get("/runs/get?run_id=nope").await, 404, "RESOURCE_DOES_NOT_EXIST", "nope"),
        (server.get("/runs/get").await, 400, "INVALID_PARAMETER_VALUE", "run_id"),
        (server.post("/runs/create", json!([1])).await, 400, "INVALID_PARAMETER_VALUE", "object"),
        (
            server.get("/registered-models/get?name=x").await,
            404,
            "RESOURCE_DOES_NOT_EXIST",
            "Registered Model with name=x not found",
        ),
        (
            server.get("/experiments/get?experiment_id=9").await,
            404,
            "RESOURCE_DOES_NOT_EXIST",
            "No Experiment with id=9 exists",
        ),
    ] {
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{said}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(said), "{message}");
    }
    let unknown = super::unknown_endpoint("/api/3.0/mlflow/traces");
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn only_json_is_read() {
    let server = server().await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "<script>alert(1)</script>", ""]
    {
        let mut request = axum::http::Request::post(format!("{API}/experiments/create"));
        if !kind.is_empty() {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let answer = server.ask(request.body(Body::from(r#"{"name":"x"}"#)).unwrap()).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::BAD_REQUEST, "BAD_REQUEST")
        );
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
        assert!(!String::from_utf8(answer.body).unwrap().contains("<script>"), "{kind}");
    }
    assert_eq!(server.get("/experiments/get-by-name?experiment_name=x").await.status, 404);
}

#[tokio::test]
async fn experiments_by_get_and_by_post() {
    let server = server().await;
    for name in ["b", "a"] {
        let made = server.post("/experiments/create", json!({ "name": name })).await;
        assert_eq!(made.status, StatusCode::OK);
    }
    let names = |answer: &Answer| -> Vec<String> {
        let all = answer.json()["experiments"].as_array().unwrap().clone();
        all.iter().map(|e| e["name"].as_str().unwrap().to_owned()).collect()
    };
    let posted = server.post("/experiments/search", json!({"order_by": ["name ASC"]})).await;
    assert_eq!(names(&posted), ["Default", "a", "b"]);
    let got = server.get("/experiments/search?max_results=2&order_by=name%20ASC").await;
    assert_eq!(names(&got), ["Default", "a"]);
    let token = got.json()["next_page_token"].as_str().unwrap().to_owned();
    let rest = format!("/experiments/search?order_by=name%20ASC&page_token={token}&view_type=ALL");
    let got = server.get(&rest).await;
    assert_eq!(names(&got), ["b"]);
    let first = server.get("/api/2.0/mlflow/experiments/get?experiment_id=1").await.json();
    assert_eq!(first["experiment"]["artifact_location"], "mlflow-artifacts:/1");
    for bad in ["view_type=SOME", "max_results=0", "page_token=x", "filter=name%20IN%20('a')"] {
        let answer = server.get(&format!("/experiments/search?{bad}")).await;
        assert_eq!(answer.code(), "INVALID_PARAMETER_VALUE", "{bad}");
    }
}

#[tokio::test]
async fn histories_come_in_pages() {
    let server = server().await;
    let run = server.run().await;
    let metrics: Vec<Value> =
        (0..7).map(|i| json!({ "key": "m", "value": i, "timestamp": i, "step": i })).collect();
    let body = json!({ "run_id": run, "metrics": metrics });
    assert_eq!(server.post("/runs/log-batch", body).await.status, StatusCode::OK);
    let path = format!("/metrics/get-history?run_id={run}&metric_key=m&max_results=4");
    let first = server.get(&path).await.json();
    assert_eq!(first["metrics"].as_array().unwrap().len(), 4);
    let token = first["next_page_token"].as_str().unwrap();
    let rest = server.get(&format!("{path}&page_token={token}")).await.json();
    assert_eq!(rest["metrics"].as_array().unwrap().len(), 3);
    assert_eq!(rest.get("next_page_token"), None);
    let over = json!({ "run_id": run, "tags": [{ "key": "k", "value": "v".repeat(1_000_001) }] });
    let answer = server.post("/runs/log-batch", over).await;
    assert!(answer.json()["message"].as_str().unwrap().contains("at most 1000000 bytes"));
}

#[tokio::test]
async fn files_go_up_and_down() {
    let server = server().await;
    let text = "hällo".repeat(200_000);
    let answer = server.put("1/r/artifacts/a%20b.txt", text.clone()).await;
    assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0));
    let down = server.get(&format!("{FILES}/1/r/artifacts/a%20b.txt")).await;
    assert_eq!(down.body, text.as_bytes());
    assert_eq!(down.headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(down.headers["x-content-type-options"], "nosniff");
    assert_eq!(down.headers[header::CONTENT_SECURITY_POLICY], "default-src 'none'; sandbox");
    let disposition = down.headers[header::CONTENT_DISPOSITION].to_str().unwrap();
    assert!(disposition.starts_with("attachment; filename=\"a b.txt\""), "{disposition}");
    let listed = server.get(&format!("{FILES}?path=1/r/artifacts")).await.json();
    let file = json!({ "path": "a b.txt", "is_dir": false, "file_size": text.len() });
    assert_eq!(listed, json!({ "files": [file] }));
    let absent = server.get(&format!("{FILES}/1/r/artifacts/none")).await;
    assert_eq!((absent.status.as_u16(), absent.code().as_str()), (404, "RESOURCE_DOES_NOT_EXIST"));
    let folder = server.put("1/r/artifacts/a%20b.txt/x", "y").await;
    assert_eq!(folder.code(), "INVALID_PARAMETER_VALUE");
    let gone = server.send(Method::DELETE, &format!("{FILES}/1/r"), json!({})).await;
    assert_eq!(gone.status, StatusCode::OK);
    assert_eq!(server.get(&format!("{FILES}?path=1/r/artifacts")).await.json(), json!({}));
}

#[tokio::test]
async fn an_interrupted_upload_leaves_nothing() {
    let server = server().await;
    server.put("1/r/kept.bin", "before").await;
    let pieces = futures::stream::iter([
        Ok(bytes::Bytes::from_static(b"half of it")),
        Err(std::io::Error::other("the client went away")),
    ]);
    let answer = server.put("1/r/kept.bin", Body::from_stream(pieces)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let kept = server.get(&format!("{FILES}/1/r/kept.bin")).await;
    assert_eq!(kept.body, b"before");
    // The writer thread clears its file after the answer.
    let uploads = server.dir.path().join("blobs/.uploads");
    for _ in 0..200 {
        if std::fs::read_dir(&uploads).unwrap().next().is_none() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("an upload was left behind");
}

#[tokio::test]
async fn no_path_leads_out() {
    let server = server().await;
    std::fs::write(server.dir.path().join("secret.txt"), "hidden").unwrap();
    std::os::unix::fs::symlink(
        server.dir.path().join("secret.txt"),
        server.dir.path().join("blobs/link"),
    )
    .unwrap();
    for path in [
        "..%2fsecret.txt",
        "%2e%2e/secret.txt",
        "../secret.txt",
        "a/../../secret.txt",
        "..%252fsecret.txt",
        "%252e%252e%252fsecret.txt",
        "..%5csecret.txt",
        "..%255csecret.txt",
        "a;../../../secret.txt",
        "..;/secret.txt",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "C:%5cwindows",
        "C:/windows",
        "a%00b",
        ".uploads/x",
        "link",
    ] {
        let read = server.get(&format!("{FILES}/{path}")).await;
        assert!(matches!(read.status.as_u16(), 400 | 404), "{path}: {}", read.status);
        assert!(!read.body.windows(6).any(|w| w == b"hidden"), "{path}");
        let listed = server.get(&format!("{FILES}?path={path}")).await;
        assert!(listed.status == 400 || listed.json() == json!({}), "{path}");
        if path == "link" {
            continue;
        }
        let written = server.put(path, "x").await;
        assert!(matches!(written.status.as_u16(), 400 | 404), "{path}: {}", written.status);
        let deleted = server.send(Method::DELETE, &format!("{FILES}/{path}"), json!({})).await;
        assert!(matches!(deleted.status.as_u16(), 400 | 404), "{path}: {}", deleted.status);
    }
    assert_eq!(std::fs::read(server.dir.path().join("secret.txt")).unwrap(), b"hidden");
    let run = server.run().await;
    for path in ["..%2f..%2f..%2fsecret.txt", "%252e%252e", "%2fetc"] {
        let listed = server.get(&format!("/artifacts/list?run_id={run}&path={path}")).await;
        assert_eq!(listed.code(), "INVALID_PARAMETER_VALUE", "{path}");
    }
}

#[tokio::test]
async fn sources_and_locations_are_of_this_server() {
    let server = server().await;
    server.post("/registered-models/create", json!({ "name": "m" })).await;
    for source in [
        "/etc",
        "file:///etc",
        "file:etc",
        "http:///#/../../../../etc/",
        "http://169.254.169.254/latest",
        "https://127.0.0.1:7878/api/2.0/mlflow-artifacts/artifacts/../x",
        "http://other:7878/api/2.0/mlflow-artifacts/artifacts/x",
        "mlflow-artifacts:/../../etc",
        "mlflow-artifacts:/1/%2e%2e/etc",
        "mlflow-artifacts:/1#/../etc",
        "s3://bucket/../key",
    ] {
        for tags in [json!([]), json!([{"key": "mlflow.prompt.is_prompt", "value": "true"}])] {
            let body = json!({ "name": "m", "source": source, "tags": tags });
            let answer = server.post("/model-versions/create", body).await;
            assert_eq!(answer.code(), "INVALID_PARAMETER_VALUE", "{source}");
        }
        let body = json!({ "name": format!("e {source}"), "artifact_location": source });
        let answer = server.post("/experiments/create", body).await;
        assert_eq!(answer.code(), "INVALID_PARAMETER_VALUE", "{source}");
    }
    for (source, code) in [
        ("runs:/nope/model", "RESOURCE_DOES_NOT_EXIST"),
        ("models:/m-nope", "RESOURCE_DOES_NOT_EXIST"),
        ("models:/m/7", "RESOURCE_DOES_NOT_EXIST"),
        ("models:/m@none", "INVALID_PARAMETER_VALUE"),
    ] {
        let body = json!({ "name": "m", "source": source });
        assert_eq!(server.post("/model-versions/create", body).await.code(), code, "{source}");
    }
    let own = "http://127.0.0.1:7878/api/2.0/mlflow-artifacts/artifacts/1/a%20b";
    let made = server.post("/model-versions/create", json!({ "name": "m", "source": own })).await;
    assert_eq!(made.json()["model_version"]["version"], "1");
    let uri = server.get("/model-versions/get-download-uri?name=m&version=1").await.json();
    assert_eq!(uri, json!({ "artifact_uri": "mlflow-artifacts:/1/a b" }));
    let again = json!({ "name": "m", "source": "models:/m/1" });
    server.post("/model-versions/create", again).await;
    let uri = server.get("/model-versions/get-download-uri?name=m&version=2").await.json();
    assert_eq!(uri, json!({ "artifact_uri": "mlflow-artifacts:/1/a b" }));
}

#[tokio::test]
async fn the_registry_leaves_traces() {
    let server = server().await;
    server.model("m", 2).await;
    let alias = |version: &str| json!({ "name": "m", "alias": "champion", "version": version });
    for version in ["1", "2", "2"] {
        let set = server.post("/registered-models/alias", alias(version)).await;
        assert_eq!((set.status, set.json()), (StatusCode::OK, json!({})));
    }
    let seen = server.get("/registered-models/alias?name=m&alias=champion").await.json();
    assert_eq!(seen["model_version"]["version"], "2");
    assert_eq!(seen["model_version"]["aliases"], json!(["champion"]));
    let model = server.get("/registered-models/get?name=m").await.json();
    assert_eq!(
        model["registered_model"]["aliases"],
        json!([{ "alias": "champion", "version": "2" }])
    );
    let delete = |path: &'static str, body: Value| server.send(Method::DELETE, path, body);
    let body = json!({ "name": "m", "alias": "champion" });
    assert_eq!(delete("/registered-models/alias", body).await.status, StatusCode::OK);
    let body = json!({ "name": "m", "version": "2" });
    assert_eq!(delete("/model-versions/delete", body).await.status, StatusCode::OK);
    assert_eq!(delete("/registered-models/delete", json!({ "name": "m" })).await.status, 200);
    let (jobs, deeds) = server.traces().await;
    assert_eq!(jobs, ["bind_models"], "waiting ones are one");
    assert_eq!(
        deeds,
        [
            "registered_model.deleted",
            "model_version.deleted",
            "model_alias.deleted",
            "model_alias.set",
            "model_alias.set",
            "model_version.created",
            "model_version.created",
            "registered_model.created",
        ]
    );
}

#[tokio::test]
async fn what_the_server_says_of_itself() {
    let server = server().await;
    let plain = |path: &'static str| {
        let request = axum::http::Request::get(path).body(Body::empty()).unwrap();
        server.ask(request)
    };
    assert_eq!(plain("/health").await.body, b"OK");
    assert_eq!(plain("/version").await.body, b"3.17.2");
    for prefix in ["/api", "/ajax-api"] {
        let info = format!("{prefix}/3.0/mlflow/server-info");
        let request = axum::http::Request::get(info).body(Body::empty()).unwrap();
        let info = server.ask(request).await.json();
        assert_eq!(info["multipart_uploads_enabled"], false);
        assert_eq!(info["workspaces_enabled"], false);
        let path = format!("{prefix}/2.0/mlflow/experiments/get?experiment_id=0");
        let request = axum::http::Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(server.ask(request).await.json()["experiment"]["name"], "Default");
    }
}
