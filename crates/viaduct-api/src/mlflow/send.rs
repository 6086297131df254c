//! An artifact as an HTTP answer: parts, tags, and headers under which no browser runs it.

use std::io::Read;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use tokio::sync::mpsc;
use viaduct_app::App;
use viaduct_app::mlflow::{Bytewise, Download, Holder};
use viaduct_domain::permission::Caller;

use super::answer::Trouble;

/// Bytes read from the disk at once.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces that may wait for a slow client: they bound a download's memory.
const PIECES_WAITING: usize = 4;
/// Nothing of an artifact runs, loads or frames anything.
const POLICY: &str = "default-src 'none'; sandbox";

/// Answers an artifact, or the part of it that is asked for.
pub(super) async fn file(
    app: &App,
    caller: &Caller,
    (holder, path): (&Holder, &str),
    (method, asked): (&Method, &HeaderMap),
) -> Result<Response, Trouble> {
    let wanted = range(asked);
    let mut found = app.open_artifact(caller, holder, path, wanted).await?;
    let tag = format!("\"{}\"", found.tag);
    if names(asked, header::IF_NONE_MATCH, &tag) {
        let mut answer = StatusCode::NOT_MODIFIED.into_response();
        insert(answer.headers_mut(), header::ETAG, &tag);
        return Ok(answer);
    }
    // Why: the client has the beginning of another content.
    let is_stale = asked.contains_key(header::IF_RANGE) && !names(asked, header::IF_RANGE, &tag);
    if wanted != Bytewise::All && is_stale {
        found = app.open_artifact(caller, holder, path, Bytewise::All).await?;
    }
    let mut headers = headers(&found, &tag);
    if !found.has_part {
        insert(&mut headers, header::CONTENT_RANGE, &format!("bytes */{}", found.bytes));
        insert(&mut headers, header::CONTENT_LENGTH, "0");
        return Ok((StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response());
    }
    let status = match found.part {
        Some((first, last)) => {
            let shown = format!("bytes {first}-{last}/{}", found.bytes);
            insert(&mut headers, header::CONTENT_RANGE, &shown);
            StatusCode::PARTIAL_CONTENT
        }
        None => StatusCode::OK,
    };
    let body = if *method == Method::HEAD { Body::empty() } else { body(found.reader) };
    Ok((status, headers, body).into_response())
}

/// An artifact is somebody's upload: a browser must neither guess its type nor run it.
fn headers(found: &Download, tag: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let length = found.part.map_or(found.bytes, |(first, last)| last - first + 1);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    for (name, value) in [
        (header::CONTENT_TYPE, content_type(&found.name)),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::ACCEPT_RANGES, "bytes"),
        (header::CACHE_CONTROL, "private, no-cache"),
        (header::ETAG, tag),
        (header::CONTENT_DISPOSITION, &disposition(&found.name)),
    ] {
        insert(&mut headers, name, value);
    }
    headers
}

/// Why silent: every value here is made of characters that a header takes; a test holds it.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Whether a header names this content.
fn names(asked: &HeaderMap, header: HeaderName, tag: &str) -> bool {
    let said = asked.get_all(header);
    said.iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(|one| one.trim().trim_start_matches("W/"))
        .any(|one| one == "*" || one == tag)
}

/// The bytes that `Range` asks for. Several ranges, and what does not read, mean everything.
fn range(asked: &HeaderMap) -> Bytewise {
    let read = || {
        let text = asked.get(header::RANGE)?.to_str().ok()?;
        let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
        let number = |text: &str| text.trim().parse::<u64>().ok();
        if first.trim().is_empty() {
            return Some(Bytewise::Last(number(last)?));
        }
        let first = number(first)?;
        match last.trim() {
            "" => Some(Bytewise::From(first, None)),
            last => Some(Bytewise::From(first, Some(number(last).filter(|last| *last >= first)?))),
        }
    };
    read().unwrap_or(Bytewise::All)
}

/// `attachment` with the name twice: in ASCII for old readers, encoded for the rest (RFC 6266).
fn disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || " ._-()".contains(c) { c } else { '_' })
        .collect();
    let encoded: String = name
        .bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => {
                char::from(b).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

/// By the extension, as MLflow does: what is text is plain text.
fn content_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or(name, |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "txt" | "log" | "err" | "cfg" | "conf" | "cnf" | "cf" | "ini" | "properties" | "prop"
        | "hocon" | "toml" | "yaml" | "yml" | "xml" | "json" | "js" | "py" | "py3" | "csv"
        | "tsv" | "md" | "rst" | "ipynb" | "mlmodel" | "mlproject" => "text/plain; charset=utf-8",
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "bmp" => "image/bmp",
        "tif" | "tiff" => "image/tiff",
        "mp3" => "audio/mpeg",
        "wav" => "audio/x-wav",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "tar" => "application/x-tar",
        _ => "application/octet-stream",
    }
}

/// Reads piece by piece on a thread that may wait, as fast as the client takes them.
fn body(mut reader: impl Read + Send + 'static) -> Body {
    let (pieces, received) = mpsc::channel::<std::io::Result<Bytes>>(PIECES_WAITING);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let read = match reader.read(&mut piece) {
                Ok(0) => return,
                Ok(read) => {
                    piece.truncate(read);
                    Ok(Bytes::from(piece))
                }
                Err(e) => Err(e),
            };
            let failed = read.is_err();
            // Why the end: a client that went away takes no more.
            if pieces.blocking_send(read).is_err() || failed {
                return;
            }
        }
    });
    let next = |mut received: mpsc::Receiver<std::io::Result<Bytes>>| async {
        let piece = received.recv().await?;
        Some((piece, received))
    };
    Body::from_stream(stream::unfold(received, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_headers() {
        let shown = disposition("a\"b; ü.txt");
        assert_eq!(
            shown,
            "attachment; filename=\"a_b_ _.txt\"; filename*=UTF-8''a%22b%3B%20%C3%BC.txt"
        );
        for name in ["a\r\nX: y", "\u{7f}", "x\t", "日本"] {
            assert!(HeaderValue::from_str(&disposition(name)).is_ok(), "{name:?}");
        }
        assert_eq!(content_type("MLmodel"), "text/plain; charset=utf-8");
        assert_eq!(content_type("model.onnx"), "application/octet-stream");
    }

    #[test]
    fn ranges() {
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, text.parse().unwrap());
            range(&headers)
        };
        assert_eq!(asked("bytes=0-0"), Bytewise::From(0, Some(0)));
        assert_eq!(asked("bytes=5-"), Bytewise::From(5, None));
        assert_eq!(asked("bytes=-7"), Bytewise::Last(7));
        for text in ["bytes=1-2,4-5", "bytes=5-2", "lines=1-2", "bytes=", "bytes=a-b"] {
            assert_eq!(asked(text), Bytewise::All, "{text}");
        }
    }
}
