//! What MLflow's generative-AI pages and clients ask for: nothing of it is kept here.
//!
//! A list is honestly empty, so that pages end their loading; a verb that would have to keep
//! something answers `NOT_IMPLEMENTED`, which no client repeats; one about a single thing answers
//! that there is none; everything else is not an address of this server.

use axum::Json;
use axum::handler::Handler;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use viaduct_app::App;
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

/// What would have to keep something, by method.
const UNKEPT: [(Method, &[&str]); 4] = [
    (
        Method::POST,
        &[
            "datasets/create",
            "datasets/{id}/add-experiments",
            "datasets/{id}/records",
            "datasets/{id}/remove-experiments",
            "demo/generate",
            "gateway/budgets/create",
            "gateway/budgets/update",
            "gateway/endpoints/bindings/create",
            "gateway/endpoints/create",
            "gateway/endpoints/models/attach",
            "gateway/endpoints/models/detach",
            "gateway/endpoints/set-tag",
            "gateway/endpoints/update",
            "gateway/guardrails/add-to-endpoint",
            "gateway/guardrails/create",
            "gateway/model-definitions/create",
            "gateway/model-definitions/update",
            "gateway/secrets/create",
            "gateway/secrets/update",
            "genai/evaluate/invoke",
            "issues",
            "issues/invoke",
            "label-schemas/create",
            "mcp-servers",
            "prompt-optimization/jobs",
            "review-queues/create",
            "review-queues/get-or-create-user",
            "review-queues/items/add",
            "scorer/invoke",
            "scorers/register",
            "traces",
            "traces/calculate-filter-correlation",
        ],
    ),
    (Method::PUT, &["scorers/online-config"]),
    (Method::PATCH, &["datasets/{id}/tags"]),
    (Method::DELETE, &["datasets/{id}/records"]),
];

/// What changes, deletes or reads one thing that was kept: there is none.
const ABSENT: [(Method, &[&str]); 4] = [
    (
        Method::GET,
        &[
            "datasets/{id}",
            "datasets/{id}/experiment-ids",
            "datasets/{id}/records",
            "gateway/budgets/get",
            "gateway/endpoints/get",
            "gateway/guardrails/get",
            "gateway/model-definitions/get",
            "gateway/secrets/get",
            "issues/{id}",
            "label-schemas/get",
            "label-schemas/get-by-name",
            "prompt-optimization/jobs/{id}",
            "review-queues/get",
            "review-queues/get-by-name",
            "scorers/get",
        ],
    ),
    (
        Method::POST,
        &[
            "prompt-optimization/jobs/{id}/cancel",
            "review-queues/delete",
            "review-queues/items/remove",
            "review-queues/items/set-status",
            "review-queues/update",
        ],
    ),
    (Method::PATCH, &["gateway/guardrails/update-config", "issues/{id}", "label-schemas/update"]),
    (
        Method::DELETE,
        &[
            "datasets/{id}",
            "datasets/{id}/tags/{key}",
            "gateway/budgets/delete",
            "gateway/endpoints/bindings/delete",
            "gateway/endpoints/delete",
            "gateway/endpoints/delete-tag",
            "gateway/guardrails/delete",
            "gateway/guardrails/remove-from-endpoint",
            "gateway/model-definitions/delete",
            "gateway/secrets/delete",
            "label-schemas/delete",
            "prompt-optimization/jobs/{id}",
            "scorers/delete",
        ],
    ),
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
    for (method, names) in UNKEPT {
        for name in names {
            routes = mount(routes, &method, &new(name), || unkept(name));
        }
    }
    for (method, names) in ABSENT {
        for name in names {
            routes = mount(routes, &method, &new(name), || absent(name));
        }
    }
    routes
}

/// What reads is for readers, every other method for writers.
fn mount<H, T>(routes: Routes, method: &Method, path: &str, handler: H) -> Routes
where
    H: Handler<T, App>,
    T: 'static,
{
    match *method {
        Method::POST => routes.post(path, WriteTracking, handler, BODY),
        Method::PUT => routes.put(path, WriteTracking, handler, BODY),
        Method::PATCH => routes.patch(path, WriteTracking, handler, BODY),
        Method::DELETE => routes.delete(path, WriteTracking, handler, DOC),
        _ => routes.get(path, ReadTracking, handler, DOC),
    }
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
         and nothing of MLflow's generative-AI parts{}",
        instead(name)
    );
    Trouble::new(StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED", message).into_response()
}

async fn absent(name: &'static str) -> Response {
    let message = format!(
        "`{name}` finds nothing: this server keeps nothing of MLflow's generative-AI parts{}",
        instead(name)
    );
    Trouble::new(StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST", message).into_response()
}

/// What of this server does a like work.
fn instead(name: &str) -> &'static str {
    match name.split('/').next() {
        Some("datasets") => "; `mlflow.log_input` keeps the data set of a run",
        Some("gateway" | "gateway-proxy") => "; `viaduct deploy` makes an endpoint of a model",
        _ => "",
    }
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
