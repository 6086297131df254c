//! Waivers: asked for, approved, listed with the debt.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use viaduct_app::App;
use viaduct_app::gate::{AskWaiver, WaiverView};
use viaduct_base::{Kind, Refusal, Timestamp, WaiverId};
use viaduct_domain::permission::Operation;
use viaduct_domain::waiver::WaiverRequest;

use crate::extract::{Body, Who, id};
use crate::problem::Problem;
use crate::routes::{Routes, doc};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get(
            "/api/v1/projects/{project}/waivers",
            Operation::ReadProject,
            list,
            doc("gates", "A project's waivers and the debt that they are"),
        )
        .post(
            "/api/v1/projects/{project}/waivers",
            Operation::RequestWaiver,
            request,
            doc("gates", "Ask for a waiver of one criterion").body(|| {
                json!({ "type": "object",
                    "required": ["criterion", "reason", "compensation", "expires_at"],
                    "properties": {
                        "criterion": { "type": "string" }, "reason": { "type": "string" },
                        "compensation": { "type": "string" }, "gate": { "type": "string" },
                        "expires_at": { "type": "string", "format": "date-time" } } })
            }),
        )
        .post(
            "/api/v1/waivers/{waiver}/approve",
            Operation::ApproveWaiver,
            approve,
            doc("gates", "Approve a waiver from outside the project"),
        )
}

async fn list(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let (waivers, debt) = app.list_waivers(&caller, &name).await?;
    Ok(Json(json!({ "items": waivers, "debt": debt })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    criterion: String,
    reason: String,
    compensation: String,
    expires_at: Timestamp,
    gate: Option<String>,
}

async fn request(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
    Body(body): Body<Asked>,
) -> Result<(StatusCode, Json<WaiverView>), Problem> {
    let gate = body.gate.map(|text| text.parse()).transpose();
    let gate = gate.map_err(|e: String| Refusal::new(Kind::InvalidInput, e))?;
    let request = WaiverRequest {
        criterion: body.criterion,
        reason: body.reason,
        compensation: body.compensation,
        expires_at: body.expires_at,
    };
    let made = app.request_waiver(&caller, &name, AskWaiver { request, gate }).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

async fn approve(
    State(app): State<App>,
    Who(caller): Who,
    Path(waiver): Path<String>,
) -> Result<Json<WaiverView>, Problem> {
    Ok(Json(app.approve_waiver(&caller, id::<WaiverId>(&waiver)?).await?))
}
