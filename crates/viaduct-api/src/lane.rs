//! The short way to a prediction.
//!
//! Why beside the router: what stands before every route (id, Host and Origin, caller, row of the
//! authorisation table) is a future in a box for each of them there, which together take longer
//! than a small model. Here the same functions are called one after the other. Whatever is not
//! plainly one of the three requests takes the router's way and means the same.

use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRef as _, FromRequest as _, Path, Request, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use tower::util::{BoxCloneSyncService, MapResponse};
use tower::{Service, ServiceExt as _};
use viaduct_app::App;
use viaduct_base::Error;
use viaduct_domain::permission::{Caller, Operation};
use viaduct_gateway::CallKey;

use crate::authenticate::{self, ConsumerKey};
use crate::body::Payload;
use crate::guard::{self, AllowedHosts};
use crate::predict::{Key, Serving};
use crate::{mlflow, oip, predict, problem, router, routes};

/// Answers calls of the inference service over gRPC. It checks the authorisation table itself, by
/// the caller on the request.
pub type Grpc = BoxCloneSyncService<Request, Response, Infallible>;

/// A service of gRPC for [`crate::router`].
pub fn grpc<S, B>(service: S) -> Grpc
where
    S: Service<Request, Response = axum::http::Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Grpc::new(MapResponse::new(service, |response: S::Response| response.map(Body::new)))
}

/// The path of the call that is a prediction.
const MODEL_INFER: &str = "/inference.GRPCInferenceService/ModelInfer";

/// The three requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `POST /api/v1/endpoints/{endpoint}/predict`.
    Predict,
    /// `POST /v2/models/{name}/infer`.
    Infer,
    /// [`MODEL_INFER`]; the endpoint's name is in the message.
    ModelInfer,
}

/// Which of them a request is, and the endpoint's name; `None` for anything that needs a second
/// look, such as an escaped name.
fn kind<'a>(method: &Method, path: &'a str) -> Option<(Kind, &'a str)> {
    if method != Method::POST || mlflow::speaks(path) {
        return None;
    }
    if path == MODEL_INFER {
        return Some((Kind::ModelInfer, ""));
    }
    let between = |start: &str, end: &str| path.strip_prefix(start)?.strip_suffix(end);
    let (kind, name) = match between("/v2/models/", "/infer") {
        Some(name) => (Kind::Infer, name),
        None => (Kind::Predict, between("/api/v1/endpoints/", "/predict")?),
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (!name.is_empty() && name.bytes().all(is_plain)).then_some((kind, name))
}

/// Answers the three requests itself and gives the others to `rest`.
#[derive(Clone)]
pub(crate) struct Lane<S> {
    doors: Arc<Doors>,
    rest: S,
}

struct Doors {
    app: App,
    hosts: AllowedHosts,
    grpc: Grpc,
}

impl<S> Lane<S> {
    pub(crate) fn new(app: App, hosts: AllowedHosts, grpc: Grpc, rest: S) -> Self {
        Self { doors: Arc::new(Doors { app, hosts, grpc }), rest }
    }
}

impl<S> Service<Request> for Lane<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    /// The rest is asked for its readiness when a request is for it.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let is_traced = self.doors.app.telemetry().is_some();
        match kind(request.method(), request.uri().path()) {
            // Why not where requests are traced: the router's way is the one that has the spans.
            Some((kind, name)) if !is_traced => {
                let (doors, name) = (Arc::clone(&self.doors), name.to_owned());
                Box::pin(async move { Ok(doors.answer(kind, name, request).await) })
            }
            _ => Box::pin(self.rest.clone().oneshot(request)),
        }
    }
}

impl Doors {
    /// In the order of [`router::guarded`].
    async fn answer(&self, kind: Kind, name: String, request: Request) -> Response {
        let id = router::new_id();
        let answering = AssertUnwindSafe(self.guarded(kind, name, request)).catch_unwind();
        let mut response = answering.await.unwrap_or_else(router::panicked);
        guard::harden(response.headers_mut());
        router::name(&mut response, &id);
        response
    }

    async fn guarded(&self, kind: Kind, name: String, mut request: Request) -> Response {
        let (method, headers, uri) = (request.method(), request.headers(), request.uri());
        let (caller, key) = match self.admit(method, headers, uri).await {
            Ok(admitted) => admitted,
            Err(error) => return problem::error_response(request.uri().path(), error),
        };
        if kind == Kind::ModelInfer {
            authenticate::put(&mut request, caller, key);
            return self.grpc.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        }
        let key = Key(key.map_or(CallKey::Trusted, |ConsumerKey(key)| CallKey::Key(key)));
        let serving = Serving::from_ref(&self.app);
        let payload = match Payload::from_request(request, &()).await {
            Ok(payload) => payload,
            Err(unread) => return unread.into_response(),
        };
        match kind {
            Kind::Predict => {
                let endpoint = Path(name);
                predict::predict(State(serving), key, endpoint, payload).await.into_response()
            }
            _ => oip::infer(State(serving), key, Path(name), payload).await.into_response(),
        }
    }

    /// Host and Origin, then the caller, then what the caller may.
    async fn admit(
        &self,
        method: &Method,
        headers: &HeaderMap,
        uri: &Uri,
    ) -> Result<(Caller, Option<ConsumerKey>), Error> {
        guard::check(&self.hosts, method, headers, uri)?;
        let (caller, key) = authenticate::caller(&self.app, headers).await?;
        routes::allowed(&caller, key.is_some(), Operation::Predict)?;
        Ok((caller, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_plainly_a_prediction() {
        let found = |path| kind(&Method::POST, path);
        assert_eq!(found("/v2/models/churn/infer"), Some((Kind::Infer, "churn")));
        assert_eq!(
            found("/api/v1/endpoints/churn-2.b_c/predict"),
            Some((Kind::Predict, "churn-2.b_c"))
        );
        assert_eq!(found(MODEL_INFER), Some((Kind::ModelInfer, "")));
        assert_eq!(kind(&Method::GET, "/v2/models/churn/infer"), None);
        for other in [
            "/v2/models//infer",
            "/v2/models/infer",
            "/v2/models/a/versions/1/infer",
            "/v2/models/a%2Fb/infer",
            "/v2/models/mlflow/infer",
            "/mlflow/v2/models/churn/infer",
            "/v2/models/churn/infer/",
            "/api/v1/endpoints/churn/predict/x",
            "/inference.GRPCInferenceService/ModelStreamInfer",
        ] {
            assert_eq!(found(other), None, "{other}");
        }
    }
}
