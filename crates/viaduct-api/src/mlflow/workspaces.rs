//! Workspaces of MLflow: this server has one, and answers as MLflow's does without them.

use axum::extract::{OriginalUri, Request};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use viaduct_domain::permission::Operation::{ReadTracking, WriteTracking};

use super::answer::Trouble;
use super::{BODY, DOC, speaks};
use crate::routes::Routes;

/// The header by which a client names a workspace.
const HEADER: &str = "x-mlflow-workspace";
const CODE: &str = "FEATURE_DISABLED";

/// Routes below `/api` or `/ajax-api`.
pub(super) fn routes(prefix: &str) -> Routes {
    let all = format!("{prefix}/3.0/mlflow/workspaces");
    let one = format!("{all}/{{workspace_name}}");
    Routes::new()
        .get(&all, ReadTracking, disabled, DOC)
        .post(&all, WriteTracking, disabled, BODY)
        .get(&one, ReadTracking, disabled, DOC)
        .patch(&one, WriteTracking, disabled, BODY)
        .delete(&one, WriteTracking, disabled, DOC)
}

async fn disabled(OriginalUri(uri): OriginalUri) -> Response {
    let message = format!(
        "Endpoint: {} disabled because the server is running without workspaces support: \
         Viaduct has one workspace",
        uri.path()
    );
    Trouble::new(StatusCode::SERVICE_UNAVAILABLE, CODE, message).into_response()
}

/// Refuses a request that names a workspace: it would act in another than it means.
pub(crate) async fn refuse_named(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let named = request
        .headers()
        .get(HEADER)
        .is_some_and(|value| !value.as_bytes().trim_ascii().is_empty());
    if named && speaks(path) && !path.trim_end_matches('/').ends_with("/mlflow/server-info") {
        let message = "Workspace APIs are not available: workspaces are not enabled on this server";
        return Trouble::new(StatusCode::BAD_REQUEST, CODE, message.to_owned()).into_response();
    }
    next.run(request).await
}
