//! What a page's handler answers, and how it becomes a response.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use viaduct_base::{Error, Fault, Refusal, RequestId, Timestamp};

use super::cookie;
use super::visit::Visit;
use crate::assets::{CONTENT_SECURITY_POLICY, IMMUTABLE};
use crate::render;
use crate::view::{ErrorPage, Flash, FlashLevel};

/// What a handler answers.
pub(super) enum Answer {
    /// A page or the main part of one.
    Html {
        /// The status.
        status: StatusCode,
        /// The text.
        html: String,
    },
    /// Look there.
    See {
        /// An address on this server.
        to: String,
        /// What has happened.
        flash: Option<Flash>,
        /// Cookies to set.
        cookies: Vec<String>,
    },
    /// An embedded file.
    Asset(&'static crate::assets::Asset),
    /// A table.
    Csv {
        /// The file's name.
        file: String,
        /// The rows.
        text: String,
    },
}

impl Answer {
    /// Look there.
    pub(super) fn see(to: impl Into<String>) -> Self {
        Answer::See { to: to.into(), flash: None, cookies: Vec::new() }
    }

    /// It is done; look there.
    pub(super) fn done(to: impl Into<String>, text: impl Into<String>) -> Self {
        let flash = Flash { level: FlashLevel::Done, text: text.into() };
        Answer::See { to: to.into(), flash: Some(flash), cookies: Vec::new() }
    }

    /// The response to this visit.
    pub(super) fn into_response(self, visit: &Visit) -> Response<Body> {
        match self {
            Answer::Html { status, html } => {
                let mut cookies: Vec<String> = visit.cookie_to_set().into_iter().collect();
                // A fragment shows no messages, so it does not use them up.
                if visit.flash.is_some() && !visit.is_fragment {
                    cookies.push(cookie::forget(cookie::FLASH));
                }
                html_response(status, html, &cookies)
            }
            Answer::See { to, flash, mut cookies } => {
                cookies.extend(flash.map(|flash| cookie::flash(&flash, visit.is_loopback())));
                let mut response = respond(StatusCode::SEE_OTHER, Body::empty());
                set(&mut response, header::LOCATION, &to);
                set(&mut response, header::CACHE_CONTROL, "no-store");
                put_cookies(&mut response, &cookies);
                response
            }
            Answer::Asset(asset) => {
                let mut response = respond(StatusCode::OK, Body::from(asset.bytes));
                set(&mut response, header::CONTENT_TYPE, asset.content_type);
                set(&mut response, header::CACHE_CONTROL, IMMUTABLE);
                response
            }
            Answer::Csv { file, text } => {
                let mut response = respond(StatusCode::OK, Body::from(text));
                set(&mut response, header::CONTENT_TYPE, "text/csv; charset=utf-8");
                let disposition = format!("attachment; filename=\"{file}\"");
                set(&mut response, header::CONTENT_DISPOSITION, &disposition);
                set(&mut response, header::CACHE_CONTROL, "no-store");
                response
            }
        }
    }
}

fn respond(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

fn set(response: &mut Response<Body>, name: HeaderName, value: &str) {
    // What cannot stand in a header is left out; addresses and names here are percent-encoded.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn put_cookies(response: &mut Response<Body>, cookies: &[String]) {
    for text in cookies {
        if let Ok(value) = HeaderValue::from_str(text) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
}

fn html_response(status: StatusCode, html: String, cookies: &[String]) -> Response<Body> {
    let mut response = respond(status, Body::from(html));
    set(&mut response, header::CONTENT_TYPE, "text/html; charset=utf-8");
    set(&mut response, header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    set(&mut response, header::CACHE_CONTROL, "no-store");
    let vary = format!("cookie, {}", crate::FRAGMENT_HEADER);
    set(&mut response, header::VARY, &vary);
    put_cookies(&mut response, cookies);
    response
}

/// The page of what went wrong. A fault is logged here, once, under the id that the page shows.
pub(super) fn failure(visit: &Visit, error: &Error) -> Response<Body> {
    let request = RequestId::new(Timestamp::from_system());
    let page = match error {
        Error::Refused(refusal) => refused(visit, refusal, request),
        Error::Fault(fault) => {
            tracing::error!(request.id = %request, fault = %fault.chain(), "a page failed");
            broken(visit, fault, request)
        }
    };
    let status = StatusCode::from_u16(page.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let html = render(&page).unwrap_or_else(|fault| {
        tracing::error!(request.id = %request, fault = %fault.chain(), "the error page failed");
        format!("<!doctype html><title>Error</title><p>Something broke. Quote {request}.</p>")
    });
    let mut response = html_response(status, html, visit.cookie_to_set().as_slice());
    set(&mut response, HeaderName::from_static("x-request-id"), &request.to_string());
    if page.status == 503 || page.status == 429 {
        set(&mut response, header::RETRY_AFTER, "1");
    }
    response
}

fn refused(visit: &Visit, refusal: &Refusal, request: RequestId) -> ErrorPage {
    let places = refusal.errors.iter().map(|e| format!("; `{}`: {}", e.pointer, e.detail));
    ErrorPage {
        shell: visit.shell(),
        status: refusal.kind.status(),
        heading: refusal.kind.title().to_owned(),
        detail: format!("{}{}", sentence(&refusal.detail), places.collect::<String>()),
        problem: Some(refusal.kind.slug().to_owned()),
        request_id: request.to_string(),
    }
}

fn broken(visit: &Visit, fault: &Fault, request: RequestId) -> ErrorPage {
    let (status, heading) = if fault.is_retryable() {
        (503, "Something that the server needs is away")
    } else {
        (500, "Something broke in the server")
    };
    ErrorPage {
        shell: visit.shell(),
        status,
        heading: heading.to_owned(),
        detail: "It is not your doing. Its cause is in the server's log under the id below: quote it to whoever runs this server.".to_owned(),
        problem: None,
        request_id: request.to_string(),
    }
}

/// Starts with a capital letter.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
