//! MLflow's routes.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::routes::Routes;

/// MLflow's routes.
pub fn routes() -> Routes {
    Routes::new()
}

/// MLflow's own answer for an address that it does not know.
pub fn unknown_endpoint(path: &str) -> Response {
    let message = format!("`{path}` is not served");
    let body = json!({ "error_code": "ENDPOINT_NOT_FOUND", "message": message });
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}
