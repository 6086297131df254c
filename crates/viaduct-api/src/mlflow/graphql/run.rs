//! Answers the steps of a document that is in order.

use std::collections::HashMap;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, header};
use serde_json::{Map, Value, json};
use tower::ServiceExt as _;
use viaduct_base::Fault;
use viaduct_domain::permission::Caller;

use super::schema::{self, Holds, Root, TYPE_NAME, Type};

const BASE: &str = "/api/2.0/mlflow/";
/// Largest answer of a route that is taken apart.
const BYTES_MAX: usize = 256 << 20;

/// What is shown of an object: answered name, own name, what it holds, and what of that.
pub(super) struct Shape {
    pub(super) of: &'static Type,
    pub(super) fields: Vec<(String, String, Holds, Option<Shape>)>,
}

/// One field of the operation.
pub(super) enum Step {
    /// The operation's type.
    Name { key: String, name: &'static str },
    /// What was said, again.
    Echo { key: String, said: Value, shape: Shape },
    /// What a REST route knows.
    Ask { key: String, root: &'static Root, asked: Map<String, Value>, shape: Shape },
}

/// What a route refused: its code and message.
struct Refused {
    code: String,
    message: String,
}

/// Answers every step; one that fails is null and leaves an error.
pub(super) async fn run(rest: &Router, caller: &Caller, steps: Vec<Step>) -> (Value, Vec<String>) {
    let mut asking = Asking { rest, caller, experiments: HashMap::new(), errors: Vec::new() };
    let mut data = Map::new();
    for step in steps {
        let (key, shown) = match step {
            Step::Name { key, name } => (key, name.into()),
            Step::Echo { key, said, shape } => (key, show(&json!({ "output": said }), &shape)),
            Step::Ask { key, root, asked, shape } => (key, asking.ask(root, asked, &shape).await),
        };
        data.insert(key, shown);
    }
    (Value::Object(data), asking.errors)
}

struct Asking<'a> {
    rest: &'a Router,
    caller: &'a Caller,
    /// Runs of one experiment ask for it once.
    experiments: HashMap<String, Value>,
    errors: Vec<String>,
}

impl Asking<'_> {
    async fn ask(&mut self, root: &Root, asked: Map<String, Value>, shape: &Shape) -> Value {
        match self.rest(root.posts, root.address, asked).await {
            Ok(mut known) => {
                self.add_to_runs(&mut known, shape).await;
                show(&known, shape)
            }
            // Who asks for `apiError` reads it there; who does not has the list of errors.
            Err(refused) if shape.fields.iter().any(|(_, name, ..)| name == "apiError") => {
                let error = json!({ "code": refused.code, "message": refused.message });
                show(&json!({ "api_error": error, "refused": true }), shape)
            }
            Err(refused) => {
                self.errors.push(refused.message);
                Value::Null
            }
        }
    }

    /// Asks a route as the caller of the query: its guard stands before it here too.
    async fn rest(
        &self,
        posts: bool,
        address: &str,
        asked: Map<String, Value>,
    ) -> Result<Value, Refused> {
        let request = if posts {
            Request::builder()
                .method(Method::POST)
                .uri(format!("{BASE}{address}"))
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(Value::Object(asked).to_string()))
        } else {
            Request::builder().uri(format!("{BASE}{address}?{}", query(&asked))).body(Body::empty())
        };
        let broken = |what: &str, e: &dyn std::fmt::Display| {
            let fault = Fault::new(format!("GraphQL asked `{address}`: {what}: {e}"));
            tracing::error!(fault = %fault.chain(), "request failed");
            Refused { code: "INTERNAL_ERROR".into(), message: "Internal error".into() }
        };
        let mut request = request.map_err(|e| broken("no request", &e))?;
        request.extensions_mut().insert(self.caller.clone());
        let Ok(response) = self.rest.clone().oneshot(request).await;
        let status = response.status();
        let bytes = to_bytes(response.into_body(), BYTES_MAX)
            .await
            .map_err(|e| broken("the answer broke off", &e))?;
        let known: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if status.is_success() {
            return Ok(known);
        }
        let text = |name: &str| known.get(name).and_then(Value::as_str).map(str::to_owned);
        Err(Refused {
            code: text("error_code").unwrap_or_else(|| "ENDPOINT_NOT_FOUND".into()),
            message: text("message").unwrap_or_else(|| format!("{address} answers {status}")),
        })
    }

    /// Adds what runs do not say themselves, where it is asked for.
    async fn add_to_runs(&mut self, known: &mut Value, shape: &Shape) {
        for (_, name, _, inner) in &shape.fields {
            let Some(inner) = inner.as_ref().filter(|inner| std::ptr::eq(inner.of, schema::run()))
            else {
                continue;
            };
            let wants = |wanted: &str| inner.fields.iter().any(|(_, name, ..)| name == wanted);
            let (experiment, versions) = (wants("experiment"), wants("modelVersions"));
            let runs = match known.get_mut(schema::snake(name)) {
                Some(Value::Array(runs)) => runs.as_mut_slice(),
                Some(run) => std::slice::from_mut(run),
                None => &mut [],
            };
            for run in runs {
                if experiment {
                    run["experiment"] = self.experiment_of(run).await;
                }
                if versions {
                    run["model_versions"] = self.versions_of(run).await;
                }
            }
        }
    }

    async fn experiment_of(&mut self, run: &Value) -> Value {
        let id = run["info"]["experiment_id"].as_str().unwrap_or_default().to_owned();
        if let Some(known) = self.experiments.get(&id) {
            return known.clone();
        }
        let asked = Map::from_iter([("experiment_id".to_owned(), Value::from(id.as_str()))]);
        let mut known = self.taken(self.rest(false, "experiments/get", asked).await);
        let experiment = known.get_mut("experiment").map(Value::take).unwrap_or_default();
        self.experiments.insert(id, experiment.clone());
        experiment
    }

    async fn versions_of(&mut self, run: &Value) -> Value {
        let id = run["info"]["run_id"].as_str().unwrap_or_default();
        let filter = format!("run_id = '{id}'");
        let asked = Map::from_iter([("filter".to_owned(), Value::from(filter))]);
        let mut known = self.taken(self.rest(false, "model-versions/search", asked).await);
        known.get_mut("model_versions").map(Value::take).unwrap_or_else(|| json!([]))
    }

    fn taken(&mut self, answered: Result<Value, Refused>) -> Value {
        answered.unwrap_or_else(|refused| {
            self.errors.push(refused.message);
            Value::Null
        })
    }
}

/// Members as a query; a list repeats its name.
fn query(asked: &Map<String, Value>) -> String {
    let mut pairs: Vec<String> = Vec::new();
    let mut pair = |name: &str, value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        pairs.push(format!("{name}={}", encoded(&text)));
    };
    for (name, value) in asked {
        match value {
            Value::Array(items) => items.iter().for_each(|item| pair(name, item)),
            value => pair(name, value),
        }
    }
    pairs.join("&")
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// What is asked for of an object that REST describes.
fn show(known: &Value, shape: &Shape) -> Value {
    let mut shown = Map::new();
    // Why: a refusal has an error and nothing else, while an answer's empty parts are there.
    let refused = known.get("refused").is_some();
    for (key, name, holds, inner) in &shape.fields {
        let value = known.get(schema::snake(name)).filter(|value| !value.is_null());
        let shown_value = match (holds, inner) {
            _ if name == TYPE_NAME => shape.of.name.into(),
            (Holds::Many(_), Some(_)) if refused => Value::Null,
            (Holds::Many(_), Some(inner)) => {
                let items = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                items.iter().map(|item| show(item, inner)).collect()
            }
            (Holds::One(_), Some(inner)) => match value {
                Some(value) => show(value, inner),
                None if is_always_there(name) && !refused => show(&json!({}), inner),
                None => Value::Null,
            },
            (holds, _) => scalar(*holds, value),
        };
        shown.insert(key.clone(), shown_value);
    }
    Value::Object(shown)
}

/// Parts of a run that are objects even when there is nothing in them.
fn is_always_there(name: &str) -> bool {
    matches!(name, "info" | "data" | "inputs" | "outputs")
}

fn scalar(holds: Holds, value: Option<&Value>) -> Value {
    let Some(value) = value else {
        return if matches!(holds, Holds::Texts) { json!([]) } else { Value::Null };
    };
    match (holds, value) {
        (Holds::Long, Value::Number(number)) => number.to_string().into(),
        (Holds::Double, Value::String(word)) => match word.as_str() {
            "Infinity" => f64::MAX.into(),
            "-Infinity" => f64::MIN.into(),
            _ => Value::Null,
        },
        (Holds::Text, Value::Number(number)) => number.to_string().into(),
        (_, value) => value.clone(),
    }
}
