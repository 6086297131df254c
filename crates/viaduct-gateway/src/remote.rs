//! A version behind another server that speaks the Open Inference Protocol v2: Triton, KServe,
//! MLServer, or a sidecar of ours on a Unix socket.
//!
//! Why a client of our own: it blocks (a prediction has a thread already), keeps its connections,
//! and speaks over a Unix socket as over TCP; the few lines of HTTP/1.1 that this takes are bounded
//! in size and time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use viaduct_domain::columns::{Columns, Outputs};
use viaduct_telemetry::Hop;

use crate::remote_tensors::{self, Input};

const CONNECT: Duration = Duration::from_secs(2);
/// The longest silence; the caller's own deadline ends its wait sooner.
const SILENCE: Duration = Duration::from_secs(30);
const BODY_MAX: u64 = 256 << 20;
const HEAD_MAX: u64 = 64 << 10;
/// Why a bound: an idle connection holds a place at the other server.
const IDLE_MAX: usize = 8;

#[derive(Debug)]
enum Address {
    Tcp(String),
    Unix(PathBuf),
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(buffer),
            Stream::Unix(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.flush(),
            Stream::Unix(stream) => stream.flush(),
        }
    }
}

/// A model of another server.
#[derive(Debug)]
pub(crate) struct Remote {
    address: Address,
    url: String,
    model: String,
    features: Option<Vec<String>>,
    classes: Option<Vec<Value>>,
    idle: Mutex<Vec<BufReader<Stream>>>,
    /// What the server says that the model takes, once it was asked.
    inputs: Mutex<Option<Vec<Input>>>,
}

struct Response {
    status: u16,
    body: Vec<u8>,
    is_kept: bool,
}

impl Remote {
    /// # Errors
    /// The address is not one that is spoken.
    pub(crate) fn new(
        url: &str,
        model: &str,
        features: Option<Vec<String>>,
        classes: Option<Vec<Value>>,
    ) -> Result<Self, String> {
        let address = if let Some(path) = url.strip_prefix("unix:") {
            Address::Unix(PathBuf::from(path))
        } else if let Some(rest) = url.strip_prefix("http://") {
            let host = rest.split('/').next().unwrap_or_default();
            match host.contains(':') {
                true => Address::Tcp(host.to_owned()),
                false => Address::Tcp(format!("{host}:80")),
            }
        } else {
            return Err(format!("`{url}` is no address: use `http://host:port` or `unix:/path`"));
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
        if model.is_empty() || !model.chars().all(is_plain) {
            return Err(format!("`{model}` is no name of a model: use letters, digits, `-_.~`"));
        }
        let (url, model) = (url.to_owned(), model.to_owned());
        let (idle, inputs) = (Mutex::default(), Mutex::default());
        Ok(Self { address, url, model, features, classes, idle, inputs })
    }

    /// Whether the server says that the model is ready.
    pub(crate) fn check(&self) -> Result<(), String> {
        let path = format!("/v2/models/{}/ready", self.model);
        let answer = self.send("GET", &path, &[])?;
        match answer.status {
            200 => Ok(()),
            status => Err(format!("`{}` says {status} to `{path}`", self.url)),
        }
    }

    /// Asks the model.
    pub(crate) fn ask(&self, columns: &Columns) -> Result<Outputs, String> {
        let inputs = self.inputs()?;
        let body = remote_tensors::request(columns, &inputs, self.features.as_deref())?;
        let path = format!("/v2/models/{}/infer", self.model);
        let answer = self.send("POST", &path, body.to_string().as_bytes())?;
        let read: Result<Value, _> = serde_json::from_slice(&answer.body);
        match (answer.status, read) {
            (200, Ok(read)) => {
                remote_tensors::outputs(&read, columns.rows, self.classes.as_deref())
            }
            (200, Err(error)) => Err(format!("`{}` does not answer in JSON: {error}", self.url)),
            (status, read) => {
                let said = read.ok().and_then(|r| r.get("error")?.as_str().map(str::to_owned));
                Err(format!("`{}` says {status}: {}", self.url, said.unwrap_or_default()))
            }
        }
    }

    /// The model's inputs by the server's metadata; none where it does not say.
    fn inputs(&self) -> Result<Vec<Input>, String> {
        let known = self.inputs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known {
            return Ok(known);
        }
        let answer = self.send("GET", &format!("/v2/models/{}", self.model), &[])?;
        if answer.status != 200 {
            return Err(format!("`{}` says {} to its metadata", self.url, answer.status));
        }
        let read: Value = serde_json::from_slice(&answer.body)
            .map_err(|e| format!("the metadata of `{}` is no JSON: {e}", self.url))?;
        let found = remote_tensors::inputs(&read);
        *self.inputs.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
        Ok(found)
    }

    /// One exchange, told to whoever traces the request that it is for.
    fn send(&self, method: &'static str, path: &str, body: &[u8]) -> Result<Response, String> {
        let mut hop = viaduct_telemetry::hop(|| format!("{method} {path}"));
        let sent = self.send_told(method, path, body, hop.as_ref());
        if let Some(hop) = &mut hop {
            let (address, system) = match &self.address {
                Address::Tcp(host) => (host.clone(), "tcp"),
                Address::Unix(path) => (path.display().to_string(), "unix"),
            };
            hop.note("http.request.method", method);
            hop.note("server.address", address);
            hop.note("network.transport", system);
            match &sent {
                Ok(answer) => hop.answered(answer.status),
                Err(_) => hop.failed("no_answer"),
            }
        }
        sent
    }

    /// A kept connection may have been closed meanwhile: then once more on a new one.
    fn send_told(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
        hop: Option<&Hop>,
    ) -> Result<Response, String> {
        let mut more = String::new();
        for (name, value) in hop.map(Hop::headers).unwrap_or_default() {
            more.push_str(&format!("{name}: {value}\r\n"));
        }
        let head = self.head(method, path, body.len(), &more);
        let named = |error: io::Error| format!("`{}` does not answer: {error}", self.url);
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(mut stream) = kept
            && let Ok(answer) = exchange(&mut stream, &head, body)
        {
            self.keep(stream, &answer);
            return Ok(answer);
        }
        let mut stream = BufReader::new(self.connect().map_err(named)?);
        let answer = exchange(&mut stream, &head, body).map_err(named)?;
        self.keep(stream, &answer);
        Ok(answer)
    }

    fn keep(&self, stream: BufReader<Stream>, answer: &Response) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if answer.is_kept && idle.len() < IDLE_MAX {
            idle.push(stream);
        }
    }

    fn connect(&self) -> io::Result<Stream> {
        match &self.address {
            Address::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(SILENCE))?;
                stream.set_write_timeout(Some(SILENCE))?;
                Ok(Stream::Unix(stream))
            }
            Address::Tcp(host) => {
                let mut last = io::Error::other("the name has no address");
                for address in host.to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, CONNECT) {
                        Ok(stream) => {
                            stream.set_nodelay(true)?;
                            stream.set_read_timeout(Some(SILENCE))?;
                            stream.set_write_timeout(Some(SILENCE))?;
                            return Ok(Stream::Tcp(stream));
                        }
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
        }
    }

    fn head(&self, method: &str, path: &str, length: usize, more: &str) -> String {
        let host = match &self.address {
            Address::Tcp(host) => host.as_str(),
            Address::Unix(_) => "localhost",
        };
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n{more}\r\n"
        )
    }
}

fn exchange(stream: &mut BufReader<Stream>, head: &str, body: &[u8]) -> io::Result<Response> {
    let mut bytes = head.as_bytes().to_vec();
    bytes.extend_from_slice(body);
    stream.get_mut().write_all(&bytes)?;
    stream.get_mut().flush()?;
    read_response(stream)
}

fn read_response(stream: &mut impl BufRead) -> io::Result<Response> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut head = stream.take(HEAD_MAX);
    let mut line = String::new();
    head.read_line(&mut line)?;
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
    let status: u16 = status.ok_or_else(|| bad("that is no HTTP"))?;
    let (mut length, mut is_chunked, mut is_kept) = (None, false, true);
    loop {
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Err(bad("the head ends too soon"));
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        match (name, value.trim()) {
            ("content-length", value) => length = value.parse::<u64>().ok(),
            ("transfer-encoding", value) => is_chunked = value.contains("chunked"),
            ("connection", "close") => is_kept = false,
            _ => {}
        }
    }
    let mut body = Vec::new();
    if is_chunked {
        read_chunks(stream, &mut body)?;
    } else if let Some(length) = length {
        if length > BODY_MAX {
            return Err(bad("the body is too large"));
        }
        body.resize(length as usize, 0);
        stream.read_exact(&mut body)?;
    } else {
        is_kept = false;
        stream.take(BODY_MAX).read_to_end(&mut body)?;
    }
    Ok(Response { status, body, is_kept })
}

fn read_chunks(stream: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    loop {
        let mut line = String::new();
        (&mut *stream).take(HEAD_MAX).read_line(&mut line)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| bad("that is no chunk"))?;
        if body.len() as u64 + size > BODY_MAX {
            return Err(bad("the body is too large"));
        }
        let start = body.len();
        body.resize(start + size as usize, 0);
        stream.read_exact(&mut body[start..])?;
        let mut end = String::new();
        (&mut *stream).take(HEAD_MAX).read_line(&mut end)?;
        if size == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> io::Result<Response> {
        read_response(&mut text.as_bytes())
    }

    #[test]
    fn bodies_by_length_by_chunk_and_by_close() {
        let found = read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokmore").unwrap();
        assert_eq!((found.status, found.body, found.is_kept), (200, b"ok".to_vec(), true));
        let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3;x\r\n-so\r\n0\r\n\r\n";
        assert_eq!(read(chunks).unwrap().body, b"ok-so");
        let closed = read("HTTP/1.0 503 Sorry\r\nConnection: close\r\n\r\nlater").unwrap();
        assert_eq!((closed.status, closed.body, closed.is_kept), (503, b"later".to_vec(), false));
    }

    #[test]
    fn what_is_no_http_is_an_error_and_no_memory() {
        for bad in [
            "",
            "SSH-2.0\r\n",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n",
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn addresses_and_names() {
        let made = |url: &str, model: &str| Remote::new(url, model, None, None).map(|_| ());
        assert!(made("http://10.0.0.1:8080", "churn").is_ok());
        assert!(made("unix:/run/side.sock", "churn-2").is_ok());
        assert!(made("https://host", "churn").unwrap_err().contains("`http://host:port`"));
        assert!(made("http://h", "a/../b").is_err());
    }
}
