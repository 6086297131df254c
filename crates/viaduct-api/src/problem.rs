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

/// What went wrong, in the dialect of the path that was asked.
pub(crate) fn error_response(path: &str, error: Error) -> Response {
    match error {
        Error::Refused(refusal) => refusal_response(path, &refusal),
        Error::Fault(fault) => fault_response(&fault),
    }
}

/// A refusal in the dialect of the path that was asked.
pub fn refusal_response(path: &str, refusal: &Refusal) -> Response {
    if crate::mlflow::speaks(path) || is_scoring(path) {
        mlflow_refusal(refusal)
    } else if path.starts_with("/v2") {
        let body = Json(json!({ "error": refusal.detail }));
        with_retry_after((status(refusal.kind), body).into_response(), refusal.retry_after_s)
    } else if is_grpc(path) {
        grpc_refusal(refusal)
    } else {
        native_refusal(refusal)
    }
}

/// MLflow's scoring protocol lies under the endpoint's own address.
fn is_scoring(path: &str) -> bool {
    path.starts_with("/endpoints/")
        && ["/invocations", "/ping", "/health", "/version"].iter().any(|end| path.ends_with(end))
}

/// Whether a path is a method of a gRPC service.
pub fn is_grpc(path: &str) -> bool {
    path.starts_with("/inference.") || path.starts_with("/grpc.")
}

/// The gRPC status of a refusal.
pub fn grpc_code(kind: Kind) -> i32 {
    match kind.status() {
        400 => 3,
        401 => 16,
        403 => 7,
        404 => 5,
        405 => 12,
        408 => 1,
        // Asked again, the model would say the same.
        409 | 422 => 9,
        413 | 429 => 8,
        503 => 14,
        504 => 4,
        _ => 2,
    }
}

/// Trailers alone: what a gRPC client reads where nothing was answered.
fn grpc_refusal(refusal: &Refusal) -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(grpc_code(refusal.kind)));
    // The message travels percent-encoded.
    let message: String = refusal
        .detail
        .bytes()
        .map(|byte| match byte {
            b' '..=b'~' if byte != b'%' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    if let Ok(message) = HeaderValue::from_str(&message) {
        headers.insert("grpc-message", message);
    }
    response
}

/// Says when to come again where the refusal is one of load; in a second where nobody knows.
fn with_retry_after(mut response: Response, seconds: Option<u32>) -> Response {
    if matches!(response.status().as_u16(), 429 | 503) {
        let seconds = HeaderValue::from(seconds.unwrap_or(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
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
    with_retry_after(response, refusal.retry_after_s)
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
    with_retry_after(response, refusal.retry_after_s)
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
    with_retry_after(response, None)
}
