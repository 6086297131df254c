//! The whole API: all routes, and what stands before every one of them.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use axum::{Json, Router};
use serde_json::Value;
use tower::{ServiceBuilder, ServiceExt};
use tower_http::catch_panic::CatchPanicLayer;
use viaduct_app::App;
use viaduct_base::{Kind, Refusal, RequestId, Timestamp};
use viaduct_domain::permission::Operation;

use crate::body::BODY_BYTES_MAX;
use crate::guard::AllowedHosts;
use crate::lane::{Grpc, Lane};
use crate::routes::{Routes, Row, doc};
use crate::{authenticate, guard, mlflow, native, oip, openapi, predict, problem, scoring, trace};

/// Every route of the API with its operation; `document` is what describes them.
fn routes(document: Arc<Value>) -> Routes {
    native::routes()
        .merge(predict::routes())
        .merge(oip::routes())
        .merge(scoring::routes())
        .merge(mlflow::routes())
        .get(
            "/api/openapi.json",
            Operation::ReadOpenApi,
            move || {
                let document = Arc::clone(&document);
                async move { Json((*document).clone()) }
            },
            doc("platform", "This document"),
        )
}

/// The rows of the API alone, for documents and tests.
pub fn rows() -> Vec<Row> {
    routes(Arc::default()).finish().1
}

/// The pages, which stand beside the API.
#[derive(Default)]
pub struct Pages {
    /// Guarded routes; services of gRPC may be among them.
    pub routes: Router<App>,
    /// The rows of the pages.
    pub rows: Vec<Row>,
    /// What a person sees at an address where nothing is.
    pub lost: Option<MethodRouter<App>>,
}

/// The API beside the pages, and beside `grpc`, whose services are among the pages' routes too.
pub fn router(app: App, hosts: AllowedHosts, pages: Pages, grpc: Grpc) -> Router {
    let rows: Vec<Row> = rows().into_iter().chain(pages.rows).collect();
    let api = routes(Arc::new(openapi::document(&rows))).finish().0;
    let answering = guarded(api.merge(pages.routes), pages.lost, app.clone(), hosts.clone());
    // Why around it all: a request is routed by its path as it came, so the prefix goes first.
    let unprefixed = ServiceBuilder::new().map_request(mlflow::ui::unprefix).service(answering);
    Router::new().fallback_service(Lane::new(app, hosts, grpc, unprefixed))
}

/// The services of gRPC alone: `services` are their routes.
pub fn grpc_router(app: App, hosts: AllowedHosts, services: Router<App>, grpc: Grpc) -> Router {
    let answering = guarded(services, None, app.clone(), hosts.clone());
    Router::new().fallback_service(Lane::new(app, hosts, grpc, answering))
}

/// Routes with what stands before every one of them.
///
/// Order, outermost first: a span is begun where requests are traced, panics are caught, Host and
/// Origin are checked, the caller is authenticated, the operation's row of the authorisation table
/// is checked, the handler runs. [`Lane`] says the same for a prediction.
fn guarded(
    routes: Router<App>,
    lost: Option<MethodRouter<App>>,
    app: App,
    hosts: AllowedHosts,
) -> Router {
    let telemetry = app.telemetry().cloned();
    let lost = lost.map(|lost| lost.with_state::<()>(app.clone()));
    let routes = routes
        .fallback(move |request: Request| fallback(lost.clone(), request))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(mlflow::workspaces::refuse_named))
        .layer(middleware::from_fn_with_state(app.clone(), authenticate::authenticate))
        .layer(middleware::from_fn_with_state(hosts, guard::guard))
        .layer(middleware::from_fn(request_id))
        .layer(CatchPanicLayer::custom(panicked));
    let routes = match telemetry {
        Some(telemetry) => routes.layer(middleware::from_fn_with_state(telemetry, trace::trace)),
        None => routes,
    };
    routes.with_state(app)
}

/// Gives every answer an id that its log lines carry too.
async fn request_id(request: Request, next: Next) -> Response {
    let id = new_id();
    let mut response = next.run(request).await;
    name(&mut response, &id);
    response
}

pub(crate) fn new_id() -> RequestId {
    RequestId::new(Timestamp::from_system())
}

/// Puts the id on the answer, unless it bears one.
pub(crate) fn name(response: &mut Response, id: &RequestId) {
    if let Ok(mut value) = HeaderValue::try_from(id.to_string()) {
        // Why: HTTP/2 keeps no value in its table that never comes again.
        value.set_sensitive(true);
        response.headers_mut().entry("x-request-id").or_insert(value);
    }
}

async fn fallback(lost: Option<MethodRouter>, request: Request) -> Response {
    match lost {
        Some(lost) if is_visit(&request) => lost.oneshot(request).await.into_response(),
        _ => nothing_at(request.uri().path()),
    }
}

/// Whether a browser asks for a page: programs do not say that they want HTML.
fn is_visit(request: &Request) -> bool {
    let path = request.uri().path();
    let accepted = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    request.method() == Method::GET
        && accepted.is_some_and(|accepted| accepted.contains("text/html"))
        && !path.starts_with("/api/")
        && !mlflow::speaks(path)
}

fn nothing_at(path: &str) -> Response {
    if mlflow::speaks(path) {
        return mlflow::unknown_endpoint(path);
    }
    if problem::is_grpc(path) {
        let detail = format!("there is no method `{path}`");
        return problem::refusal_response(path, &Refusal::new(Kind::MethodNotAllowed, detail));
    }
    let detail = format!("nothing answers at `{path}`: `/api` lists what does");
    problem::refusal_response(path, &Refusal::new(Kind::NotFound, detail))
}

async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    let detail = format!("`{}` does not answer {method}", uri.path());
    problem::refusal_response(uri.path(), &Refusal::new(Kind::MethodNotAllowed, detail))
}

pub(crate) fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let what = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    let fault = viaduct_base::Fault::new(format!("a handler panicked: {what}"));
    let mut response = problem::fault_response(&fault);
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.into_response()
}
