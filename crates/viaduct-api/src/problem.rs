//! Answers for what went wrong: `application/problem+json` (RFC 9457), or the dialect of the
//! protocol whose route was asked (MLflow's error JSON, the Open Inference Protocol's).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use viaduct_base::{Error, Fault, Kind, Refusal, RequestId, Timestamp};

/// What a native handler answers when it does not answer.
pub struct Problem(Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self(Error::Refused(refusal))
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self(Error::Fault(fault))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match self.0 {
            Error::Refused(refusal) => native_refusal(&refusal),
            Error::Fault(fault) => fault_response(&fault),
        }
    }
}

/// A refusal in the dialect of the path that was asked.
pub fn refusal_response(path: &str, refusal: &Refusal) -> Response {
    if crate::mlflow::speaks(path) {
        mlflow_refusal(refusal)
    } else if path.starts_with("/v2") {
        let body = Json(json!({ "error": refusal.detail }));
        (status(refusal.kind), body).into_response()
    } else {
        native_refusal(refusal)
    }
}

fn status(kind: Kind) -> StatusCode {
    StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn native_refusal(refusal: &Refusal) -> Response {
    let kind = refusal.kind;
    let mut body = json!({
        "type": format!("/problems/{}", kind.slug()),
        "title": kind.title(),
        "status": kind.status(),
        "detail": refusal.detail,
    });
    if !refusal.errors.is_empty() {
        body["errors"] = json!(refusal.errors);
    }
    let mut response = (status(kind), Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if kind == Kind::LoginRequired {
        // Why not `Basic`: browsers would pop up their own box over our login page.
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if kind.status() == 429 || kind.status() == 503 {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn mlflow_refusal(refusal: &Refusal) -> Response {
    let code = match refusal.kind.status() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "RESOURCE_DOES_NOT_EXIST",
        405 => "ENDPOINT_NOT_FOUND",
        409 => "RESOURCE_CONFLICT",
        503 => "TEMPORARILY_UNAVAILABLE",
        _ => "INVALID_PARAMETER_VALUE",
    };
    let body = Json(json!({ "error_code": code, "message": refusal.detail }));
    let mut response = (status(refusal.kind), body).into_response();
    if refusal.kind == Kind::LoginRequired {
        let basic = HeaderValue::from_static("Basic realm=\"viaduct\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
    }
    response
}

/// Logs the fault once, here where it is handled, and gives the caller an id to quote.
pub fn fault_response(fault: &Fault) -> Response {
    let request = RequestId::new(Timestamp::from_system());
    tracing::error!(request.id = %request, fault = %fault.chain(), "request failed");
    let (code, title) = if fault.is_retryable() {
        (StatusCode::SERVICE_UNAVAILABLE, "Something that the server needs is away")
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, "Something broke in the server")
    };
    let body = json!({
        "type": "/problems/internal",
        "title": title,
        "status": code.as_u16(),
        "detail": format!("quote `{request}` to whoever runs this server: its log has the cause"),
        "instance": request.to_string(),
    });
    let mut response = (code, Json(body)).into_response();
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
