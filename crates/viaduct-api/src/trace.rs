//! A span for each request, and the trace context that its headers bring.
//!
//! Mounted only where spans or metrics are sent; without that no request passes here.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};
use viaduct_telemetry::{Journey, Telemetry, follow, within};

use crate::problem;

/// gRPC's statuses that are the server's failure, by the conventions of OpenTelemetry.
const GRPC_FAILURES: [i64; 6] = [2, 4, 12, 13, 14, 15];

/// A journey that ends here at the latest, also when the caller leaves.
struct Ends(Arc<Journey>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Stands before everything else, so that a panic and a refusal are seen too.
pub(crate) async fn trace(
    State(telemetry): State<Telemetry>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let parent = only(headers, "traceparent");
    let state = joined(headers, "tracestate");
    let journey = telemetry.journey(parent, state.as_deref());
    let ends = Ends(Arc::clone(&journey));
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let is_grpc = problem::is_grpc(route.unwrap_or_default());
    if journey.is_kept() {
        introduce(&journey, request.method(), route, request.uri().path(), is_grpc);
        journey.fail("cancelled");
    }
    let response = follow(Arc::clone(&journey), next.run(request)).await;
    if journey.is_kept() {
        conclude(&journey, &response);
    }
    match is_grpc {
        false => response,
        true => response.map(|inner| Body::new(Traced { inner, ends })),
    }
}

/// Two of them say nothing that could be followed.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.to_str().ok()).flatten()
}

fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let values = headers.get_all(name).iter();
    let values: Vec<&str> = values.map(|value| value.to_str().ok()).collect::<Option<_>>()?;
    (!values.is_empty()).then(|| values.join(","))
}

/// Why never the path or the query: they may name a person.
fn introduce(journey: &Journey, method: &Method, route: Option<&str>, path: &str, is_grpc: bool) {
    if let (true, Some((service, call))) = (is_grpc, path.trim_matches('/').split_once('/')) {
        let call = if call.len() <= 64 { call } else { "_OTHER" };
        journey.name(format!("{service}/{call}"));
        journey.note("rpc.system", "grpc");
        journey.note("rpc.service", service.to_owned());
        journey.note("rpc.method", call.to_owned());
        return;
    }
    let method = known(method);
    let named = if method == "_OTHER" { "HTTP" } else { method };
    let name: Cow<'static, str> = match route {
        Some(route) => format!("{named} {route}").into(),
        None => named.into(),
    };
    journey.name(name);
    journey.note("http.request.method", method);
    journey.note("url.scheme", "http");
    if let Some(route) = route {
        journey.note("http.route", route.to_owned());
    }
}

fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}

fn conclude(journey: &Journey, response: &Response) {
    let status = response.status();
    journey.note("http.response.status_code", i64::from(status.as_u16()));
    if let Some(id) = response.headers().get("x-request-id").and_then(|id| id.to_str().ok()) {
        journey.note("viaduct.request_id", id.to_owned());
    }
    match status.is_server_error() {
        true => journey.fail(status.as_u16().to_string()),
        false => journey.well(),
    }
    grpc_status(journey, response.headers());
}

fn grpc_status(journey: &Journey, headers: &HeaderMap) {
    let status = headers.get("grpc-status").and_then(|value| value.to_str().ok());
    let Some(status) = status.and_then(|status| status.parse::<i64>().ok()) else { return };
    journey.note("rpc.grpc.status_code", status);
    if GRPC_FAILURES.contains(&status) {
        journey.fail(status.to_string());
    }
}

/// The answer of a call over gRPC: a stream works while it is read, and says its status last.
struct Traced {
    inner: Body,
    ends: Ends,
}

impl HttpBody for Traced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let journey = Arc::clone(&self.ends.0);
        let inner = Pin::new(&mut self.inner);
        let polled = within(Some(Arc::clone(&journey)), || inner.poll_frame(cx));
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
        {
            grpc_status(&journey, trailers);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
