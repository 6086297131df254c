//! The Host allow-list and the Origin check, before anything else on every route.
//!
//! Why: a page in the user's browser can reach a loopback server; DNS rebinding makes it look
//! same-origin, and a plain form post needs no preflight.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use viaduct_base::{Kind, Refusal};

use crate::problem;

/// The names of this machine.
const LOOPBACK: [&str; 4] = ["localhost", "127.0.0.1", "[::1]", "::1"];

/// The host names (without port) under which this server answers.
#[derive(Debug, Clone)]
pub struct AllowedHosts(Arc<BTreeSet<String>>);

impl AllowedHosts {
    /// Loopback names, the host that the server listens on, and those of the configuration.
    pub fn new(listen_host: &str, configured: &[String]) -> Self {
        let mut names: BTreeSet<String> = LOOPBACK.map(str::to_owned).into();
        names.insert(listen_host.to_ascii_lowercase());
        names.extend(configured.iter().map(|name| name.to_ascii_lowercase()));
        Self(Arc::new(names))
    }

    fn allows(&self, authority: &str) -> bool {
        self.0.contains(&host_of(authority))
    }
}

/// `Example.org:8080` → `example.org`; keeps the brackets of IPv6.
fn host_of(authority: &str) -> String {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !host.is_empty() => host,
        _ => authority,
    };
    host.to_ascii_lowercase()
}

/// Refuses foreign hosts and cross-origin writes; sets the headers that every answer carries.
pub async fn guard(State(hosts): State<AllowedHosts>, request: Request, next: Next) -> Response {
    if let Err(refusal) = check(&hosts, request.method(), request.headers(), request.uri()) {
        return problem::refusal_response(request.uri().path(), &refusal);
    }
    let mut response = next.run(request).await;
    harden(response.headers_mut());
    response
}

/// The headers that every answer carries.
pub(crate) fn harden(headers: &mut HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::X_FRAME_OPTIONS).or_insert(HeaderValue::from_static("SAMEORIGIN"));
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("same-origin"));
}

/// # Errors
/// A Host that is not ours, or a write from a page that is not.
pub(crate) fn check(
    hosts: &AllowedHosts,
    method: &Method,
    headers: &HeaderMap,
    uri: &axum::http::Uri,
) -> Result<(), Refusal> {
    let refused = |what: String| Refusal::new(Kind::OriginNotAllowed, what);
    let host = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .or_else(|| uri.authority().map(|a| a.as_str()))
        .ok_or_else(|| refused("the request names no Host".into()))?;
    if !hosts.allows(host) {
        return Err(refused(format!(
            "Invalid Host header `{host}`: possible DNS rebinding attack detected; \
             add the name to `server.allowed_hosts` if it is yours"
        )));
    }
    let writes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let Some(origin) = headers.get(header::ORIGIN).filter(|_| writes) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or("null");
    let authority = origin.split_once("://").map_or("", |(_, rest)| rest);
    // Why not any allowed name: another port of this machine is another program's page, and its
    // requests carry our cookie. A name of the configuration may differ from Host behind a proxy.
    let is_ours = authority.eq_ignore_ascii_case(host)
        || (hosts.allows(authority) && !LOOPBACK.contains(&host_of(authority).as_str()));
    if is_ours && !authority.is_empty() {
        return Ok(());
    }
    Err(refused(format!("Cross-origin request blocked: `{origin}` is not this server")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, host: &str, origin: Option<&str>) -> Result<(), Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        let hosts = AllowedHosts::new("127.0.0.1", &["Ops.example".into()]);
        check(&hosts, &method, &headers, &"/".parse().unwrap())
    }

    #[test]
    fn hosts() {
        for good in ["127.0.0.1:7878", "localhost", "[::1]:7878", "ops.EXAMPLE:80"] {
            assert!(asked(Method::GET, good, None).is_ok(), "{good}");
        }
        for bad in ["evil.example", "127.0.0.1.evil.example:7878", "", "localhost.evil:1"] {
            assert!(asked(Method::GET, bad, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn origins() {
        assert!(asked(Method::POST, "localhost:7878", Some("http://localhost:7878")).is_ok());
        assert!(asked(Method::POST, "127.0.0.1:7878", Some("https://ops.example")).is_ok());
        assert!(asked(Method::GET, "localhost", Some("https://evil.example")).is_ok());
        for bad in [
            "https://evil.example",
            "null",
            "http://localhost.evil.example",
            "http://localhost:3000",
        ] {
            assert!(asked(Method::POST, "localhost", Some(bad)).is_err(), "{bad}");
        }
    }
}
