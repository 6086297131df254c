//! Bytes become typed commands here, once: JSON bodies and queries with errors that name the place.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use viaduct_base::{FieldError, Kind, Refusal};
use viaduct_domain::permission::Caller;

use crate::body;
use crate::problem::Problem;

/// A JSON body. Only `application/json` is read, so that a foreign page cannot post a form here.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        require_json(request.headers())?;
        let bytes = body::read(request.into_body()).await?;
        Ok(Self(parse_json(&bytes)?))
    }
}

/// Why demanded: a form of a foreign page can post other types, but not this one.
pub(crate) fn require_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) == Some("application/json") {
        return Ok(());
    }
    Err(Refusal::new(
        Kind::InvalidInput,
        format!("`Content-Type: {kind}` is not read here: send `application/json`"),
    ))
}

/// Reads JSON; a syntax or shape error carries its line and column.
pub fn parse_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| {
        let place = FieldError {
            pointer: String::new(),
            detail: error.to_string(),
            line: Some(error.line() as u64),
            column: Some(error.column() as u64),
        };
        Refusal::new(
            Kind::InvalidInput,
            format!("the body is not what this address takes: {error}"),
        )
        .with_errors(vec![place])
    })
}

/// Query parameters.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        axum::extract::Query::try_from_uri(&parts.uri).map(|q| Self(q.0)).map_err(|rejection| {
            Refusal::new(
                Kind::InvalidInput,
                format!("the query is not valid: {}", rejection.body_text()),
            )
            .into()
        })
    }
}

/// Who is calling; put on the request by [`crate::authenticate`].
pub struct Who(pub Caller);

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Caller>()
            .cloned()
            .map(Who)
            .ok_or_else(|| viaduct_base::Fault::new("no caller on the request").into())
    }
}

/// A text body of any media type that a form of a foreign page cannot send.
pub struct Text(pub String);

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let plain = kind.and_then(|k| k.split(';').next()).map(str::trim).unwrap_or_default();
        let from_a_form =
            ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain", ""];
        if from_a_form.contains(&plain) {
            let detail = format!(
                "`Content-Type: {plain}` is not read here: send `application/yaml` or `text/csv`"
            );
            return Err(Refusal::new(Kind::InvalidInput, detail).into());
        }
        let bytes = body::read(request.into_body()).await?;
        String::from_utf8(bytes.to_vec()).map(Self).map_err(|error| {
            Refusal::new(Kind::InvalidInput, format!("the body is not UTF-8: {error}")).into()
        })
    }
}

/// A JSON body that may be absent.
pub struct OptionalBody<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let headers = request.headers().clone();
        let bytes = body::read(request.into_body()).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        require_json(&headers)?;
        Ok(Self(parse_json(&bytes)?))
    }
}

/// An id from a path; one that does not parse is as good as unknown.
///
/// # Errors
/// `not-found` that says what an id of this kind looks like.
pub fn id<T: std::str::FromStr<Err = viaduct_base::InvalidId>>(text: &str) -> Result<T, Refusal> {
    text.parse()
        .map_err(|error: viaduct_base::InvalidId| Refusal::new(Kind::NotFound, error.to_string()))
}
