//! OpenFeature's Remote Evaluation Protocol: which variant an entity meets, for callers who run the
//! model elsewhere. A flag's key is an endpoint's name, its value the variant's word.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use viaduct_app::App;
use viaduct_base::{Digest, Kind, Refusal};
use viaduct_domain::permission::Operation;
use viaduct_gateway::{Assignment, AssignmentReason};

use crate::predict::Key;
use crate::routes::{Routes, doc};

pub(super) fn routes() -> Routes {
    let context = || {
        json!({ "type": "object", "properties": { "context": { "type": "object",
            "required": ["targetingKey"],
            "properties": { "targetingKey": { "type": "string" } } } } })
    };
    Routes::new()
        .post(
            "/ofrep/v1/evaluate/flags/{key}",
            Operation::EvaluateFlag,
            one,
            doc("ofrep", "OFREP: the variant that an entity meets at an endpoint").body(context),
        )
        .post(
            "/ofrep/v1/evaluate/flags",
            Operation::EvaluateFlag,
            all,
            doc("ofrep", "OFREP: the variants that an entity meets at every endpoint")
                .body(context),
        )
}

/// What the protocol answers when it does not evaluate.
struct Declined {
    status: StatusCode,
    code: &'static str,
    detail: String,
}

impl Declined {
    fn bad(code: &'static str, detail: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, detail: detail.into() }
    }

    fn respond(self, key: Option<&str>) -> Response {
        let mut body = json!({ "errorCode": self.code, "errorDetails": self.detail });
        if let Some(key) = key {
            body["key"] = json!(key);
        }
        (self.status, Json(body)).into_response()
    }
}

impl From<Refusal> for Declined {
    fn from(refusal: Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.kind.status());
        let code = match refusal.kind {
            Kind::NotFound => "FLAG_NOT_FOUND",
            Kind::NotReady => "PROVIDER_NOT_READY",
            _ => "GENERAL",
        };
        Self {
            status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code,
            detail: refusal.detail,
        }
    }
}

/// The context's targeting key.
fn targeting_key(bytes: &[u8]) -> Result<String, Declined> {
    let body: Value = serde_json::from_slice(bytes)
        .map_err(|error| Declined::bad("PARSE_ERROR", format!("the body is no JSON: {error}")))?;
    let empty = Value::Object(Map::new());
    let context = match body.get("context") {
        None | Some(Value::Null) => &empty,
        Some(context) if context.is_object() => context,
        Some(_) => {
            return Err(Declined::bad(
                "INVALID_CONTEXT",
                "`context` is an object with `targetingKey`",
            ));
        }
    };
    match context.get("targetingKey") {
        Some(Value::String(key)) if !key.is_empty() => Ok(key.clone()),
        None | Some(Value::Null | Value::String(_)) => Err(Declined::bad(
            "TARGETING_KEY_MISSING",
            "`context.targetingKey` is missing: send the business entity that sticks to a variant",
        )),
        Some(_) => Err(Declined::bad("INVALID_CONTEXT", "`context.targetingKey` is a text")),
    }
}

fn evaluated(found: &Assignment) -> Value {
    let reason = match found.reason {
        AssignmentReason::Static => "STATIC",
        AssignmentReason::Split => "SPLIT",
        AssignmentReason::Disabled => "DISABLED",
    };
    let mut metadata = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            metadata.insert(key.to_owned(), value);
        }
    };
    put("endpoint", json!(found.endpoint));
    put("model", json!(found.model));
    put("modelVersion", json!(found.model_version));
    put("bucket", json!(found.bucket));
    put("rollout", json!(found.rollout.map(|id| id.to_string())));
    put("trial", json!(found.trial.map(|id| id.to_string())));
    let variant = found.variant.as_str();
    json!({ "key": found.endpoint, "value": variant, "variant": variant, "reason": reason,
        "metadata": metadata })
}

async fn one(
    State(app): State<App>,
    Key(key): Key,
    Path(flag): Path<String>,
    bytes: Bytes,
) -> Response {
    let found = targeting_key(&bytes)
        .and_then(|entity| app.gateway().assignment(&flag, &key, &entity).map_err(Declined::from));
    match found {
        Ok(found) => Json(evaluated(&found)).into_response(),
        Err(declined) => declined.respond(Some(&flag)),
    }
}

async fn all(State(app): State<App>, Key(key): Key, headers: HeaderMap, bytes: Bytes) -> Response {
    let entity = match targeting_key(&bytes) {
        Ok(entity) => entity,
        Err(declined) => return declined.respond(None),
    };
    let found = match app.gateway().assignments(&key, &entity) {
        Ok(found) => found,
        Err(refusal) => return Declined::from(refusal).respond(None),
    };
    let flags: Vec<Value> = found.iter().map(evaluated).collect();
    let body = json!({ "flags": flags });
    let tag = format!("\"{}\"", Digest::of(body.to_string().as_bytes()));
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let mut response = if known == Some(tag.as_str()) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Json(body).into_response()
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_declined_as_the_protocol_says() {
        let code = |text: &str| targeting_key(text.as_bytes()).map_err(|declined| declined.code);
        assert_eq!(code(r#"{"context": {"targetingKey": "c-1"}}"#), Ok("c-1".to_owned()));
        assert_eq!(code("{"), Err("PARSE_ERROR"));
        for missing in ["{}", r#"{"context": {}}"#, r#"{"context": {"targetingKey": ""}}"#] {
            assert_eq!(code(missing), Err("TARGETING_KEY_MISSING"), "{missing}");
        }
        for bad in [r#"{"context": 1}"#, r#"{"context": {"targetingKey": 1}}"#] {
            assert_eq!(code(bad), Err("INVALID_CONTEXT"), "{bad}");
        }
    }
}
