//! The whole house over a temporary directory: application, router, simulated clock, worker.

#![expect(clippy::unwrap_used, reason = "a test world fails by panicking")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt as _;
use viaduct_api::guard::AllowedHosts;
use viaduct_api::{Grpc, Pages};
use viaduct_app::gate::{Ground, current_subjects};
use viaduct_app::project::load;
use viaduct_app::{App, Parts, Settings};
use viaduct_auth::Params;
use viaduct_base::{Error, ProjectId, SimulatedClock, Span, Timestamp};
use viaduct_blob::Blobs;
use viaduct_decisions::{DecisionLog, Durability};
use viaduct_domain::evaluate::CurrentSubject;
use viaduct_domain::fact::SubjectKind;
use viaduct_domain::policy::Policy;
use viaduct_gateway::{Gateway, GatewayConfig};
use viaduct_infer::RuntimeConfig;
use viaduct_store::{DatabaseConfig, Scope, Store};
use viaduct_work::Worker;

use crate::PgCluster;

/// The password of everybody in the world.
const PASSWORD: &str = "correct horse battery";
/// When the world begins: a Monday morning.
const BEGIN: &str = "2026-01-05T08:00:00Z";

/// A running house. It ends with its value.
pub struct World {
    /// The application behind the router.
    pub app: App,
    /// Its clock. Moved directly it starts no schedule; [`World::advance`] does.
    pub clock: Arc<SimulatedClock>,
    router: Router,
    tokens: Mutex<HashMap<String, String>>,
    stop: Option<watch::Sender<bool>>,
    dir: tempfile::TempDir,
}

/// What the router answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as JSON; null when it is none.
    pub body: Value,
    /// The body as text.
    pub text: String,
}

impl Answer {
    /// The answer, if it is a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{}: {}", self.status, self.text);
        self.body
    }

    /// The last word of the problem's type: `gate-shut`.
    pub fn problem(&self) -> &str {
        self.body["type"].as_str().and_then(|t| t.rsplit('/').next()).unwrap_or_default()
    }

    /// The problem's sentence.
    pub fn detail(&self) -> &str {
        self.body["detail"].as_str().unwrap_or_default()
    }
}

/// Somebody who calls.
pub struct As<'a> {
    world: &'a World,
    token: Option<String>,
}

impl World {
    /// On SQLite, with a worker.
    pub async fn new() -> Self {
        Self::open(None, true).await
    }

    /// On SQLite, and nobody works the queue: facts are those that the test records.
    pub async fn without_worker() -> Self {
        Self::open(None, false).await
    }

    /// On a throw-away PostgreSQL database, and nobody works the queue.
    pub async fn on_postgres() -> Self {
        let cluster = PgCluster::shared().unwrap_or_else(|missing| panic!("{missing}"));
        let url = cluster.database().unwrap_or_else(|missing| panic!("{missing}"));
        Self::open(Some(url), false).await
    }

    async fn open(url: Option<String>, works: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| dir.path().join(name);
        let database = match url {
            Some(url) => DatabaseConfig { url: url.parse().unwrap() },
            None => DatabaseConfig::sqlite_in(dir.path()),
        };
        // Why a thread of its own: PostgreSQL's client blocks, and must not inside the runtime.
        let folder = dir.path().to_owned();
        let opened = tokio::task::spawn_blocking(move || Store::open(&database, &folder));
        let store = opened.await.unwrap().unwrap();
        let clock = Arc::new(SimulatedClock::new(BEGIN.parse().unwrap()));
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
            clock: clock.clone(),
            simulated: Some(clock.clone()),
            policy: Policy::shipped().unwrap(),
            settings,
        };
        let app = App::open(parts).await.unwrap();
        app.bind_models().await.unwrap();
        let stop = works.then(|| {
            let (stop, stopped) = watch::channel(false);
            tokio::spawn(Worker::new(app.clone()).run(stopped));
            stop
        });
        let hosts = AllowedHosts::new("127.0.0.1", &[]);
        let grpc = Grpc::new(Router::new());
        let router = viaduct_api::router(app.clone(), hosts, Pages::default(), grpc);
        Self { app, clock, router, tokens: Mutex::default(), stop, dir }
    }

    /// The data directory.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.app.now()
    }

    /// Nobody.
    pub fn anonymous(&self) -> As<'_> {
        As { world: self, token: None }
    }

    /// A person that [`World::add_people`] added.
    #[track_caller]
    pub fn as_user(&self, name: &str) -> As<'_> {
        let tokens = self.tokens.lock().unwrap();
        let token = tokens.get(name).unwrap_or_else(|| panic!("`{name}` was not added"));
        As { world: self, token: Some(token.clone()) }
    }

    /// Adds people by the API, each with a token. The first one must be an admin.
    pub async fn add_people(&self, people: &[(&str, &str)]) {
        for (name, role) in people {
            let body = json!({ "name": name, "role": role, "password": PASSWORD });
            let admin = self.tokens.lock().unwrap().get("ada").cloned();
            let by = As { world: self, token: admin };
            by.post("/api/v1/users", body).await.ok();
            let basic = basic(name);
            let request = Request::post("/api/v1/tokens")
                .header(header::AUTHORIZATION, basic)
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(json!({ "name": "tests" }).to_string()))
                .unwrap();
            let made = self.ask(request).await.ok();
            let token = made["token"].as_str().unwrap().to_owned();
            self.tokens.lock().unwrap().insert((*name).to_owned(), token);
        }
    }

    /// Advances the clock through the API, so that schedules start and the queue becomes quiet.
    pub async fn advance(&self, by: &str) {
        let body = json!({ "by": by });
        let admin = self.tokens.lock().unwrap().get("ada").cloned();
        As { world: self, token: admin }.post("/api/v1/clock/advance", body).await.ok();
    }

    /// Moves the clock and nothing else.
    pub fn pass(&self, span: Span) {
        self.clock.advance(span);
    }

    /// Waits until the queue is quiet.
    pub async fn settle(&self) {
        self.app.wait_until_quiet().await.unwrap();
    }

    /// A project's id with the current thing of each kind, as gates see them.
    pub async fn subjects(
        &self,
        project: &str,
    ) -> (ProjectId, std::collections::BTreeMap<SubjectKind, CurrentSubject>) {
        let (scope, project) = (Scope::of(self.app.workspace()), project.to_owned());
        self.app
            .store()
            .read("subjects", move |tx| -> Result<_, Error> {
                let project = load(tx, &scope, &project)?;
                let ground = Ground::read(tx, &scope, &project)?;
                Ok((project.id, current_subjects(&project, &ground)))
            })
            .await
            .unwrap()
    }

    /// Sends a request as it is, with a Host if it has none.
    pub async fn ask(&self, mut request: Request<Body>) -> Answer {
        let host = "127.0.0.1:7878".parse().unwrap();
        request.headers_mut().entry(header::HOST).or_insert(host);
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status, headers, body, text: String::from_utf8_lossy(&bytes).into_owned() }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Why ignored: the worker may have ended with its runtime.
            let _ = stop.send(true);
        }
    }
}

fn basic(name: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{PASSWORD}")))
}

impl As<'_> {
    /// A request of this caller with any method and body.
    pub async fn send(&self, method: Method, path: &str, kind: &str, body: String) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if !kind.is_empty() {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        self.world.ask(request.body(Body::from(body)).unwrap()).await
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "", String::new()).await
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, "application/json", body.to_string()).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, "", String::new()).await
    }

    /// Applies a project file.
    pub async fn apply(&self, file: &str) -> Answer {
        self.send(Method::POST, "/api/v1/apply", "application/yaml", file.to_owned()).await
    }
}
