//! One inference over REST: JSON, binary tensors behind it, or the raw bytes of one tensor.

use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;
use viaduct_base::{Error, Fault, Kind, Refusal};
use viaduct_gateway::{InferAnswer, InputTensor};
use viaduct_wire::oip::{InferRequest, InferResponse, RequestInput, RequestOutput};

use super::call::{Asked, answer};
use super::{raw, tensor};
use crate::body::{self, Payload};
use crate::extract::parse_json;
use crate::predict::{Key, Serving, deadline};

/// How long the JSON in front of binary tensors is.
const HEADER_LENGTH: &str = "inference-header-content-length";

/// Which outputs go as bytes.
struct Binary {
    /// The request's `binary_data_output`.
    all: bool,
    /// Each wanted output's `binary_data`.
    by_name: Vec<(String, Option<bool>)>,
}

impl Binary {
    fn is_wanted(&self, name: &str) -> bool {
        let own = self.by_name.iter().find(|(wanted, _)| wanted == name);
        own.and_then(|(_, own)| *own).unwrap_or(self.all)
    }
}

pub(super) async fn run(
    serving: Serving,
    Key(key): Key,
    endpoint: String,
    version: Option<String>,
    payload: Payload,
) -> Result<Response, Error> {
    let Payload { headers, bytes } = payload;
    let deadline = deadline(&headers)?;
    let (inputs, id, parameters, outputs) = match header_length(&headers, bytes.len())? {
        Some(0) => {
            let input = raw_request(&serving, &endpoint, &bytes)?;
            (vec![input], None, serde_json::Map::new(), Vec::new())
        }
        length => {
            let cut = length.unwrap_or(bytes.len());
            let request: InferRequest<'_> = parse_json(&bytes[..cut])?;
            let inputs = inputs(request.inputs, bytes.slice(cut..))?;
            (inputs, request.id, request.parameters, request.outputs)
        }
    };
    let binary = binary(&outputs, &parameters)?;
    let asked = Asked {
        endpoint: endpoint.clone(),
        version,
        key,
        inputs,
        outputs: outputs.into_iter().map(|output| output.name).collect(),
        parameters,
        deadline,
    };
    let found = answer(&serving, asked).await?;
    response(&headers, endpoint, id, &binary, found)
}

fn header_length(headers: &HeaderMap, body: usize) -> Result<Option<usize>, Refusal> {
    let Some(value) = headers.get(HEADER_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.trim().parse::<usize>().ok());
    match length.filter(|length| *length <= body) {
        Some(length) => Ok(Some(length)),
        None => {
            let detail = format!(
                "`Inference-Header-Content-Length` says how many of the body's {body} bytes are \
                 its JSON"
            );
            Err(Refusal::new(Kind::InvalidInput, detail))
        }
    }
}

/// Binary tensors lie behind the JSON in the order of the inputs.
fn inputs(named: Vec<RequestInput<'_>>, mut tail: Bytes) -> Result<Vec<InputTensor>, Refusal> {
    let mut inputs = Vec::with_capacity(named.len());
    for input in named {
        let Some(size) = input.parameters.get("binary_data_size") else {
            inputs.push(tensor::read(input)?);
            continue;
        };
        let size = size.as_u64().and_then(|size| usize::try_from(size).ok());
        let Some(size) = size.filter(|size| *size <= tail.len()) else {
            let what = format!(
                "`binary_data_size` is a number of bytes, and {} are left behind the JSON (whose \
                 length `Inference-Header-Content-Length` says)",
                tail.len()
            );
            return Err(tensor::declined(&input.name, &what));
        };
        if input.data.is_some() {
            let what = "it has both `data` and `binary_data_size`";
            return Err(tensor::declined(&input.name, what));
        }
        inputs.push(raw::read(input.name, &input.datatype, input.shape, &tail.split_to(size))?);
    }
    if !tail.is_empty() {
        let detail = format!("{} bytes behind the JSON belong to no tensor", tail.len());
        return Err(Refusal::new(Kind::InvalidInput, detail));
    }
    Ok(inputs)
}

/// The body is the only input's cells; its datatype and width are the metadata's.
fn raw_request(serving: &Serving, name: &str, bytes: &Bytes) -> Result<InputTensor, Refusal> {
    let found = serving.0.metadata(name)?;
    let [only] = found.inputs.as_slice() else {
        let detail = format!(
            "a raw request is the bytes of one tensor, and endpoint `{name}` takes {}: send an \
             inference header",
            found.inputs.len()
        );
        return Err(Refusal::new(Kind::InvalidInput, detail));
    };
    let shape = match raw::cells_in(only.datatype, bytes) {
        Some(rows) => vec![rows, 1],
        None => vec![1, 1],
    };
    raw::read(only.name.clone(), only.datatype, shape, bytes)
}

fn binary(
    outputs: &[RequestOutput],
    parameters: &serde_json::Map<String, Value>,
) -> Result<Binary, Refusal> {
    let mut by_name = Vec::with_capacity(outputs.len());
    for output in outputs {
        if output.parameters.contains_key("classification") {
            let detail = format!(
                "output `{}`: `classification` is not given here: ask for `label` and \
                 `probabilities`",
                output.name
            );
            return Err(Refusal::new(Kind::InvalidInput, detail));
        }
        let own = output.parameters.get("binary_data").and_then(Value::as_bool);
        by_name.push((output.name.clone(), own));
    }
    let all = parameters.get("binary_data_output").and_then(Value::as_bool).unwrap_or_default();
    Ok(Binary { all, by_name })
}

fn response(
    asked: &HeaderMap,
    endpoint: String,
    id: Option<String>,
    binary: &Binary,
    found: InferAnswer,
) -> Result<Response, Error> {
    let mut tail = Vec::new();
    let mut has_tail = false;
    let mut outputs = Vec::with_capacity(found.outputs.len());
    for output in found.outputs {
        let is_binary = binary.is_wanted(&output.name);
        has_tail |= is_binary;
        outputs.push(tensor::write(output, is_binary.then_some(&mut tail)));
    }
    let head = InferResponse {
        model_name: endpoint,
        model_version: found.model_version.map(|version| version.to_string()),
        id,
        parameters: found.parameters.into_iter().map(|p| (p.name.into(), p.value.into())).collect(),
        outputs,
    };
    let mut bytes = serde_json::to_vec(&head)
        .map_err(|e| Fault::caused("an inference answer cannot be written", e))?;
    let length = bytes.len();
    if !has_tail {
        return Ok(body::answer(asked, "application/json", bytes));
    }
    bytes.append(&mut tail);
    let mut response = body::answer(asked, "application/octet-stream", bytes);
    response.headers_mut().insert(HEADER_LENGTH, HeaderValue::from(length));
    Ok(response)
}
