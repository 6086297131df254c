//! MLflow's scoring protocol for an endpoint, as `mlflow models serve` speaks it at its root:
//! `POST …/invocations`, `GET …/ping`, `…/health` and `…/version`.
//!
//! `predictions` has one item a row: the label of a classifier, the value of a regressor, an
//! object of the named outputs of any other model; where business as usual answered with an
//! action alone, the action. Beside it stands what MLflow does not have: `decisions`.

mod table;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};
use viaduct_base::{Error, Fault, Kind, Refusal};
use viaduct_domain::permission::Operation;
use viaduct_gateway::{Answer, PredictCall};

use crate::body::{self, Payload};
use crate::predict::{Key, Serving, deadline};
use crate::problem;
use crate::routes::{Routes, doc};

const TAG: &str = "mlflow scoring";
/// What a refusal's dialect is chosen by.
const PATH: &str = "/endpoints/{endpoint}/invocations";

/// All routes of the protocol.
pub(crate) fn routes() -> Routes {
    let serving = Operation::ReadServing;
    let score = doc(TAG, "Decide on rows as `mlflow models serve` does").body(request_schema);
    Routes::new()
        .post(PATH, Operation::Predict, invocations, score)
        .get("/endpoints/{endpoint}/ping", serving, ping, doc(TAG, "Whether it answers"))
        .get("/endpoints/{endpoint}/health", serving, ping, doc(TAG, "Whether it answers"))
        .get("/endpoints/{endpoint}/version", serving, version, doc(TAG, "Version of this server"))
}

/// A refusal in MLflow's form.
pub(crate) struct Declined(Error);

impl<E: Into<Error>> From<E> for Declined {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Declined {
    fn into_response(self) -> Response {
        match self.0 {
            Error::Refused(refusal) => problem::refusal_response(PATH, &refusal),
            Error::Fault(fault) => problem::fault_response(&fault),
        }
    }
}

#[derive(Serialize)]
struct Scored {
    predictions: Vec<Value>,
    decisions: Vec<Trace>,
}

/// What finds a prediction again.
#[derive(Serialize)]
struct Trace {
    decision_id: String,
    variant: &'static str,
    action: Option<String>,
}

pub(crate) async fn invocations(
    State(serving): State<Serving>,
    Key(key): Key,
    Path(endpoint): Path<String>,
    payload: Payload,
) -> Result<Response, Declined> {
    let deadline = deadline(&payload.headers)?;
    let found = serving.0.metadata(&endpoint)?;
    let rows = match payload.media_type().as_str() {
        "application/json" => table::from_json(&payload.bytes, &found)?,
        "text/csv" => table::from_csv(&payload.bytes, &found)?,
        other => {
            let detail = format!(
                "`Content-Type: {other}` is not read here: send `application/json` or `text/csv`"
            );
            return Err(Refusal::new(Kind::InvalidInput, detail).into());
        }
    };
    let call = PredictCall {
        endpoint,
        key,
        rows,
        entity: None,
        keys: None,
        incumbent: None,
        replayed: false,
    };
    let answers = serving.predict(call, deadline, None).await?;
    respond(&payload.headers, answers)
}

fn respond(asked: &HeaderMap, answers: Vec<Answer>) -> Result<Response, Declined> {
    let decisions = answers.iter().map(|answer| Trace {
        decision_id: answer.decision_id.to_string(),
        variant: answer.variant.as_str(),
        action: answer.action.clone(),
    });
    let decisions = decisions.collect();
    let predictions = answers.into_iter().map(prediction).collect();
    let bytes = serde_json::to_vec(&Scored { predictions, decisions })
        .map_err(|e| Fault::caused("the predictions cannot be written", e))?;
    Ok(body::answer(asked, "application/json", bytes))
}

/// As scikit-learn's `predict` gives it, which is what MLflow serves.
fn prediction(answer: Answer) -> Value {
    let action = answer.action.map_or(Value::Null, Value::String);
    let Some(Value::Object(mut output)) = answer.output else { return action };
    match output.remove("label").or_else(|| output.remove("value")) {
        Some(only) => only,
        None if output.is_empty() => action,
        None => Value::Object(output),
    }
}

async fn ping(
    State(Serving(gateway)): State<Serving>,
    Path(endpoint): Path<String>,
) -> Result<Response, Declined> {
    let ready = gateway.metadata(&endpoint)?.ready;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // MLflow's server answers a line break.
    Ok((status, [(header::CONTENT_TYPE, "application/json")], "\n").into_response())
}

async fn version(
    State(Serving(gateway)): State<Serving>,
    Path(endpoint): Path<String>,
) -> Result<Response, Declined> {
    gateway.metadata(&endpoint)?;
    Ok(([(header::CONTENT_TYPE, "text/plain")], env!("CARGO_PKG_VERSION")).into_response())
}

fn request_schema() -> Value {
    let table = |what: &str| json!({ "type": "object", "required": [what] });
    let mut properties = Map::new();
    properties.insert(
        "dataframe_split".into(),
        json!({ "type": "object", "required": ["columns", "data"], "properties": {
            "columns": { "type": "array", "items": { "type": "string" } },
            "index": { "type": "array" },
            "data": { "type": "array", "items": { "type": "array" } },
        } }),
    );
    let records = json!({ "type": "array", "items": { "type": "object" } });
    properties.insert("dataframe_records".into(), records);
    properties.insert("instances".into(), json!({ "type": "array" }));
    properties.insert("inputs".into(), json!({}));
    properties.insert("params".into(), json!({ "type": "object" }));
    let ways = ["dataframe_split", "dataframe_records", "instances", "inputs"].map(table);
    json!({ "type": "object", "properties": properties, "oneOf": ways })
}
