//! What REST and gRPC have in common: tensors and parameters become one call of the data plane.

use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use viaduct_base::{Error, Kind, Refusal};
use viaduct_gateway::{CallKey, EndpointMetadata, InferAnswer, InferCall, InputTensor};

use crate::inline;
use crate::predict::Serving;

/// An inference as it was asked for, in whichever form.
#[derive(Debug)]
pub struct Asked {
    /// The endpoint's name.
    pub endpoint: String,
    /// The version that must be the one in service.
    pub version: Option<String>,
    /// How the caller is known.
    pub key: CallKey,
    /// The tensors.
    pub inputs: Vec<InputTensor>,
    /// Names of the wanted outputs; empty for the usual ones.
    pub outputs: Vec<String>,
    /// The request's parameters.
    pub parameters: Map<String, Value>,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
}

/// Asks the data plane.
///
/// # Errors
/// As [`viaduct_gateway::Gateway::infer`]; a version that is not served, parameters of another
/// type, a deadline that passed.
pub async fn answer(serving: &Serving, asked: Asked) -> Result<InferAnswer, Error> {
    let Asked { endpoint, version, key, inputs, outputs, parameters, deadline } = asked;
    if let Some(version) = version.filter(|version| !version.is_empty()) {
        check_version(&serving.0.metadata(&endpoint)?, &version)?;
    }
    let rows = inputs.iter().filter_map(|input| input.shape.first()).max();
    let rows = rows.map_or(0, |rows| usize::try_from(*rows).unwrap_or(usize::MAX));
    let deadline = sooner(deadline, timeout(&parameters)?);
    let call = InferCall {
        endpoint,
        key,
        inputs,
        outputs,
        entity: text(&parameters, "entity")?,
        keys: text(&parameters, "keys")?,
        replayed: flag(&parameters, "replayed")?,
    };
    let entry = serving.0.enter(&call.endpoint)?.until(deadline);
    inline::run(entry, rows, move |entry| entry.infer(call)).await
}

/// # Errors
/// The endpoint serves another version.
pub fn check_version(found: &EndpointMetadata, version: &str) -> Result<(), Refusal> {
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

fn flag(parameters: &Map<String, Value>, name: &str) -> Result<bool, Refusal> {
    match parameters.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => {
            let detail = format!("the parameter `{name}` is true or false");
            Err(Refusal::new(Kind::InvalidInput, detail))
        }
    }
}

/// Triton's parameter `timeout`: microseconds; 0 is none.
fn timeout(parameters: &Map<String, Value>) -> Result<Option<Instant>, Refusal> {
    let micros = match parameters.get("timeout") {
        None | Some(Value::Null) => None,
        Some(value) => Some(value.as_u64().ok_or_else(|| {
            Refusal::new(Kind::InvalidInput, "the parameter `timeout` is a number of microseconds")
        })?),
    };
    let micros = micros.filter(|micros| *micros > 0);
    Ok(micros.and_then(|micros| Instant::now().checked_add(Duration::from_micros(micros))))
}

fn sooner(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
