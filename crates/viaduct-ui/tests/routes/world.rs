//! An application over a temporary directory behind the pages' router, and a browser.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use http_body_util::BodyExt as _;
use scraper::{Html, Selector};
use serde_json::json;
use tower::ServiceExt as _;
use viaduct_app::gate::{Ground, current_subjects};
use viaduct_app::identity::{AddUser, Credential};
use viaduct_app::outcome::{Refers, Report};
use viaduct_app::project::load;
use viaduct_app::{App, Parts, Settings};
use viaduct_auth::Params;
use viaduct_base::{DecisionId, Error, Secret, SimulatedClock, Span};
use viaduct_blob::Blobs;
use viaduct_decisions::{DecisionLog, Durability};
use viaduct_domain::fact::{FactValue, Measurement, Shape, Subject, Window};
use viaduct_domain::kpi::OutcomeStatus;
use viaduct_domain::permission::{Caller, Role};
use viaduct_domain::policy::{Operator, Policy, Threshold};
use viaduct_domain::stage::GateName;
use viaduct_gateway::{CallKey, Gateway, GatewayConfig, PredictCall};
use viaduct_infer::RuntimeConfig;
use viaduct_store::binding::{self, BindingRow};
use viaduct_store::{DatabaseConfig, Scope, Store};

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const PROJECT: &str = include_str!("project.yaml");

pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) clock: Arc<SimulatedClock>,
    router: Router,
    _dir: tempfile::TempDir,
}

/// What a browser keeps between two pages.
#[derive(Default)]
pub(crate) struct Browser {
    cookies: Mutex<BTreeMap<String, String>>,
}

#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn cookies(&self) -> Vec<&str> {
        let all = self.headers.get_all(header::SET_COOKIE).iter();
        all.map(|value| value.to_str().unwrap()).collect()
    }

    #[track_caller]
    pub(crate) fn has(&self, text: &str) -> &Self {
        assert!(self.text.contains(text), "no `{text}` in {}: {}", self.status, self.text);
        self
    }

    /// The form secret on the page.
    #[track_caller]
    pub(crate) fn csrf(&self) -> String {
        let page = Html::parse_document(&self.text);
        let field = Selector::parse("input[name=csrf]").unwrap();
        let field = page.select(&field).next().unwrap_or_else(|| panic!("no form: {}", self.text));
        field.value().attr("value").unwrap().to_owned()
    }

    /// What `nothing_breaks_the_content_security_policy` asks of samples, of a page as it is sent.
    #[track_caller]
    pub(crate) fn keeps_the_policy(&self) {
        let page = Html::parse_document(&self.text);
        assert!(page.errors.is_empty(), "{:?}", page.errors);
        let policy = self.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        for element in page.select(&Selector::parse("*").unwrap()) {
            let value = element.value();
            assert!(value.name() != "style", "a style element");
            assert!(value.name() != "script" || value.attr("src").is_some(), "an inline script");
            for (attribute, _) in value.attrs() {
                let inline = attribute == "style" || attribute.starts_with("on");
                assert!(!inline, "{attribute} in {}", element.html());
            }
        }
        assert!(!self.text.contains("NaN"), "{}", self.text);
    }
}

async fn authenticate(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let cookies = request.headers().get(header::COOKIE).and_then(|v| v.to_str().ok());
    let session = cookies.into_iter().flat_map(|text| text.split("; "));
    let session = session.filter_map(|pair| pair.strip_prefix("viaduct_session=")).next();
    let credential = match session {
        Some(secret) => Credential::Session(Secret::new(secret.to_owned())),
        None => Credential::None,
    };
    let caller = app.authenticate(credential).await.unwrap();
    request.extensions_mut().insert(caller);
    next.run(request).await
}

impl World {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| dir.path().join(name);
        let store = Store::open(&DatabaseConfig::sqlite_in(dir.path()), dir.path()).unwrap();
        let clock = Arc::new(SimulatedClock::new("2026-01-05T08:00:00Z".parse().unwrap()));
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
        let (pages, _) = viaduct_ui::routes::router();
        let router = pages
            .layer(middleware::from_fn_with_state(app.clone(), authenticate))
            .with_state(app.clone());
        Self { app, clock, router, _dir: dir }
    }

    pub(crate) async fn anonymous(&self) -> Caller {
        self.app.authenticate(Credential::None).await.unwrap()
    }

    pub(crate) async fn add_people(&self, people: &[(&str, Role)]) {
        let mut by = self.anonymous().await;
        for (name, role) in people {
            let password = Secret::new(PASSWORD.to_owned());
            let new = AddUser { name: name.parse().unwrap(), role: *role, password };
            self.app.add_user(&by, new).await.unwrap();
            let password = Secret::new(PASSWORD.to_owned());
            let credential = Credential::Password { name: people[0].0.to_owned(), password };
            by = self.app.authenticate(credential).await.unwrap();
        }
    }

    pub(crate) async fn apply(&self, by: &Caller) {
        self.app.apply_project(by, PROJECT.to_owned(), false).await.unwrap();
        self.app.bind_models().await.unwrap();
    }

    pub(crate) async fn caller(&self, name: &str) -> Caller {
        let password = Secret::new(PASSWORD.to_owned());
        let credential = Credential::Password { name: name.to_owned(), password };
        self.app.authenticate(credential).await.unwrap()
    }

    /// Asks the shadow about so many leads, one of them twice over with a bad row.
    pub(crate) fn predict(&self, leads: usize) -> Vec<DecisionId> {
        let row = |n: usize| {
            let row = json!({ "customer_id": format!("c-{n}"), "lead_id": format!("lead-{n}"),
                "age": 30 + n, "job": "<b>technician</b>" });
            row.as_object().unwrap().clone()
        };
        let call = |rows| PredictCall {
            endpoint: "calls".into(),
            key: CallKey::Trusted,
            rows,
            entity: None,
            keys: None,
            incumbent: None,
            replayed: false,
        };
        let answers = self.app.gateway().predict(call((0..leads).map(row).collect())).unwrap();
        let mut bad = row(0);
        bad.insert("age".into(), json!("forty"));
        self.app.gateway().predict(call(vec![bad])).unwrap_err();
        answers.into_iter().map(|answer| answer.decision_id).collect()
    }

    pub(crate) async fn report(&self, by: &Caller, decision: DecisionId, value: f64) {
        let report = Report {
            about: Refers::Decision(decision),
            label: Some(json!(value > 0.0)),
            value: Some(value),
            occurred_at: None,
            observed_at: None,
            status: OutcomeStatus::Final,
            source: Some("call-centre".into()),
        };
        self.app.record_outcomes(by, None, vec![report]).await.unwrap();
    }

    /// Binds a version that no registry knows: what facts are about, enough for a gate.
    async fn bind(&self) {
        let scope = Scope::of(self.app.workspace());
        let endpoint = self.app.get_endpoint(&self.app.system(), "calls").await.unwrap().id;
        let now = self.app.now();
        let row = BindingRow {
            endpoint,
            model_name: "calls".into(),
            version: 3,
            bound_at: now,
            shadow_until: now + Span::days(28),
            pinned_by: None,
        };
        self.app.store().write("bind", move |tx| binding::put(tx, &scope, &row)).await.unwrap();
    }

    /// Records a fact that passes for every check of G1.
    pub(crate) async fn measure_well(&self) {
        self.bind().await;
        let scope = Scope::of(self.app.workspace());
        let read = |tx: &mut viaduct_store::Tx, scope| -> Result<_, Error> {
            let project = load(tx, &scope, "calls")?;
            let ground = Ground::read(tx, &scope, &project)?;
            Ok((project.id, current_subjects(&project, &ground)))
        };
        let store = self.app.store();
        let (id, subjects) = store.read("subjects", move |tx| read(tx, scope)).await.unwrap();
        let now = self.app.now();
        let gate = self.app.policy().gate(GateName::G1).unwrap();
        let checks = gate.criteria.iter().flat_map(|criterion| &criterion.checks);
        let made = checks.map(|check| {
            let kind = check.fact.subject_kind();
            let number = match check.threshold {
                Threshold::Number(number) => number,
                _ => 0.0,
            };
            let value = match check.op {
                Operator::IsTrue => FactValue::flag(true),
                Operator::Exists if check.fact.shape() == Shape::Flag => FactValue::flag(true),
                Operator::Exists => FactValue::scalar(0.01),
                Operator::AtLeast | Operator::MoreThan | Operator::CountAtLeast => {
                    FactValue::scalar(number + 0.01)
                }
                Operator::AtMost | Operator::LessThan => FactValue::scalar(number - 0.01),
                Operator::Equal | Operator::In => FactValue::scalar(number),
                Operator::Inside
                | Operator::LowerAbove
                | Operator::LowerAtLeast
                | Operator::UpperBelow => {
                    let level = check.level.unwrap_or(0.95);
                    FactValue::interval(number + 0.4, (number + 0.1, f64::INFINITY), level)
                }
            };
            let subject = Subject::new(kind, subjects[&kind].id.clone());
            let hash = viaduct_base::Digest::of(check.fact.as_str().as_bytes());
            let mut made = Measurement::new(check.fact, subject, value, hash)
                .n(check.min_n.unwrap_or(0).max(5_000));
            if let Some(window) = check.window {
                made = made.window(Window::ending(now, window));
            }
            if check.fact.unit() == viaduct_domain::fact::Unit::Money {
                made = made.currency("EUR");
            }
            made
        });
        let made = made.collect();
        self.app.record_measurements(id, made).await.unwrap();
    }

    pub(crate) async fn ask(&self, browser: &Browser, mut request: Request) -> Page {
        let cookies = {
            let cookies = browser.cookies.lock().unwrap();
            cookies.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("; ")
        };
        if !cookies.is_empty() {
            request.headers_mut().insert(header::COOKIE, cookies.parse().unwrap());
        }
        let host = "127.0.0.1:7878".parse().unwrap();
        request.headers_mut().entry(header::HOST).or_insert(host);
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let page = Page { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() };
        let mut kept = browser.cookies.lock().unwrap();
        for cookie in page.cookies() {
            let (key, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if cookie.contains("Max-Age=0") {
                kept.remove(key);
            } else {
                kept.insert(key.to_owned(), value.to_owned());
            }
        }
        page
    }

    pub(crate) async fn get(&self, browser: &Browser, path: &str) -> Page {
        self.ask(browser, Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(
        &self,
        browser: &Browser,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Page {
        let pairs: Vec<String> =
            fields.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(pairs.join("&")))
            .unwrap();
        self.ask(browser, request).await
    }

    /// A browser in which somebody has signed in.
    pub(crate) async fn signed_in(&self, name: &str) -> Browser {
        let browser = Browser::default();
        let csrf = self.get(&browser, "/login").await.csrf();
        let fields = [("csrf", csrf.as_str()), ("name", name), ("password", PASSWORD)];
        let page = self.post(&browser, "/login", &fields).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
        browser
    }
}

fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let byte = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(byte).collect()
}
