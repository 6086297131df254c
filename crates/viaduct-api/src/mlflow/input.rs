//! Requests: a query or a JSON body becomes fields.

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Map, Value};
use viaduct_app::mlflow::{PageRequest, Pair, Query};
use viaduct_wire::mlflow::{Fields, Malformed, query_fields};

use super::answer::Trouble;

/// Largest JSON body: a dataset's profile alone may have 16 MB.
const BYTES_MAX: usize = 64 << 20;

/// What a request said.
pub(super) struct Input {
    object: Map<String, Value>,
    /// Length of the body.
    pub(super) bytes: usize,
}

impl Input {
    /// The member of that name as it was sent.
    pub(super) fn member(&self, name: &str) -> Option<&Value> {
        self.object.get(name)
    }

    /// Its fields.
    pub(super) fn fields(&self) -> Fields<'_> {
        Fields::new(&self.object)
    }
}

impl<S: Send + Sync> FromRequest<S> for Input {
    type Rejection = Trouble;

    async fn from_request(request: Request, _: &S) -> Result<Self, Trouble> {
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(request.uri())
                .map_err(|e| bad_request(e.body_text()))?;
            return Ok(Self { object: query_fields(pairs.0), bytes: 0 });
        }
        let kind = content_type(request.headers());
        let may_be_empty = *request.method() == Method::DELETE;
        let bytes = to_bytes(request.into_body(), BYTES_MAX).await.map_err(|e| {
            bad_request(format!("The body could not be read, or is over {BYTES_MAX} bytes: {e}"))
        })?;
        if bytes.is_empty() && may_be_empty && kind.is_none() {
            return Ok(Self { object: Map::new(), bytes: 0 });
        }
        // Why: a foreign page can post a form or plain text without asking, JSON it cannot.
        match kind.as_deref() {
            Some("application/json") => {}
            None => return Err(bad_request("Bad Request. Content-Type header is missing.".into())),
            Some(_) => {
                return Err(bad_request(
                    "Bad Request. Content-Type must be one of ['application/json'].".into(),
                ));
            }
        }
        Ok(Self { object: object(&bytes)?, bytes: bytes.len() })
    }
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().unwrap_or("?");
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

fn bad_request(message: String) -> Trouble {
    Trouble::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
}

/// A JSON object; nothing is an empty one, and older clients encode theirs twice.
fn object(bytes: &[u8]) -> Result<Map<String, Value>, Trouble> {
    let malformed = |e: serde_json::Error| {
        Trouble::from(Malformed(format!("The request body is not a JSON object: {e}")))
    };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    let read: Value = serde_json::from_slice(bytes).map_err(malformed)?;
    let read = match read {
        Value::String(inner) => serde_json::from_str(&inner).map_err(malformed)?,
        read => read,
    };
    match read {
        Value::Object(object) => Ok(object),
        Value::Null => Ok(Map::new()),
        _ => Err(Malformed("The request body is not a JSON object.".into()).into()),
    }
}

/// What the client called this server, with its port.
pub(super) struct OwnHost(pub(super) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for OwnHost {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Trouble> {
        let host = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok());
        Ok(Self(host.map(str::to_owned)))
    }
}

/// A list of tags or params.
pub(super) fn pairs(fields: &Fields<'_>, name: &str) -> Result<Vec<Pair>, Malformed> {
    fields.objects(name)?.iter().map(pair).collect()
}

/// A tag or param that must have a key.
pub(super) fn pair(fields: &Fields<'_>) -> Result<Pair, Malformed> {
    Ok(Pair { key: fields.required("key")?, value: fields.text("value")?.unwrap_or_default() })
}

/// The page that is wanted.
pub(super) fn page(fields: &Fields<'_>) -> Result<PageRequest, Malformed> {
    Ok(PageRequest {
        max_results: fields.int("max_results")?,
        token: fields.text("page_token")?.filter(|token| !token.is_empty()),
    })
}

/// Filter, order and page.
pub(super) fn query(fields: &Fields<'_>) -> Result<Query, Malformed> {
    Ok(Query {
        filter: fields.text("filter")?.unwrap_or_default(),
        order_by: fields.texts("order_by")?,
        page: page(fields)?,
    })
}

/// An enumeration's word, or its number as text.
pub(super) fn word(fields: &Fields<'_>, name: &str) -> Result<Option<String>, Malformed> {
    match fields.text(name) {
        Ok(text) => Ok(text.filter(|text| !text.is_empty())),
        Err(malformed) => match fields.int(name) {
            Ok(number) => Ok(number.map(|number| number.to_string())),
            Err(_) => Err(malformed),
        },
    }
}
