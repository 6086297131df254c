//! HTTP to one server.

use std::io;
use std::time::Duration;

use base64::Engine as _;
use serde_json::Value;
use viaduct_base::Secret;

use crate::Failure;
use crate::problem::Problem;

/// Most answers come in milliseconds; a collection, a long clock advance or a rerun of training
/// takes minutes.
const TIMEOUT: Duration = Duration::from_secs(3600);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// No answer of the native API is longer.
const ANSWER_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Who speaks.
#[derive(Debug, Clone)]
pub enum Identity {
    /// Nobody said who.
    Anonymous,
    /// The holder of a token.
    Token(Secret<String>),
}

/// Where to speak and as whom.
#[derive(Debug, Clone)]
pub struct Connection {
    /// `http://host:port`.
    pub server: String,
    /// Who speaks.
    pub identity: Identity,
}

/// Speaks to one server.
pub(crate) struct Client {
    agent: ureq::Agent,
    server: String,
    authorization: Option<Secret<String>>,
}

/// A request's body.
pub(crate) enum Body<'a> {
    Empty,
    Json(Value),
    Text { kind: &'static str, text: &'a str },
}

impl Client {
    pub(crate) fn new(connection: Connection) -> Result<Self, Failure> {
        let server = connection.server.trim_end_matches('/').to_owned();
        if server.starts_with("https://") {
            return Err(Failure::Usage(format!(
                "`{server}`: this build speaks plain http only; reach a remote server through a tunnel, as in `ssh -L 7878:127.0.0.1:7878 HOST`"
            )));
        }
        if !server.starts_with("http://") {
            return Err(Failure::Usage(format!(
                "`{server}` is not a server address: write `http://HOST:PORT`"
            )));
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .user_agent(concat!("viaduct/", env!("CARGO_PKG_VERSION")))
            // Why: a proxy variable must not carry a token elsewhere.
            .proxy(None)
            .build();
        let authorization = match connection.identity {
            Identity::Anonymous => None,
            Identity::Token(token) => Some(Secret::new(format!("Bearer {}", token.expose()))),
        };
        Ok(Self { agent: ureq::Agent::new_with_config(config), server, authorization })
    }

    /// Speaks as a user with a password from here on.
    pub(crate) fn use_password(&mut self, user: &str, password: &Secret<String>) {
        let pair = format!("{user}:{}", password.expose());
        let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
        self.authorization = Some(Secret::new(format!("Basic {encoded}")));
    }

    /// The server's address, without a final slash.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value, Failure> {
        self.send("GET", path, Body::Empty)
    }

    pub(crate) fn post(&self, path: &str, body: Value) -> Result<Value, Failure> {
        self.send("POST", path, Body::Json(body))
    }

    pub(crate) fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.send("DELETE", path, Body::Empty)
    }

    /// Sends and reads; a status of 400 and above becomes [`Failure::Declined`].
    pub(crate) fn send(&self, method: &str, path: &str, body: Body<'_>) -> Result<Value, Failure> {
        let mut answer = self.ask(method, path, body, "application/json")?;
        let status = answer.status().as_u16();
        let text = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_string()
            .map_err(|error| self.away(&error))?;
        if status >= 400 {
            return Err(Failure::Declined(Box::new(Problem::from_body(status, &text))));
        }
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).map_err(|error| {
            Failure::Broken(format!(
                "`{}{path}` did not answer with JSON ({error}): is this a viaduct server?",
                self.server
            ))
        })
    }

    /// Copies an answer of any length; answers its bytes. An answer that breaks off is a failure.
    pub(crate) fn download(&self, path: &str, out: &mut dyn io::Write) -> Result<u64, Failure> {
        let mut answer = self.ask("GET", path, Body::Empty, "*/*")?;
        let status = answer.status().as_u16();
        if status >= 400 {
            let text = answer.body_mut().read_to_string().map_err(|error| self.away(&error))?;
            return Err(Failure::Declined(Box::new(Problem::from_body(status, &text))));
        }
        let mut body = answer.into_body().into_with_config().limit(u64::MAX).reader();
        io::copy(&mut body, out).map_err(|error| {
            Failure::Broken(format!("the answer of `{}{path}` broke off: {error}", self.server))
        })
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        body: Body<'_>,
        accept: &str,
    ) -> Result<ureq::http::Response<ureq::Body>, Failure> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.server))
            .header("Accept", accept);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization.expose());
        }
        let bytes = match body {
            Body::Empty => Vec::new(),
            Body::Json(value) => {
                request = request.header("Content-Type", "application/json");
                value.to_string().into_bytes()
            }
            Body::Text { kind, text } => {
                request = request.header("Content-Type", kind);
                text.as_bytes().to_vec()
            }
        };
        let request = request.body(bytes).map_err(|error| {
            Failure::Usage(format!("`{}{path}` cannot be asked for: {error}", self.server))
        })?;
        self.agent.run(request).map_err(|error| self.away(&error))
    }

    fn away(&self, error: &ureq::Error) -> Failure {
        Failure::Away(format!(
            "no answer from `{}`: {error}\n\nhint: start one with `viaduct server`, or name another with --server or VIADUCT_SERVER",
            self.server
        ))
    }
}

/// A path segment with everything escaped that is not plain.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(server: &str) -> String {
        let connection = Connection { server: server.to_owned(), identity: Identity::Anonymous };
        Client::new(connection).err().unwrap().to_string()
    }

    #[test]
    fn only_http_addresses_are_taken() {
        assert!(refused("https://x").contains("plain http only"));
        assert!(refused("127.0.0.1:7878").contains("write `http://HOST:PORT`"));
    }

    #[test]
    fn segments_cannot_leave_their_place() {
        assert_eq!(segment("term-deposit"), "term-deposit");
        assert_eq!(segment("../a b?"), "..%2Fa%20b%3F");
    }

    #[test]
    fn nobody_answering_is_told_with_the_mend() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let connection = Connection {
            server: format!("http://127.0.0.1:{port}"),
            identity: Identity::Anonymous,
        };
        let failure = Client::new(connection).unwrap().get("/healthz").unwrap_err();
        assert_eq!(failure.code(), crate::exit::AWAY);
        assert!(failure.to_string().contains("viaduct server"), "{failure}");
    }
}
