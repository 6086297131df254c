//! From credentials on the wire to a [`Caller`] on the request.
//!
//! Read here: a Bearer token, Basic name and password (MLflow clients), a session cookie, a
//! consumer's key (`X-Api-Key` or `X-Viaduct-Key`, or a Bearer token that starts with `vdk_`). A wrong credential is
//! refused at once; none at all makes an anonymous caller, and the authorisation table decides.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use viaduct_app::App;
use viaduct_app::identity::Credential;
use viaduct_base::{Error, Kind, Refusal, Secret};
use viaduct_domain::permission::Caller;

use crate::problem;

/// Name of the session cookie.
pub const SESSION_COOKIE: &str = "viaduct_session";

/// A consumer's key as it came; the data plane holds its hash against the endpoint.
#[derive(Debug, Clone)]
pub struct ConsumerKey(pub Secret<String>);

/// Finds the caller of a request and puts them on it.
pub async fn authenticate(State(app): State<App>, mut request: Request, next: Next) -> Response {
    match caller(&app, request.headers()).await {
        Ok((caller, key)) => {
            put(&mut request, caller, key);
            next.run(request).await
        }
        Err(error) => problem::error_response(request.uri().path(), error),
    }
}

/// Puts the caller (and the consumer's key, if any) on the request.
pub(crate) fn put(request: &mut Request, caller: Caller, key: Option<ConsumerKey>) {
    request.extensions_mut().insert(caller);
    if let Some(key) = key {
        request.extensions_mut().insert(key);
    }
}

/// Who asks, and the consumer's key that came along.
///
/// # Errors
/// A credential that is wrong.
pub(crate) async fn caller(
    app: &App,
    headers: &HeaderMap,
) -> Result<(Caller, Option<ConsumerKey>), Error> {
    let credential = credential(headers)?;
    let key = match &credential {
        Credential::ConsumerKey(key) => Some(ConsumerKey(key.clone())),
        _ => None,
    };
    Ok((app.authenticate(credential).await?, key))
}

fn credential(headers: &HeaderMap) -> Result<Credential, Refusal> {
    let key = headers.get("x-api-key").or_else(|| headers.get("x-viaduct-key"));
    if let Some(key) = key.and_then(|v| v.to_str().ok()) {
        return Ok(Credential::ConsumerKey(Secret::new(key.to_owned())));
    }
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(cookie(headers, SESSION_COOKIE)
            .map_or(Credential::None, |session| Credential::Session(Secret::new(session))));
    };
    let unreadable = || {
        Refusal::new(
            Kind::LoginRequired,
            "the `Authorization` header is not readable: send `Bearer TOKEN` or `Basic …`",
        )
    };
    let (scheme, rest) =
        value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(unreadable)?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" if rest.starts_with("vdk_") => {
            Ok(Credential::ConsumerKey(Secret::new(rest.trim().to_owned())))
        }
        "bearer" => Ok(Credential::Token(Secret::new(rest.trim().to_owned()))),
        "basic" => {
            let bytes = STANDARD.decode(rest.trim()).map_err(|_| unreadable())?;
            let text = String::from_utf8(bytes).map_err(|_| unreadable())?;
            let (name, password) = text.split_once(':').ok_or_else(unreadable)?;
            Ok(Credential::Password {
                name: name.to_owned(),
                password: Secret::new(password.to_owned()),
            })
        }
        _ => Err(unreadable()),
    }
}

/// The value of a cookie.
pub fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &'static str, value: &str) -> Result<Credential, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        credential(&headers)
    }

    #[test]
    fn every_kind() {
        assert!(matches!(read("authorization", "Bearer vdt_x"), Ok(Credential::Token(_))));
        assert!(matches!(read("authorization", "bearer vdk_x"), Ok(Credential::ConsumerKey(_))));
        assert!(matches!(read("x-api-key", "vdk_x"), Ok(Credential::ConsumerKey(_))));
        assert!(matches!(read("x-viaduct-key", "vdk_x"), Ok(Credential::ConsumerKey(_))));
        assert!(matches!(
            read("authorization", "Basic YWRhOnB3OjE="),
            Ok(Credential::Password { name, password }) if name == "ada" && password.expose() == "pw:1"
        ));
        assert!(matches!(read("cookie", "a=b; viaduct_session=s"), Ok(Credential::Session(_))));
        assert!(matches!(credential(&HeaderMap::new()), Ok(Credential::None)));
        for bad in ["Basic !!", "Digest x", "nothing"] {
            assert!(read("authorization", bad).is_err(), "{bad}");
        }
    }
}
