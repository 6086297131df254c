//! Trials and estimates.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use viaduct_app::App;
use viaduct_app::trial::TrialView;
use viaduct_base::{Timestamp, TrialId};
use viaduct_domain::permission::Operation;
use viaduct_store::estimate::EstimateRow;

use crate::extract::{OptionalBody, Who, id};
use crate::problem::Problem;
use crate::routes::{Routes, doc};

pub(super) fn routes() -> Routes {
    Routes::new()
        .post(
            "/api/v1/projects/{project}/trials",
            Operation::RegisterTrial,
            register,
            doc("trials", "Register the plan of the project's file").body(|| {
                json!({ "type": "object", "properties": {
                    "starts_at": { "type": "string", "format": "date-time" } } })
            }),
        )
        .get(
            "/api/v1/projects/{project}/trials",
            Operation::ReadProject,
            list,
            doc("trials", "A project's trials, latest first"),
        )
        .get(
            "/api/v1/trials/{trial}",
            Operation::ReadProject,
            show,
            doc("trials", "Show a trial and its plan"),
        )
        .get(
            "/api/v1/projects/{project}/estimates",
            Operation::ReadProject,
            estimates,
            doc("trials", "A project's estimates, newest first"),
        )
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Register {
    starts_at: Option<Timestamp>,
}

async fn register(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
    OptionalBody(body): OptionalBody<Register>,
) -> Result<(StatusCode, Json<TrialView>), Problem> {
    let made = app.register_trial(&caller, &name, body.starts_at).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

async fn list(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "items": app.list_trials(&caller, &name).await? })))
}

async fn show(
    State(app): State<App>,
    Who(caller): Who,
    Path(trial): Path<String>,
) -> Result<Json<TrialView>, Problem> {
    Ok(Json(app.get_trial(&caller, id::<TrialId>(&trial)?).await?))
}

async fn estimates(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let rows = app.list_estimates(&caller, &name).await?;
    let items: Vec<Value> = rows.iter().map(estimate).collect();
    Ok(Json(json!({ "estimates": items })))
}

fn estimate(row: &EstimateRow) -> Value {
    json!({
        "id": row.id, "trial": row.trial_id, "design": row.design, "grade": row.grade,
        "verdict": row.verdict, "estimate": row.effect, "lower": row.lower, "upper": row.upper,
        "level": row.level, "n": row.n_model + row.n_control, "n_model": row.n_model,
        "n_control": row.n_control, "unit": row.unit, "provenance": row.provenance,
        "window_from": row.window_from, "window_to": row.window_to,
        "computed_at": row.computed_at,
        "body": serde_json::from_str::<Value>(&row.body_json).unwrap_or_default(),
    })
}
