//! Taking away for good what was deleted long ago, and decisions that are too old.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::json;
use viaduct_app::App;
use viaduct_app::decision::{ExpiryReport, ExpiryRequest};
use viaduct_app::mlflow::{GcReport, GcRequest};
use viaduct_base::Span;
use viaduct_domain::permission::Operation;

use crate::extract::{Body, Who};
use crate::problem::Problem;
use crate::routes::{Routes, doc};

pub(super) fn routes() -> Routes {
    tracking().post(
        "/api/v1/gc/decisions",
        Operation::CollectGarbage,
        decisions,
        doc(
            "decisions",
            "Take away rows of the decision log, or the inputs of decisions, that are older than \
             said, else than the server is configured to keep; without `dry_run: false` only tell \
             how many. What the facts and trials of a project stand on stays",
        )
        .body(|| {
            json!({ "type": "object", "properties": {
                "dry_run": { "type": "boolean", "default": true },
                "endpoint": { "type": "string" },
                "rows_older_than": { "type": "string", "examples": ["P400D"] },
                "inputs_older_than": { "type": "string", "examples": ["P90D"] } } })
        }),
    )
}

fn tracking() -> Routes {
    Routes::new().post(
        "/api/v1/gc/mlflow",
        Operation::CollectGarbage,
        gc,
        doc(
            "tracking",
            "Take away runs, logged models and experiments deleted longer ago than the retention; \
             without `dry_run: false` only tell which",
        )
        .body(|| {
            json!({ "type": "object", "properties": {
                "dry_run": { "type": "boolean", "default": true },
                "older_than": { "type": "string", "examples": ["P90D"] } } })
        }),
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    dry_run: Option<bool>,
    older_than: Option<Span>,
}

async fn gc(
    State(app): State<App>,
    Who(caller): Who,
    Body(wanted): Body<Wanted>,
) -> Result<Json<GcReport>, Problem> {
    // Why true: what is taken away does not come back.
    let dry_run = wanted.dry_run.unwrap_or(true);
    let request = GcRequest { older_than: wanted.older_than, dry_run };
    Ok(Json(app.collect_tracking(&caller, request).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TooOld {
    dry_run: Option<bool>,
    endpoint: Option<String>,
    rows_older_than: Option<Span>,
    inputs_older_than: Option<Span>,
}

async fn decisions(
    State(app): State<App>,
    Who(caller): Who,
    Body(wanted): Body<TooOld>,
) -> Result<Json<ExpiryReport>, Problem> {
    let request = ExpiryRequest {
        endpoint: wanted.endpoint,
        rows_older_than: wanted.rows_older_than,
        inputs_older_than: wanted.inputs_older_than,
        dry_run: wanted.dry_run.unwrap_or(true),
    };
    Ok(Json(app.expire_decisions(&caller, request).await?))
}
