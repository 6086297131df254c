//! HTTP/1.1 on one connection that stays open, as light as it can be.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::linux::net::TcpStreamExt as _;
use std::time::Duration;

use crate::Outcome;

/// Bytes of one piece of a large body.
const PIECE: usize = 256 * 1024;
/// The slowest answer measured on stock takes minutes.
const PATIENCE: Duration = Duration::from_secs(900);

/// A client of one server.
pub(super) struct Client {
    port: u16,
    stream: BufReader<TcpStream>,
    /// The request under way, kept to save allocations.
    head: Vec<u8>,
}

/// An answer.
pub(super) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Client {
    pub(super) fn new(port: u16) -> Outcome<Self> {
        Ok(Self { port, stream: connect(port)?, head: Vec::with_capacity(4096) })
    }

    /// A request with a JSON body, or without one.
    pub(super) fn call(&mut self, method: &str, path: &str, body: &str) -> Outcome<Answer> {
        // Why twice: a server may close a connection that was idle.
        match self.once(method, path, body.as_bytes()) {
            Ok(answer) => Ok(answer),
            Err(_) => {
                self.stream = connect(self.port)?;
                self.once(method, path, body.as_bytes())
                    .map_err(|e| format!("{method} {path}: {e}"))
            }
        }
    }

    /// [`Client::call`] whose answer must be 200.
    pub(super) fn ok(&mut self, method: &str, path: &str, body: &str) -> Outcome<String> {
        let answer = self.call(method, path, body)?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        match answer.status {
            200 => Ok(text),
            status => {
                let start: String = text.chars().take(300).collect();
                Err(format!("{method} {path} answered {status}: {start}"))
            }
        }
    }

    fn once(&mut self, method: &str, path: &str, body: &[u8]) -> std::io::Result<Answer> {
        self.begin(method, path, body.len())?;
        self.head.extend_from_slice(body);
        self.stream.get_mut().write_all(&self.head)?;
        let (status, length) = self.read_head()?;
        let mut body = Vec::new();
        match length {
            Some(length) => {
                body.resize(length, 0);
                self.stream.read_exact(&mut body)?;
            }
            None => self.read_chunks(|piece| body.extend_from_slice(piece))?,
        }
        Ok(Answer { status, body })
    }

    fn begin(&mut self, method: &str, path: &str, length: usize) -> std::io::Result<()> {
        self.head.clear();
        write!(
            self.head,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n",
            self.port
        )
    }

    /// Sends zeros of that length and demands success.
    pub(super) fn upload(&mut self, path: &str, length: usize) -> Outcome {
        let send = |client: &mut Self| -> std::io::Result<u16> {
            client.begin("PUT", path, length)?;
            let head = std::mem::take(&mut client.head);
            client.stream.get_mut().write_all(&head)?;
            let piece = vec![7_u8; PIECE];
            let mut left = length;
            while left > 0 {
                let now = left.min(PIECE);
                client.stream.get_mut().write_all(&piece[..now])?;
                left -= now;
            }
            let (status, length) = client.read_head()?;
            let mut rest = vec![0; length.unwrap_or_default()];
            client.stream.read_exact(&mut rest)?;
            Ok(status)
        };
        match send(self) {
            Ok(200) => Ok(()),
            Ok(status) => Err(format!("PUT {path} answered {status}")),
            Err(error) => Err(format!("PUT {path}: {error}")),
        }
    }

    /// Reads a body of any length and answers how long it was.
    pub(super) fn download(&mut self, path: &str) -> Outcome<usize> {
        let mut read = || -> std::io::Result<usize> {
            self.begin("GET", path, 0)?;
            self.stream.get_mut().write_all(&self.head)?;
            let (_, length) = self.read_head()?;
            let Some(length) = length else {
                let mut count = 0;
                self.read_chunks(|piece| count += piece.len())?;
                return Ok(count);
            };
            let mut piece = vec![0; PIECE];
            let mut left = length;
            while left > 0 {
                let most = left.min(PIECE);
                let now = self.stream.read(&mut piece[..most])?;
                if now == 0 {
                    break;
                }
                left -= now;
            }
            Ok(length - left)
        };
        read().map_err(|e| format!("GET {path}: {e}"))
    }

    /// Status, and length unless the body comes in chunks.
    fn read_head(&mut self) -> std::io::Result<(u16, Option<usize>)> {
        // Why each time: the kernel forgets it; without it, a server that answers in two writes
        // waits 40 ms for our acknowledgement.
        self.stream.get_ref().set_quickack(true)?;
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let status = line.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        let mut length = Some(0);
        loop {
            line.clear();
            self.stream.get_ref().set_quickack(true)?;
            self.stream.read_line(&mut line)?;
            let text = line.trim_end().to_ascii_lowercase();
            if text.is_empty() {
                return Ok((status, length));
            }
            if let Some(value) = text.strip_prefix("content-length:") {
                length = value.trim().parse().ok();
            } else if text.strip_prefix("transfer-encoding:").is_some_and(|v| v.contains("chunked"))
            {
                length = None;
            }
        }
    }

    fn read_chunks(&mut self, mut each: impl FnMut(&[u8])) -> std::io::Result<()> {
        let mut line = String::new();
        let mut piece = Vec::new();
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let length = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
            // The chunk and the line end behind it.
            piece.resize(length + 2, 0);
            self.stream.read_exact(&mut piece)?;
            if length == 0 {
                return Ok(());
            }
            each(&piece[..length]);
        }
    }
}

fn connect(port: u16) -> Outcome<BufReader<TcpStream>> {
    let of = |e: std::io::Error| format!("port {port}: {e}");
    let stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).map_err(of)?;
    stream.set_nodelay(true).map_err(of)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(of)?;
    Ok(BufReader::with_capacity(64 * 1024, stream))
}

/// The first text behind `"name": "` in a JSON answer, with or without the blank.
pub(super) fn field(json: &str, name: &str) -> Option<String> {
    let (_, rest) = json.split_once(&format!("\"{name}\":"))?;
    let rest = rest.trim_start().strip_prefix('"')?;
    rest.split_once('"').map(|(value, _)| value.to_owned())
}
