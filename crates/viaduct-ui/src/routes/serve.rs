//! From a request to a response: caller, authorisation, form secret, handler, error page.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Form, FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{Method, Response, header};
use axum::response::IntoResponse;
use viaduct_app::App;
use viaduct_base::{Error, Fault, Kind, Refusal};
use viaduct_domain::permission::{Caller, Operation, check};

use super::answer::{Answer, failure};
use super::visit::Visit;
use super::{Answered, cookie};
use crate::{FRAGMENT_HEADER, path};

/// Largest form: a statement and a few names.
const FORM_BYTES_MAX: usize = 64 << 10;

/// Answers a request for a page or a form's target.
pub(super) async fn serve<H, F>(
    app: App,
    operation: Operation,
    request: Request,
    handler: H,
) -> Response<Body>
where
    H: Fn(Arc<Visit>) -> F,
    F: Future<Output = Answered>,
{
    let (mut parts, body) = request.into_parts();
    let is_post = parts.method == Method::POST;
    let Some(caller) = parts.extensions.get::<Caller>().cloned() else {
        // Without a caller there is no frame to show; only a wrong mounting leads here.
        tracing::error!(path = parts.uri.path(), "no caller on the request");
        return axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut visit = read(&mut parts, app, caller).await;
    if let Err(refusal) = check(&visit.caller, operation) {
        return declined(&visit, refusal, is_post);
    }
    if is_post {
        let checked = fields(&parts, body).await.and_then(|fields| {
            visit.form = fields;
            visit.check_form()
        });
        if let Err(refusal) = checked {
            return failure(&visit, &refusal.into());
        }
    }
    let visit = Arc::new(visit);
    match handler(Arc::clone(&visit)).await {
        Ok(answer) => answer.into_response(&visit),
        Err(Error::Refused(refusal)) => declined(&visit, refusal, is_post),
        Err(fault) => failure(&visit, &fault),
    }
}

/// A refusal: to the login form where signing in is what is missing, else the error page.
fn declined(visit: &Visit, refusal: Refusal, is_post: bool) -> Response<Body> {
    if refusal.kind != Kind::LoginRequired {
        return failure(visit, &refusal.into());
    }
    let is_home = visit.target == path::HOME;
    let to = if is_post || is_home {
        path::LOGIN.to_owned()
    } else {
        format!("{}?next={}", path::LOGIN, path::segment(&visit.target))
    };
    Answer::see(to).into_response(visit)
}

async fn read(parts: &mut Parts, app: App, caller: Caller) -> Visit {
    let params = match RawPathParams::from_request_parts(parts, &()).await {
        Ok(params) => params.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        // Undecodable parameters name nothing that exists: handlers answer `not-found`.
        Err(_) => Vec::new(),
    };
    let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
    let headers = &parts.headers;
    let host = headers.get(header::HOST).and_then(|v| v.to_str().ok()).unwrap_or("127.0.0.1:7878");
    let scheme = if app.settings().is_loopback { "http" } else { "https" };
    let target = parts.uri.path_and_query().map_or(path::HOME, |target| target.as_str());
    Visit {
        server: format!("{scheme}://{host}"),
        app,
        caller,
        params,
        query: query.map(|query| query.0.into_iter().collect()).unwrap_or_default(),
        form: BTreeMap::new(),
        target: target.to_owned(),
        is_fragment: headers.contains_key(FRAGMENT_HEADER),
        session: cookie::read(headers, cookie::SESSION),
        form_cookie: cookie::read(headers, cookie::FORM),
        fresh_cookie: Visit::fresh(),
        flash: cookie::read_flash(headers),
    }
}

async fn fields(parts: &Parts, body: Body) -> Result<BTreeMap<String, String>, Refusal> {
    let bytes = to_bytes(body, FORM_BYTES_MAX).await.map_err(|_| {
        Refusal::new(Kind::TooLarge, format!("a form holds at most {FORM_BYTES_MAX} bytes"))
    })?;
    let mut request = Request::new(Body::from(bytes));
    *request.method_mut() = Method::POST;
    if let Some(kind) = parts.headers.get(header::CONTENT_TYPE) {
        request.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
    }
    let form = Form::<Vec<(String, String)>>::from_request(request, &()).await;
    let form = form.map_err(|rejection| {
        Refusal::new(Kind::InvalidInput, format!("the form does not read: {rejection}"))
    })?;
    Ok(form.0.into_iter().collect())
}

/// A blocking read that ended by itself.
pub(super) async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Fault::caused(what, e).into())
}
