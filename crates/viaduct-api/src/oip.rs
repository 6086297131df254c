//! The Open Inference Protocol v2 over REST: an endpoint is a model of the protocol.
//!
//! JSON tensors; the binary extension is declined with the setting that turns it off.

mod tensor;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use viaduct_base::{Error, Kind, Refusal, RequestId, Timestamp};
use viaduct_domain::permission::Operation;
use viaduct_gateway::{EndpointMetadata, InferAnswer, InferCall, TensorMetadata};
use viaduct_wire::oip::{
    InferRequest, InferResponse, MetadataTensor, ModelMetadata, ServerMetadata, request_schema,
};

use crate::extract::parse_json;
use crate::predict::{Key, Serving, off_the_reactor};
use crate::problem;
use crate::routes::{Routes, doc};

const TAG: &str = "open inference protocol";

/// All routes of the protocol.
pub fn routes() -> Routes {
    let infer_doc =
        doc(TAG, "Infer: one decision for each row of the tensors").body(request_schema);
    let serving = Operation::ReadServing;
    Routes::new()
        .get("/v2", Operation::Health, server, doc(TAG, "Server metadata"))
        .get("/v2/health/live", Operation::Health, live, doc(TAG, "Whether the server lives"))
        .get("/v2/health/ready", Operation::Health, ready, doc(TAG, "Whether it answers"))
        .get("/v2/models/{name}", serving, model, doc(TAG, "What an endpoint takes and gives"))
        .get("/v2/models/{name}/ready", serving, model_ready, doc(TAG, "Whether it answers"))
        .post("/v2/models/{name}/infer", Operation::Predict, infer, infer_doc)
        .get("/v2/models/{name}/versions/{version}", serving, version, doc(TAG, "One version"))
        .get(
            "/v2/models/{name}/versions/{version}/ready",
            serving,
            version_ready,
            doc(TAG, "Whether that version answers"),
        )
        .post(
            "/v2/models/{name}/versions/{version}/infer",
            Operation::Predict,
            infer_version,
            infer_doc,
        )
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
    let version = env!("CARGO_PKG_VERSION");
    Json(ServerMetadata { name: "viaduct", version, extensions: Vec::new() })
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
    Ok(Json(metadata(gateway.metadata(&name)?)))
}

pub(crate) async fn version(
    State(Serving(gateway)): State<Serving>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<ModelMetadata>, Declined> {
    let found = gateway.metadata(&name)?;
    check_version(&found, &version)?;
    Ok(Json(metadata(found)))
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
    body: Bytes,
) -> Result<Json<InferResponse>, Declined> {
    run(serving, key, name, &body).await
}

async fn infer_version(
    State(serving): State<Serving>,
    key: Key,
    Path((name, version)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<InferResponse>, Declined> {
    check_version(&serving.0.metadata(&name)?, &version)?;
    run(serving, key, name, &body).await
}

async fn run(
    Serving(gateway): Serving,
    Key(key): Key,
    name: String,
    body: &Bytes,
) -> Result<Json<InferResponse>, Declined> {
    let request: InferRequest = parse_json(body)?;
    let inputs = request.inputs.into_iter().map(tensor::read).collect::<Result<Vec<_>, _>>()?;
    let call = InferCall {
        endpoint: name.clone(),
        key,
        inputs,
        outputs: request.outputs.into_iter().map(|output| output.name).collect(),
        entity: text(&request.parameters, "entity")?,
        keys: text(&request.parameters, "keys")?,
        replayed: request.parameters.get("replayed").and_then(Value::as_bool).unwrap_or_default(),
    };
    let answer = off_the_reactor(move || gateway.infer(call)).await?;
    Ok(Json(response(name, request.id, answer)))
}

/// A scalar parameter as text.
fn text(parameters: &Map<String, Value>, name: &str) -> Result<Option<String>, Refusal> {
    match parameters.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => {
            let detail = format!("the parameter `{name}` is a text: per-row values are tensors");
            Err(Refusal::new(Kind::InvalidInput, detail))
        }
    }
}

fn check_version(found: &EndpointMetadata, version: &str) -> Result<(), Refusal> {
    if found.versions.iter().any(|served| served == version) {
        return Ok(());
    }
    let detail = format!(
        "endpoint `{}` serves version {}, not the one that was asked for; leave the version out",
        found.name,
        if found.versions.is_empty() { "none".into() } else { found.versions.join(", ") }
    );
    Err(Refusal::new(Kind::NotFound, detail))
}

fn metadata(found: EndpointMetadata) -> ModelMetadata {
    let tensors = |tensors: Vec<TensorMetadata>| {
        let tensors = tensors.into_iter();
        tensors
            .map(|t| MetadataTensor { name: t.name, datatype: t.datatype, shape: t.shape })
            .collect()
    };
    ModelMetadata {
        name: found.name,
        versions: found.versions,
        platform: "onnxruntime_onnx",
        inputs: tensors(found.inputs),
        outputs: tensors(found.outputs),
    }
}

fn response(name: String, id: Option<String>, answer: InferAnswer) -> InferResponse {
    InferResponse {
        model_name: name,
        model_version: answer.model_version.map(|version| version.to_string()),
        id,
        parameters: answer
            .parameters
            .into_iter()
            .map(|p| (p.name.into(), p.value.into()))
            .collect(),
        outputs: answer.outputs.into_iter().map(tensor::write).collect(),
    }
}
