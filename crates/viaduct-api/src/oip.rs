//! The Open Inference Protocol v2 over REST: an endpoint is a model of the protocol.
//!
//! With the extensions that `tritonclient` uses: binary tensors, configuration, statistics.
//! [`call`], [`raw`], [`tensor`] and [`describe`] are what the protocol over gRPC shares.

pub mod call;
pub mod describe;
mod infer;
pub mod raw;
pub mod tensor;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use viaduct_base::{Error, Refusal, RequestId, Timestamp};
use viaduct_domain::permission::Operation;
use viaduct_gateway::EndpointMetadata;
use viaduct_wire::oip::{ModelMetadata, ServerMetadata, request_schema};

use crate::body::Payload;
use crate::predict::{Key, Serving};
use crate::problem;
use crate::routes::{Doc, Routes, doc};
use call::check_version;

const TAG: &str = "open inference protocol";

/// All routes of the protocol.
pub fn routes() -> Routes {
    let infer_doc =
        doc(TAG, "Infer: one decision for each row of the tensors").body(request_schema);
    let serving = Operation::ReadServing;
    let health = Operation::Health;
    Routes::new()
        .get("/v2", health, server, doc(TAG, "Server metadata"))
        .get("/v2/", health, server, doc(TAG, "Server metadata, as the published document has it"))
        .get("/v2/health/live", health, live, doc(TAG, "Whether the server lives"))
        .get("/v2/health/ready", health, ready, doc(TAG, "Whether it answers"))
        .get("/v2/models/stats", serving, all_stats, doc(TAG, "What every endpoint counted"))
        .get("/v2/models/{name}", serving, model, doc(TAG, "What an endpoint takes and gives"))
        .get("/v2/models/{name}/ready", serving, model_ready, doc(TAG, "Whether it answers"))
        .get("/v2/models/{name}/config", serving, config, doc(TAG, "Its configuration"))
        .get("/v2/models/{name}/stats", serving, stats, doc(TAG, "What it counted"))
        .post("/v2/models/{name}/infer", Operation::Predict, infer, infer_doc)
        .merge(version_routes(infer_doc))
}

fn version_routes(infer_doc: Doc) -> Routes {
    let serving = Operation::ReadServing;
    let base = "/v2/models/{name}/versions/{version}";
    let at = |end: &str| format!("{base}{end}");
    Routes::new()
        .get(base, serving, version, doc(TAG, "One version"))
        .get(&at("/ready"), serving, version_ready, doc(TAG, "Whether that version answers"))
        .get(&at("/config"), serving, version_config, doc(TAG, "That version's configuration"))
        .get(&at("/stats"), serving, version_stats, doc(TAG, "What that version counted"))
        .post(&at("/infer"), Operation::Predict, infer_version, infer_doc)
}

/// An error in the protocol's form.
pub(crate) struct Declined(Error);

impl<E: Into<Error>> From<E> for Declined {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Declined {
    fn into_response(self) -> Response {
        let fault = match self.0 {
            Error::Refused(refusal) => {
                return problem::refusal_response("/v2", &with_places(refusal));
            }
            Error::Fault(fault) => fault,
        };
        let request = RequestId::new(Timestamp::from_system());
        tracing::error!(request.id = %request, fault = %fault.chain(), "inference failed");
        let error = format!("something broke in the server: quote `{request}`");
        (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "error": error }))).into_response()
    }
}

/// The protocol has one sentence for everything: the places go into it.
fn with_places(refusal: Refusal) -> Refusal {
    let places: Vec<_> = refusal.errors.iter().map(|error| error.pointer.as_str()).collect();
    let places: Vec<_> = places.into_iter().filter(|p| !p.is_empty()).take(10).collect();
    let detail = match places.is_empty() {
        true => refusal.detail,
        false => format!("{} (at {})", refusal.detail, places.join(", ")),
    };
    Refusal::new(refusal.kind, detail)
}

pub(crate) async fn server() -> Json<ServerMetadata> {
    Json(describe::server())
}

async fn live() -> Json<Value> {
    Json(json!({ "live": true }))
}

pub(crate) async fn ready(State(Serving(gateway)): State<Serving>) -> (StatusCode, Json<Value>) {
    let ready = gateway.readiness().ready;
    (ready_status(ready), Json(json!({ "ready": ready })))
}

fn ready_status(ready: bool) -> StatusCode {
    if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

pub(crate) async fn model(
    State(Serving(gateway)): State<Serving>,
    Path(name): Path<String>,
) -> Result<Json<ModelMetadata>, Declined> {
    Ok(Json(describe::model(gateway.metadata(&name)?)))
}

pub(crate) async fn version(
    State(Serving(gateway)): State<Serving>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<ModelMetadata>, Declined> {
    let found = gateway.metadata(&name)?;
    check_version(&found, &version)?;
    Ok(Json(describe::model(found)))
}

pub(crate) async fn model_ready(
    State(Serving(gateway)): State<Serving>,
    Path(name): Path<String>,
) -> Result<Response, Declined> {
    Ok(readiness(&gateway.metadata(&name)?))
}

async fn version_ready(
    State(Serving(gateway)): State<Serving>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Response, Declined> {
    let found = gateway.metadata(&name)?;
    check_version(&found, &version)?;
    Ok(readiness(&found))
}

fn readiness(found: &EndpointMetadata) -> Response {
    let body = Json(json!({ "name": found.name, "ready": found.ready }));
    (ready_status(found.ready), body).into_response()
}

pub(crate) async fn infer(
    State(serving): State<Serving>,
    key: Key,
    Path(name): Path<String>,
    payload: Payload,
) -> Result<Response, Declined> {
    Ok(infer::run(serving, key, name, None, payload).await?)
}

async fn infer_version(
    State(serving): State<Serving>,
    key: Key,
    Path((name, version)): Path<(String, String)>,
    payload: Payload,
) -> Result<Response, Declined> {
    Ok(infer::run(serving, key, name, Some(version), payload).await?)
}

pub(crate) async fn config(
    State(Serving(gateway)): State<Serving>,
    Path(name): Path<String>,
) -> Result<Json<describe::Config>, Declined> {
    Ok(Json(describe::config(gateway.metadata(&name)?)))
}

async fn version_config(
    State(Serving(gateway)): State<Serving>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<describe::Config>, Declined> {
    let found = gateway.metadata(&name)?;
    check_version(&found, &version)?;
    Ok(Json(describe::config(found)))
}

pub(crate) async fn stats(
    State(Serving(gateway)): State<Serving>,
    Path(name): Path<String>,
) -> Result<Json<describe::Statistics>, Declined> {
    Ok(Json(describe::statistics(&gateway, &name, "")?))
}

async fn version_stats(
    State(Serving(gateway)): State<Serving>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<describe::Statistics>, Declined> {
    Ok(Json(describe::statistics(&gateway, &name, &version)?))
}

async fn all_stats(
    State(Serving(gateway)): State<Serving>,
) -> Result<Json<describe::Statistics>, Declined> {
    Ok(Json(describe::statistics(&gateway, "", "")?))
}
