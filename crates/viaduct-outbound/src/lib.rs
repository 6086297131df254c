//! HTTP to addresses that users name: webhooks, and whatever else a person may point elsewhere.
//!
//! Invariants: the address that is checked is the address that is connected to, because the check
//! is the client's resolver (a name that changes between two look-ups gains nothing); redirects
//! are not followed, proxies of the environment are not used, an answer is read up to a bound; a
//! secret appears in no error and no debug text.

mod address;
mod sign;

use std::io::Read as _;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

pub use address::is_public;
pub use sign::sign;

/// Most bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// What the client's error carries when the resolver refused.
const NOT_PUBLIC: &str = "not a public address: ";

/// Where requests may go and how long they may take.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Allowed schemes: `https`, and `http` where an installation says so.
    pub schemes: Vec<String>,
    /// Whether this machine and private networks may be asked.
    pub allow_private: bool,
    /// From the first look-up to the last byte.
    pub timeout: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        let timeout = Duration::from_secs(30);
        Self { schemes: vec!["https".to_owned()], allow_private: false, timeout }
    }
}

/// Why nothing was answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The address is not one that may be asked; no repetition helps.
    #[error("{0}")]
    Refused(String),
    /// Nobody answered in time; another try may succeed.
    #[error("{0}")]
    Unreachable(String),
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status; one of 300 to 399 is a redirect that was not followed.
    pub status: u16,
    /// The beginning of the body, as text.
    pub body: String,
}

/// What was answered, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawAnswer {
    /// The status.
    pub status: u16,
    /// `Retry-After`, where it is in seconds.
    pub retry_after: Option<Duration>,
    /// The beginning of the body.
    pub body: Vec<u8>,
}

/// A client bound to its rules.
#[derive(Debug, Clone)]
pub struct Outbound {
    agent: Agent,
    rules: Arc<Rules>,
}

impl Outbound {
    /// A client under these rules.
    pub fn new(rules: Rules) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_global(Some(rules.timeout))
            // Why no idle connections: each request looks its address up and checks it anew.
            .max_idle_connections(0)
            .user_agent("viaduct")
            .build();
        let resolver = Checking { inner: DefaultResolver::default(), any: rules.allow_private };
        let agent = Agent::with_parts(config, DefaultConnector::default(), resolver);
        Self { agent, rules: Arc::new(rules) }
    }

    /// Checks an address before it is kept: its scheme, its spelling and where it leads today.
    ///
    /// # Errors
    /// [`SendError::Refused`] with the reason.
    pub fn check(&self, url: &str) -> Result<(), SendError> {
        let (host, port) = self.spelled(url)?;
        if self.rules.allow_private {
            return Ok(());
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let refused = |said: String| Err(SendError::Refused(said));
        let addresses: Vec<IpAddr> = match (bare, port).to_socket_addrs() {
            Ok(found) => found.map(|address| address.ip()).collect(),
            Err(_) => return refused(format!("Cannot resolve hostname: '{host}'")),
        };
        match addresses.iter().find(|address| !is_public(**address)) {
            Some(address) => refused(format!(
                "the address must not resolve to a non-public IP address: '{host}' resolves to \
                 {address}"
            )),
            None => Ok(()),
        }
    }

    /// The host and port of an address that is spelled as one.
    fn spelled(&self, url: &str) -> Result<(String, u16), SendError> {
        let refused = |said: String| SendError::Refused(said);
        let uri: Uri = url.parse().map_err(|_| refused(format!("'{url}' is not a URL")))?;
        let scheme = uri.scheme_str().unwrap_or_default().to_ascii_lowercase();
        if !self.rules.schemes.contains(&scheme) {
            return Err(refused(format!(
                "Invalid URL scheme: '{scheme}'. Allowed schemes are: {}.",
                self.rules.schemes.join(", ")
            )));
        }
        let authority = uri.authority().filter(|authority| !authority.host().is_empty());
        let authority = authority.ok_or_else(|| refused("the URL names no host".to_owned()))?;
        if authority.as_str().contains('@') {
            return Err(refused("a URL with a user name in it is not taken".to_owned()));
        }
        let host = authority.host();
        if !self.rules.allow_private && address::is_odd_number(host) {
            return Err(refused(format!("'{host}' is not the usual spelling of an IP address")));
        }
        let port = authority.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        Ok((host.to_owned(), port))
    }

    /// Posts a body and waits for the answer; blocks.
    ///
    /// # Errors
    /// [`SendError::Refused`] for an address that may not be asked, else
    /// [`SendError::Unreachable`].
    pub fn post(
        &self,
        url: &str,
        headers: &[(&str, String)],
        body: &[u8],
    ) -> Result<Answer, SendError> {
        let RawAnswer { status, body, .. } = self.post_raw(url, headers, body)?;
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
    }

    /// As [`Outbound::post`], for answers that are no text.
    ///
    /// # Errors
    /// As [`Outbound::post`].
    pub fn post_raw(
        &self,
        url: &str,
        headers: &[(&str, String)],
        body: &[u8],
    ) -> Result<RawAnswer, SendError> {
        self.spelled(url)?;
        let mut request = self.agent.post(url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let response = request.send(body).map_err(|error| failed(&error))?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after");
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let mut body = Vec::new();
        // Why ignored: a body that breaks off does not change what the status said.
        let _ = response.into_body().into_reader().take(ANSWER_BYTES_MAX).read_to_end(&mut body);
        Ok(RawAnswer { status, retry_after: retry_after.map(Duration::from_secs), body })
    }
}

fn failed(error: &ureq::Error) -> SendError {
    let said = error.to_string();
    match said.split_once(NOT_PUBLIC) {
        Some((_, address)) => SendError::Refused(format!(
            "connection blocked: {address} is not a public IP address; this may be an attempt at \
             DNS rebinding"
        )),
        None => SendError::Unreachable(said),
    }
}

/// Gives the connector public addresses only.
#[derive(Debug)]
struct Checking {
    inner: DefaultResolver,
    any: bool,
}

impl Resolver for Checking {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        match found.iter().find(|address| !self.any && !is_public(address.ip())) {
            Some(address) => {
                let said = format!("{NOT_PUBLIC}{}", address.ip());
                Err(ureq::Error::Io(std::io::Error::other(said)))
            }
            None => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn client(allow_private: bool) -> Outbound {
        let schemes = vec!["http".to_owned(), "https".to_owned()];
        Outbound::new(Rules { schemes, allow_private, timeout: Duration::from_secs(5) })
    }

    /// Answers one request with `answer` and gives its head back.
    fn listener(answer: &'static str) -> (u16, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let handle = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            stream.write_all(answer.as_bytes()).unwrap();
            head
        });
        (port, handle)
    }

    #[test]
    fn posts_and_reads_the_answer() {
        let (port, heard) = listener("HTTP/1.1 503 x\r\nContent-Length: 4\r\n\r\nlate");
        let headers = [("X-Test", "1".to_owned())];
        let url = format!("http://127.0.0.1:{port}/hook");
        let answer = client(true).post(&url, &headers, b"{}").unwrap();
        assert_eq!(answer, Answer { status: 503, body: "late".into() });
        let head = heard.join().unwrap();
        assert!(head[0].starts_with("POST /hook"), "{head:?}");
        assert!(head.iter().any(|line| line.eq_ignore_ascii_case("x-test: 1")), "{head:?}");
    }

    #[test]
    fn redirects_are_not_followed() {
        let (port, heard) = listener(
            "HTTP/1.1 302 x\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        );
        let url = format!("http://127.0.0.1:{port}/");
        assert_eq!(client(true).post(&url, &[], b"").unwrap().status, 302);
        heard.join().unwrap();
    }

    #[test]
    fn what_leads_inside_is_refused() {
        let strict = client(false);
        for url in [
            "http://127.0.0.1/",
            "http://127.0.0.1:5000/",
            "http://localhost/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:a9fe:a9fe]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[2002:7f00:1::]/",
            "http://169.254.169.254/latest/meta-data/",
            "http://10.0.0.8/",
            "http://0.0.0.0/",
            "http://user@127.0.0.1/",
        ] {
            assert!(matches!(strict.check(url), Err(SendError::Refused(_))), "check {url}");
            let sent = strict.post(url, &[], b"{}");
            assert!(matches!(sent, Err(SendError::Refused(_))), "post {url}: {sent:?}");
        }
        for url in ["file:///etc/passwd", "gopher://example.org/", "nothing", "http://", ""] {
            assert!(matches!(strict.check(url), Err(SendError::Refused(_))), "{url}");
        }
    }

    #[test]
    fn the_address_of_the_connection_is_what_counts() {
        // `localhost` passes every check of spelling: only where it leads gives it away.
        let (port, _heard) = listener("HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n");
        let sent = client(false).post(&format!("http://localhost:{port}/"), &[], b"{}");
        let Err(SendError::Refused(said)) = sent else { panic!("{sent:?}") };
        assert!(said.contains("is not a public IP address"), "{said}");
    }
}
