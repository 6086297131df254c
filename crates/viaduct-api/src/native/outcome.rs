//! Outcomes come in.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;
use viaduct_app::App;
use viaduct_app::outcome::{Refers, Report};
use viaduct_base::{DecisionId, Error, FieldError, Kind, Refusal, Timestamp};
use viaduct_domain::kpi::OutcomeStatus;
use viaduct_domain::permission::Operation;

use crate::authenticate::ConsumerKey;
use crate::extract::{Body, Who, id};
use crate::problem::Problem;
use crate::routes::{Routes, doc};

/// Why: a database that is stopped, or whose disk is, keeps its connections and says nothing.
const PATIENCE: Duration = Duration::from_secs(15);

fn silent() -> Error {
    let detail = format!(
        "the database did not answer within {} s, and may record the outcomes yet: look at the \
         decision before you send them again",
        PATIENCE.as_secs()
    );
    Refusal::new(Kind::DatabaseAway, detail).with_retry_after(5).into()
}

pub(super) fn routes() -> Routes {
    Routes::new()
        .post(
            "/api/v1/outcomes",
            Operation::RecordOutcome,
            many,
            doc("outcomes", "Record outcomes: a list, all or none").body(|| {
                let one = schema();
                json!({ "oneOf": [
                    { "type": "array", "items": one },
                    { "type": "object", "required": ["outcomes"],
                      "properties": { "outcomes": { "type": "array", "items": one } } },
                ] })
            }),
        )
        .post(
            "/api/v1/decisions/{decision}/outcomes",
            Operation::RecordOutcome,
            of_decision,
            doc("outcomes", "Record an outcome of one decision").body(schema),
        )
}

fn schema() -> Value {
    json!({ "type": "object", "properties": {
        "decision_id": { "type": "string" }, "endpoint": { "type": "string" },
        "keys": { "type": "object", "additionalProperties": { "type": "string" } },
        "label": {}, "value": { "type": "number" },
        "occurred_at": { "type": "string", "format": "date-time" },
        "observed_at": { "type": "string", "format": "date-time" },
        "status": { "enum": ["final", "partial", "corrected"] },
        "source": { "type": "string" } } })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    decision_id: Option<String>,
    endpoint: Option<String>,
    #[serde(default)]
    keys: BTreeMap<String, String>,
    label: Option<Value>,
    value: Option<f64>,
    occurred_at: Option<Timestamp>,
    observed_at: Option<Timestamp>,
    status: Option<OutcomeStatus>,
    source: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Many {
    List(Vec<Sent>),
    Wrapped { outcomes: Vec<Sent> },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Sent>),
    One(Box<Sent>),
}

/// What the report is about: a decision's id, or one key of an endpoint.
fn refers(index: usize, sent: &Sent) -> Result<Refers, FieldError> {
    let bad = |detail: String| FieldError {
        pointer: format!("/{index}"),
        detail,
        line: None,
        column: None,
    };
    match (&sent.decision_id, &sent.endpoint) {
        (Some(id), None) => {
            let id: DecisionId =
                id.parse().map_err(|e: viaduct_base::InvalidId| bad(e.to_string()))?;
            Ok(Refers::Decision(id))
        }
        (None, Some(endpoint)) => {
            let mut keys = sent.keys.iter();
            match (keys.next(), keys.next()) {
                (Some((name, value)), None) => Ok(Refers::Key {
                    endpoint: endpoint.clone(),
                    key: (name.clone(), value.clone()),
                }),
                _ => Err(bad("`keys` must hold one key, such as {\"order_id\": \"17\"}".into())),
            }
        }
        _ => Err(bad("give either `decision_id`, or `endpoint` and `keys`".into())),
    }
}

async fn record(
    app: App,
    caller: viaduct_domain::permission::Caller,
    key: Option<ConsumerKey>,
    sent: Vec<Sent>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let (mut reports, mut errors) = (Vec::with_capacity(sent.len()), Vec::new());
    for (index, one) in sent.into_iter().enumerate() {
        match refers(index, &one) {
            Ok(about) => reports.push(Report {
                about,
                label: one.label,
                value: one.value,
                occurred_at: one.occurred_at,
                observed_at: one.observed_at,
                status: one.status.unwrap_or(OutcomeStatus::Final),
                source: one.source,
            }),
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        let detail = "reports that name no decision; none was recorded";
        let refusal = Refusal::new(Kind::InvalidInput, detail).with_errors(errors);
        return Err(Error::from(refusal).into());
    }
    let key = key.map(|ConsumerKey(key)| key);
    let recorded = app.record_outcomes(&caller, key.as_ref(), reports);
    let recorded = timeout(PATIENCE, recorded).await.map_err(|_| silent())??;
    Ok((StatusCode::CREATED, Json(json!({ "outcomes": recorded }))))
}

async fn many(
    State(app): State<App>,
    Who(caller): Who,
    key: Option<Extension<ConsumerKey>>,
    Body(body): Body<Many>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let (Many::List(sent) | Many::Wrapped { outcomes: sent }) = body;
    record(app, caller, key.map(|Extension(key)| key), sent).await
}

async fn of_decision(
    State(app): State<App>,
    Who(caller): Who,
    key: Option<Extension<ConsumerKey>>,
    Path(decision): Path<String>,
    Body(body): Body<OneOrMany>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let decision = id::<DecisionId>(&decision)?.to_string();
    let mut sent = match body {
        OneOrMany::Many(sent) => sent,
        OneOrMany::One(sent) => vec![*sent],
    };
    for one in &mut sent {
        if one.decision_id.as_ref().is_some_and(|other| *other != decision) {
            let detail =
                format!("the report names another decision than the address (`{decision}`)");
            return Err(Refusal::new(Kind::InvalidInput, detail).into());
        }
        one.decision_id = Some(decision.clone());
        one.endpoint = None;
    }
    record(app, caller, key.map(|Extension(key)| key), sent).await
}
