//! `POST /api/v1/endpoints/{endpoint}/predict`: rows in, decisions out.

use std::time::{Duration, Instant};

use axum::extract::{FromRef, FromRequestParts, Path, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::Response;
use viaduct_app::App;
use viaduct_base::{Error, Fault, Kind, Refusal};
use viaduct_domain::assign::Variant;
use viaduct_domain::permission::Operation;
use viaduct_gateway::{Answer, CallKey, Gateway, PredictCall};
use viaduct_wire::predict::{
    Decision, PredictAnswer, PredictRequest, answer_schema, request_schema,
};

use crate::authenticate::ConsumerKey;
use crate::body::{self, Payload};
use crate::extract::{parse_json, require_json};
use crate::inline;
use crate::problem::Problem;
use crate::routes::{Doc, Routes, doc};

/// The native prediction route.
pub fn routes() -> Routes {
    let document = doc("decisions", "").body(request_schema);
    let document = Doc { answer: Some(answer_schema), ..document };
    Routes::new().post(
        "/api/v1/endpoints/{endpoint}/predict",
        Operation::Predict,
        predict,
        document,
    )
}

/// The data plane of the application.
#[derive(Debug, Clone)]
pub struct Serving(pub Gateway);

impl Serving {
    /// Asks for decisions on rows, of a variant of choice where a tester wants one.
    ///
    /// # Errors
    /// As [`Gateway::predict`]; a deadline that passed.
    pub(crate) async fn predict(
        &self,
        call: PredictCall,
        deadline: Option<Instant>,
        wanted: Option<Variant>,
    ) -> Result<Vec<Answer>, Error> {
        let entry = self.0.enter(&call.endpoint)?.until(deadline).picking(wanted);
        inline::run(entry, call.rows.len(), move |entry| entry.predict(call)).await
    }
}

impl FromRef<App> for Serving {
    fn from_ref(app: &App) -> Self {
        Self(app.gateway().clone())
    }
}

/// How the data plane knows the caller: a consumer's key is checked there; anybody else who came
/// this far was let in by the authorisation table.
pub(crate) struct Key(pub(crate) CallKey);

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(call_key(&parts.extensions)))
    }
}

/// The key that [`crate::authenticate`] left on the request.
pub fn call_key(extensions: &axum::http::Extensions) -> CallKey {
    match extensions.get::<ConsumerKey>() {
        Some(ConsumerKey(key)) => CallKey::Key(key.clone()),
        None => CallKey::Trusted,
    }
}

/// When the caller stops waiting: `X-Request-Timeout` in seconds, as in `0.25`, or `250ms`.
///
/// # Errors
/// The header is no such time.
pub(crate) fn deadline(headers: &HeaderMap) -> Result<Option<Instant>, Refusal> {
    let Some(value) = headers.get("x-request-timeout") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    let seconds = number.trim().parse::<f64>().map(|number| number * unit);
    match seconds.ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        Some(span) => Ok(Instant::now().checked_add(span)),
        None => {
            let detail = "`X-Request-Timeout` is a time in seconds, as in `0.25` or `250ms`";
            Err(Refusal::new(Kind::InvalidInput, detail))
        }
    }
}

/// The variant that a tester asks for: `X-Viaduct-Variant`. Heeded where the endpoint allows it.
///
/// # Errors
/// The header is no variant.
fn wanted(headers: &HeaderMap) -> Result<Option<Variant>, Refusal> {
    let Some(value) = headers.get("x-viaduct-variant") else { return Ok(None) };
    match value.to_str().ok().and_then(Variant::from_word) {
        Some(variant) => Ok(Some(variant)),
        None => {
            let detail = "`X-Viaduct-Variant` is `champion` or `challenger`";
            Err(Refusal::new(Kind::InvalidInput, detail))
        }
    }
}

pub(crate) async fn predict(
    State(serving): State<Serving>,
    Key(key): Key,
    Path(endpoint): Path<String>,
    payload: Payload,
) -> Result<Response, Problem> {
    require_json(&payload.headers)?;
    let deadline = deadline(&payload.headers)?;
    let wanted = wanted(&payload.headers)?;
    let request: PredictRequest = parse_json(&payload.bytes)?;
    let PredictRequest { rows, entity, keys, incumbent, replayed } = request;
    let call = PredictCall { endpoint, key, rows, entity, keys, incumbent, replayed };
    let answers = serving.predict(call, deadline, wanted).await?;
    let answer = PredictAnswer { decisions: answers.into_iter().map(decision).collect() };
    let bytes = serde_json::to_vec(&answer)
        .map_err(|e| Fault::caused("the decisions cannot be written", e))?;
    Ok(body::answer(&payload.headers, "application/json", bytes))
}

fn decision(answer: Answer) -> Decision {
    Decision {
        decision_id: answer.decision_id,
        variant: answer.variant.as_str(),
        output: answer.output,
        action: answer.action,
        model_version: answer.model_version,
        contract: answer.contract.map(|digest| digest.to_string()),
        fallback: answer.is_fallback,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines() {
        let with = |text: &'static str| {
            let value = axum::http::HeaderValue::from_static(text);
            let headers = HeaderMap::from_iter([("x-request-timeout".parse().unwrap(), value)]);
            let before = Instant::now();
            deadline(&headers).map(|at| at.map(|at| at.duration_since(before).as_millis()))
        };
        for (text, wanted) in [("2", 2_000), ("0.25", 250), ("250ms", 250), ("3s", 3_000)] {
            let found = with(text).unwrap().unwrap();
            assert!((wanted..wanted + 50).contains(&found), "{text}: {found}");
        }
        for bad in ["", "soon", "-1", "NaN", "1e400", "1h"] {
            assert!(with(bad).is_err(), "{bad}");
        }
        assert!(deadline(&HeaderMap::new()).unwrap().is_none());
    }
}
