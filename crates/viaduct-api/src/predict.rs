//! `POST /api/v1/endpoints/{endpoint}/predict`: rows in, decisions out.

use axum::Json;
use axum::extract::{FromRef, FromRequestParts, Path, State};
use axum::http::request::Parts;
use viaduct_app::App;
use viaduct_base::{Error, Fault};
use viaduct_domain::permission::Operation;
use viaduct_gateway::{Answer, CallKey, Gateway, PredictCall};
use viaduct_wire::predict::{
    Decision, PredictAnswer, PredictRequest, answer_schema, request_schema,
};

use crate::authenticate::ConsumerKey;
use crate::extract::Body;
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
        Ok(Self(match parts.extensions.get::<ConsumerKey>() {
            Some(ConsumerKey(key)) => CallKey::Key(key.clone()),
            None => CallKey::Trusted,
        }))
    }
}

pub(crate) async fn predict(
    State(Serving(gateway)): State<Serving>,
    Key(key): Key,
    Path(endpoint): Path<String>,
    Body(request): Body<PredictRequest>,
) -> Result<Json<PredictAnswer>, Problem> {
    let PredictRequest { rows, entity, keys, incumbent, replayed } = request;
    let call = PredictCall { endpoint, key, rows, entity, keys, incumbent, replayed };
    let answers = off_the_reactor(move || gateway.predict(call)).await?;
    Ok(Json(PredictAnswer { decisions: answers.into_iter().map(decision).collect() }))
}

/// Why a thread of its own: a run of the model takes microseconds, but a stalled disk or a group
/// fsync would hold up every connection of this worker.
pub(crate) async fn off_the_reactor<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(Fault::caused("the prediction did not end", e).into()))
}

fn decision(answer: Answer) -> Decision {
    Decision {
        decision_id: answer.decision_id,
        variant: answer.variant.as_str(),
        output: answer.output,
        action: answer.action,
        model_version: answer.model_version,
        contract: answer.contract.map(|digest| digest.to_string()),
    }
}
