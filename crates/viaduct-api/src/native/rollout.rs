//! Rollouts: start, watch, move, analyse.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use viaduct_app::App;
use viaduct_app::rollout::{Analysis, NewRollout, RolloutView, Verb};
use viaduct_domain::permission::Operation;

use crate::extract::{Body, OptionalBody, Query, Who};
use crate::problem::Problem;
use crate::routes::{Routes, doc};

pub(super) fn routes() -> Routes {
    Routes::new()
        .post(
            "/api/v1/endpoints/{endpoint}/rollouts",
            Operation::ControlRollout,
            start,
            doc("rollouts", "Start a rollout of a version").body(schema),
        )
        .get(
            "/api/v1/rollouts",
            Operation::ReadEndpoint,
            list,
            doc("rollouts", "Rollouts, latest first").query(&["endpoint"]),
        )
        .get(
            "/api/v1/rollouts/{rollout}",
            Operation::ReadEndpoint,
            show,
            doc("rollouts", "Show a rollout (its id, or an endpoint's name for the latest)"),
        )
        .get(
            "/api/v1/rollouts/{rollout}/analysis",
            Operation::ReadEndpoint,
            analysis,
            doc("rollouts", "The verdict for a program, such as Argo Rollouts' web metric"),
        )
        .post(
            "/api/v1/rollouts/{rollout}/advance",
            Operation::ControlRollout,
            advance,
            doc("rollouts", "End the step under way now").body(reason),
        )
        .post(
            "/api/v1/rollouts/{rollout}/pause",
            Operation::ControlRollout,
            pause,
            doc("rollouts", "Stop here for now").body(reason),
        )
        .post(
            "/api/v1/rollouts/{rollout}/resume",
            Operation::ControlRollout,
            resume,
            doc("rollouts", "Go on").body(reason),
        )
        .post(
            "/api/v1/rollouts/{rollout}/rollback",
            Operation::ControlRollout,
            rollback,
            doc("rollouts", "Back to the champion; also of a full rollout").body(reason),
        )
}

fn reason() -> Value {
    json!({ "type": "object", "properties": { "reason": { "type": "string" } } })
}

fn schema() -> Value {
    let span = json!({ "type": "string", "examples": ["PT10M"] });
    json!({ "type": "object", "required": ["to"], "properties": {
        "to": { "description": "A version, or an alias", "examples": [3, "challenger"] },
        "steps": { "type": "array", "items": { "type": "object", "properties": {
            "shadow": { "type": "boolean" }, "share": { "type": "number" }, "min_time": span,
            "min_n": { "type": "integer" }, "manual": { "type": "boolean" } } } },
        "conditions": { "type": "array", "items": { "type": "object", "required": ["what"],
            "properties": {
            "what": { "type": "string", "examples": ["error_rate", "fact:calibration.ece"] },
            "max": { "type": "number" }, "min": { "type": "number" },
            "min_n": { "type": "integer" }, "window": span, "max_age": span } } } } })
}

async fn start(
    State(app): State<App>,
    Who(caller): Who,
    Path(endpoint): Path<String>,
    Body(new): Body<NewRollout>,
) -> Result<(StatusCode, Json<RolloutView>), Problem> {
    Ok((StatusCode::CREATED, Json(app.start_rollout(&caller, &endpoint, new).await?)))
}

#[derive(Deserialize)]
struct Filter {
    endpoint: Option<String>,
}

async fn list(
    State(app): State<App>,
    Who(caller): Who,
    Query(filter): Query<Filter>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "items": app.list_rollouts(&caller, filter.endpoint).await? })))
}

async fn show(
    State(app): State<App>,
    Who(caller): Who,
    Path(rollout): Path<String>,
) -> Result<Json<RolloutView>, Problem> {
    let id = app.find_rollout(&caller, &rollout).await?;
    Ok(Json(app.get_rollout(&caller, id).await?))
}

async fn analysis(
    State(app): State<App>,
    Who(caller): Who,
    Path(rollout): Path<String>,
) -> Result<Json<Analysis>, Problem> {
    let id = app.find_rollout(&caller, &rollout).await?;
    Ok(Json(app.analyse_rollout(&caller, id).await?))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Reason {
    reason: Option<String>,
}

macro_rules! verbs {
    ($($name:ident $verb:ident;)+) => {$(
        async fn $name(
            State(app): State<App>,
            Who(caller): Who,
            Path(rollout): Path<String>,
            OptionalBody(body): OptionalBody<Reason>,
        ) -> Result<Json<RolloutView>, Problem> {
            let id = app.find_rollout(&caller, &rollout).await?;
            Ok(Json(app.move_rollout(&caller, id, Verb::$verb, body.reason).await?))
        }
    )+};
}

verbs! {
    advance Advance;
    pause Pause;
    resume Resume;
    rollback Rollback;
}
