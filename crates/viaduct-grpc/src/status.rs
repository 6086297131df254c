//! Refusals as gRPC statuses, and who may call what.

use tonic::metadata::MetadataValue;
use tonic::{Code, Extensions, Status};
use viaduct_api::authenticate::ConsumerKey;
use viaduct_api::problem::grpc_code;
use viaduct_api::routes::allowed;
use viaduct_base::{Error, Fault, Refusal, RequestId, Timestamp};
use viaduct_domain::permission::Caller;

use crate::operation;

/// A refusal in gRPC's form: the places go into the one sentence that there is.
pub(crate) fn refused(refusal: &Refusal) -> Status {
    let places: Vec<_> = refusal.errors.iter().map(|error| error.pointer.as_str()).collect();
    let places: Vec<_> = places.into_iter().filter(|p| !p.is_empty()).take(10).collect();
    let detail = match places.is_empty() {
        true => refusal.detail.clone(),
        false => format!("{} (at {})", refusal.detail, places.join(", ")),
    };
    let mut status = Status::new(Code::from_i32(grpc_code(refusal.kind)), detail);
    if matches!(refusal.kind.status(), 429 | 503) {
        let seconds = MetadataValue::from(refusal.retry_after_s.unwrap_or(1));
        status.metadata_mut().insert("retry-after", seconds);
    }
    status
}

/// Logs a fault once and gives the caller an id to quote.
pub(crate) fn broken(fault: &Fault) -> Status {
    let request = RequestId::new(Timestamp::from_system());
    tracing::error!(request.id = %request, fault = %fault.chain(), "a gRPC call failed");
    let detail = format!("something broke in the server: quote `{request}`");
    match fault.is_retryable() {
        true => Status::unavailable(detail),
        false => Status::internal(detail),
    }
}

pub(crate) fn declined(error: Error) -> Status {
    match error {
        Error::Refused(refusal) => refused(&refusal),
        Error::Fault(fault) => broken(&fault),
    }
}

/// Checks the authorisation row of a method, as REST does before each handler.
pub(crate) fn check(extensions: &Extensions, method: &str) -> Result<(), Status> {
    let Some(caller) = extensions.get::<Caller>() else {
        return Err(broken(&Fault::new("no caller on the request")));
    };
    let has_key = extensions.get::<ConsumerKey>().is_some();
    allowed(caller, has_key, operation(method)).map_err(|refusal| refused(&refusal))
}
