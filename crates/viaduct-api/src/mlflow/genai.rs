//! What MLflow's generative-AI pages and clients ask for: nothing of it is kept here.
//!
//! A list is honestly empty, so that pages end their loading; a verb that would have to keep
//! something answers `NOT_IMPLEMENTED`, which no client repeats; everything else is not an address
//! of this server.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use viaduct_domain::permission::Operation::{ReadTracking, WriteTracking};

use super::answer::Trouble;
use super::{BODY, DOC};
use crate::routes::Routes;

/// Lists that are asked for with GET, below `3.0/mlflow`, and what stands for an empty one.
const LISTS: &[(&str, &str)] = &[
    ("assistant/config", r#"{"providers":{},"projects":{},"remote_access_allowed":false}"#),
    ("assistant/providers", r#"{"providers":[]}"#),
    ("datasets/search", "{}"),
    ("gateway/budgets/list", "{}"),
    ("gateway/budgets/windows", "{}"),
    ("gateway/endpoints/bindings/list", "{}"),
    ("gateway/endpoints/list", "{}"),
    ("gateway/guardrails/list", "{}"),
    ("gateway/model-definitions/list", "{}"),
    // Why available: else the page tells how to set up a stock server; so its list is empty.
    ("gateway/secrets/config", r#"{"secrets_available":true,"using_default_passphrase":false}"#),
    ("gateway/secrets/list", "{}"),
    ("gateway/supported-models", r#"{"models":[]}"#),
    ("gateway/supported-providers", r#"{"providers":[]}"#),
    ("label-schemas/list", "{}"),
    ("mcp-servers", r#"{"mcp_servers":[]}"#),
    ("prompt-optimization/jobs/search", "{}"),
    ("review-queues/list", "{}"),
    ("scorers/list", "{}"),
    ("scorers/online-configs", "{}"),
    ("scorers/versions", "{}"),
    ("traces/batchGet", "{}"),
    (
        "ui-telemetry",
        r#"{"disable_ui_telemetry":true,"disable_ui_events":[],"ui_rollout_percentage":0}"#,
    ),
];

/// Searches that are asked for with POST.
const SEARCHES: &[(&str, &str)] = &[
    ("datasets/search", "{}"),
    ("issues/search", "{}"),
    ("prompt-optimization/jobs/search", "{}"),
    ("traces/batchGetInfos", "{}"),
    ("traces/metrics", r#"{"data_points":[]}"#),
    ("traces/search", "{}"),
    ("ui-telemetry", "{}"),
];

/// Verbs that would have to keep something.
const UNKEPT: &[&str] = &[
    "datasets/create",
    "demo/generate",
    "genai/evaluate/invoke",
    "issues",
    "issues/invoke",
    "prompt-optimization/jobs",
    "scorer/invoke",
    "scorers/register",
    "traces",
];

/// Routes below `/api` or `/ajax-api`.
pub(super) fn routes(prefix: &str) -> Routes {
    let new = |name: &str| format!("{prefix}/3.0/mlflow/{name}");
    let old = |name: &str| format!("{prefix}/2.0/mlflow/{name}");
    let mut routes = Routes::new()
        .get(&old("gateway-proxy"), ReadTracking, || said(r#"{"endpoints":[]}"#), DOC)
        .post(&old("gateway-proxy"), WriteTracking, || unkept("gateway-proxy"), BODY)
        .get(&old("traces"), ReadTracking, || said("{}"), DOC)
        .post(&old("traces"), WriteTracking, || unkept("traces"), BODY)
        .post(&old("traces/delete-traces"), WriteTracking, deleted_none, BODY)
        .post(&new("traces/delete-traces"), WriteTracking, deleted_none, BODY);
    for (name, empty) in LISTS {
        routes = routes.get(&new(name), ReadTracking, || said(empty), DOC);
    }
    for (name, empty) in SEARCHES {
        routes = routes.post(&new(name), ReadTracking, || said(empty), BODY);
    }
    for name in UNKEPT {
        routes = routes.post(&new(name), WriteTracking, || unkept(name), BODY);
    }
    routes
}

/// Routes without a prefix: spans by OpenTelemetry.
pub(super) fn routes_bare() -> Routes {
    let spans = DOC.takes("application/x-protobuf");
    Routes::new().post("/v1/traces", WriteTracking, || unkept("v1/traces"), spans)
}

async fn said(empty: &'static str) -> Json<Value> {
    // Why no error: the texts stand above and are read by a test.
    Json(serde_json::from_str(empty).unwrap_or_default())
}

async fn deleted_none() -> Json<Value> {
    Json(json!({ "traces_deleted": 0 }))
}

async fn unkept(name: &'static str) -> Response {
    let message = format!(
        "`{name}` is not implemented: this server keeps experiments, runs, models and artifacts, \
         and nothing of MLflow's generative-AI parts"
    );
    Trouble::new(StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED", message).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empties_are_json() {
        for (name, text) in LISTS.iter().chain(SEARCHES) {
            assert!(serde_json::from_str::<Value>(text).is_ok_and(|v| v.is_object()), "{name}");
        }
    }
}
