//! Reviews: asked for, shown, signed, withdrawn.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use viaduct_app::App;
use viaduct_app::gate::{ReviewView, SignReview};
use viaduct_base::{Digest, Kind, Refusal, ReviewId};
use viaduct_domain::permission::Operation;

use crate::extract::{Body, Who, id};
use crate::problem::Problem;
use crate::routes::{Routes, doc};

pub(super) fn routes() -> Routes {
    Routes::new()
        .post(
            "/api/v1/projects/{project}/reviews",
            Operation::RequestGate,
            request,
            doc("gates", "Ask for the next gate: open a review on one evaluation"),
        )
        .get(
            "/api/v1/reviews/{review}",
            Operation::ReadProject,
            show,
            doc("gates", "Show a review with its signatures"),
        )
        .post(
            "/api/v1/reviews/{review}/signatures",
            Operation::SignReview,
            sign,
            doc("gates", "Sign a review; the last signature concludes it").body(|| {
                json!({ "type": "object", "required": ["role", "statement"], "properties": {
                    "role": { "type": "string" },
                    "statement": { "type": "string", "minLength": 12 },
                    "evaluation_hash": { "type": "string" } } })
            }),
        )
        .post(
            "/api/v1/reviews/{review}/withdraw",
            Operation::WithdrawReview,
            withdraw,
            doc("gates", "Withdraw a review"),
        )
}

async fn request(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<ReviewView>), Problem> {
    Ok((StatusCode::CREATED, Json(app.request_gate(&caller, &name).await?)))
}

async fn show(
    State(app): State<App>,
    Who(caller): Who,
    Path(review): Path<String>,
) -> Result<Json<ReviewView>, Problem> {
    Ok(Json(app.get_review(&caller, id::<ReviewId>(&review)?).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signing {
    role: String,
    statement: String,
    evaluation_hash: Option<String>,
}

async fn sign(
    State(app): State<App>,
    Who(caller): Who,
    Path(review): Path<String>,
    Body(body): Body<Signing>,
) -> Result<Json<ReviewView>, Problem> {
    let invalid = |detail: String| Refusal::new(Kind::InvalidInput, detail);
    let seen =
        match body.evaluation_hash {
            Some(text) => Some(Digest::from_hex(&text).ok_or_else(|| {
                invalid(format!("`evaluation_hash` `{text}` is not 64 hex digits"))
            })?),
            None => None,
        };
    let role = body.role.parse().map_err(invalid)?;
    let sign = SignReview { role, statement: body.statement, seen };
    Ok(Json(app.sign_review(&caller, id::<ReviewId>(&review)?, sign).await?))
}

async fn withdraw(
    State(app): State<App>,
    Who(caller): Who,
    Path(review): Path<String>,
) -> Result<Json<ReviewView>, Problem> {
    Ok(Json(app.withdraw_review(&caller, id::<ReviewId>(&review)?).await?))
}
