//! Answers in MLflow's JSON: pretty-printed objects, and errors by code.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use viaduct_base::{Error, Fault, Kind, Refusal, RequestId, Timestamp};
use viaduct_wire::mlflow::{ErrorBody, Malformed};

/// What a handler answers.
pub(super) type Reply<T> = Result<Shown<T>, Trouble>;

/// An object shown as MLflow's server prints it.
pub(super) struct Shown<T>(pub(super) T);

/// An empty object: done, nothing to say.
#[derive(Serialize)]
pub(super) struct Done {}

/// The answer of a verb that says nothing.
pub(super) fn done((): ()) -> Shown<Done> {
    Shown(Done {})
}

impl<T: Serialize> IntoResponse for Shown<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec_pretty(&self.0) {
            Ok(bytes) => json(StatusCode::OK, bytes),
            Err(e) => Trouble::from(Fault::caused("print an answer", e)).into_response(),
        }
    }
}

fn json(status: StatusCode, bytes: Vec<u8>) -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (status, kind, bytes).into_response()
}

/// What went wrong, as MLflow says it.
#[derive(Debug)]
pub(super) struct Trouble {
    status: StatusCode,
    body: ErrorBody,
}

impl Trouble {
    pub(super) fn new(status: StatusCode, error_code: &'static str, message: String) -> Self {
        Self { status, body: ErrorBody { error_code, message } }
    }
}

impl From<Malformed> for Trouble {
    fn from(malformed: Malformed) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", malformed.to_string())
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = match refusal.kind {
            Kind::NotFound => (StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST"),
            // Why 400: MLflow's clients look for this code, and this is where they look.
            Kind::AlreadyExists => (StatusCode::BAD_REQUEST, "RESOURCE_ALREADY_EXISTS"),
            Kind::LoginRequired => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
            Kind::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "REQUEST_LIMIT_EXCEEDED"),
            kind => match kind.status() {
                403 => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
                409 => (StatusCode::CONFLICT, "RESOURCE_CONFLICT"),
                503 => (StatusCode::SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE"),
                _ => (StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE"),
            },
        };
        Self::new(status, code, refusal.detail)
    }
}

impl From<Fault> for Trouble {
    /// Logs the fault once, here where it is handled, and gives the caller an id to quote.
    fn from(fault: Fault) -> Self {
        let request = RequestId::new(Timestamp::from_system());
        tracing::error!(request.id = %request, fault = %fault.chain(), "request failed");
        let message =
            format!("quote `{request}` to whoever runs this server: its log has the cause");
        if fault.is_retryable() {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Self::new(status, "TEMPORARILY_UNAVAILABLE", message)
        } else {
            Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", message)
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => refusal.into(),
            Error::Fault(fault) => fault.into(),
        }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        // Why no error: two texts always print.
        let bytes = serde_json::to_vec(&self.body).unwrap_or_default();
        json(self.status, bytes)
    }
}
