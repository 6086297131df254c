//! Taking away for good what was deleted long ago.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::json;
use viaduct_app::App;
use viaduct_app::mlflow::{GcReport, GcRequest};
use viaduct_base::Span;
use viaduct_domain::permission::Operation;

use crate::extract::{Body, Who};
use crate::problem::Problem;
use crate::routes::{Routes, doc};

pub(super) fn routes() -> Routes {
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
