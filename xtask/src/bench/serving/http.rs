//! HTTP/1.1 on one connection that stays open, as light as it can be.

use std::io::{BufRead as _, BufReader, Error, ErrorKind, Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::Outcome;

/// A client of one server.
pub(super) struct Client {
    stream: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

/// The bytes of a POST.
pub(super) fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n").into_bytes();
    for header in headers.lines() {
        request.extend_from_slice(header.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    request.extend_from_slice(body);
    request
}

impl Client {
    pub(super) fn new(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port)))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { stream: BufReader::new(stream), line: String::new(), body: Vec::new() })
    }

    /// Sends what [`post`] made and reads the answer: its status.
    pub(super) fn ask(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.get_mut().write_all(request)?;
        let status = self.head_line()?.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or_else(|| Error::from(ErrorKind::InvalidData))?;
        let mut length = Some(0);
        loop {
            let line = self.head_line()?.to_ascii_lowercase();
            match line.split_once(':').map(|(name, value)| (name, value.trim())) {
                None => break,
                Some(("content-length", value)) => length = value.parse().ok(),
                Some(("transfer-encoding", _)) => length = None,
                Some(_) => {}
            }
        }
        self.body.clear();
        match length {
            Some(length) => self.read(length)?,
            None => loop {
                let length = usize::from_str_radix(self.head_line()?.trim(), 16);
                let length = length.map_err(Error::other)?;
                self.read(length)?;
                self.head_line()?;
                if length == 0 {
                    break;
                }
            },
        }
        Ok(status)
    }

    /// The body of the last answer.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn head_line(&mut self) -> Result<&str> {
        self.line.clear();
        match self.stream.read_line(&mut self.line)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(self.line.trim_end()),
        }
    }

    fn read(&mut self, length: usize) -> Result<()> {
        let at = self.body.len();
        self.body.resize(at + length, 0);
        self.stream.read_exact(&mut self.body[at..])
    }
}

/// One POST of JSON that must succeed; answers the body.
pub(super) fn demand(port: u16, path: &str, json: &str) -> Outcome<String> {
    let request = post(path, "Content-Type: application/json", json.as_bytes());
    let of = |e: Error| format!("{path}: {e}");
    let mut client = Client::new(port).map_err(of)?;
    match client.ask(&request).map_err(of)? {
        200..300 => Ok(client.text()),
        status => Err(format!("{path} answered {status}: {}", client.text())),
    }
}

/// A page that must answer 200.
pub(super) fn page(port: u16, path: &str) -> Outcome<String> {
    let of = |e: Error| format!("{path}: {e}");
    let mut client = Client::new(port).map_err(of)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    match client.ask(request.as_bytes()).map_err(of)? {
        200 => Ok(client.text()),
        status => Err(format!("{path} answered {status}: {}", client.text())),
    }
}
