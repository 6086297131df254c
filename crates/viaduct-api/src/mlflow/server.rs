//! What the server says of itself, and the answer to everything that it does not know.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use viaduct_app::App;
use viaduct_domain::permission::Operation;

use super::answer::{Shown, Trouble};
use super::{DOC, VERSION};
use crate::routes::Routes;

/// Routes without a prefix.
pub(super) fn routes() -> Routes {
    Routes::new().get("/health", Operation::Health, health, DOC.gives("text/plain")).get(
        "/version",
        Operation::Health,
        version,
        DOC.gives("text/plain"),
    )
}

/// Routes below `/api` or `/ajax-api`.
pub(super) fn routes_below(prefix: &str) -> Routes {
    let info = format!("{prefix}/3.0/mlflow/server-info");
    Routes::new().get(&info, Operation::Health, server_info, DOC)
}

async fn health() -> &'static str {
    "OK"
}

async fn version() -> &'static str {
    VERSION
}

async fn server_info(State(app): State<App>) -> Shown<Value> {
    let (takes_parts, signs) = app.artifact_transfers();
    Shown(json!({
        "store_type": "SqlStore",
        "workspaces_enabled": false,
        "trace_archival_enabled": false,
        "multipart_uploads_enabled": takes_parts,
        "multipart_downloads_enabled": signs,
        "presigned_upload_run_id_supported": true,
        "presigned_upload_model_id_supported": true,
        "features_enabled": { "gateway": true },
    }))
}

/// Whether what is asked there is answered in MLflow's words.
pub(crate) fn speaks(path: &str) -> bool {
    const BEGINNINGS: [&str; 8] = [
        "/graphql",
        "/get-artifact",
        "/model-versions/get-artifact",
        "/v1/traces",
        "/gateway/",
        "/ajax-api/",
        "/api/2.0",
        "/api/3.0",
    ];
    path.contains("/mlflow") || BEGINNINGS.iter().any(|beginning| path.starts_with(beginning))
}

/// The answer to an MLflow address that nothing answers at.
pub(crate) fn unknown_endpoint(path: &str) -> Response {
    let shown: String = path.chars().take(200).collect();
    let message = format!("`{shown}` is not an address of this server");
    Trouble::new(StatusCode::NOT_FOUND, "ENDPOINT_NOT_FOUND", message).into_response()
}
