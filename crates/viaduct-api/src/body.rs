//! Bodies of serving routes: read whole, with a limit, unpacked; and answers packed when asked.

use std::io::Read as _;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use viaduct_base::{Error, Fault, Kind, Refusal};

/// Largest body of a request, packed and unpacked; artifacts stream without a limit of their own.
pub const BODY_BYTES_MAX: usize = 64 << 20;
/// Why: under it, packing costs more time than the bytes that it saves.
const PACK_FROM: usize = 4 << 10;
/// Why: beyond it, unpacking takes a millisecond, which is too long for a thread of the reactor.
const UNPACK_INLINE_MAX: usize = 32 << 10;

/// The whole body of a request as it was packed.
///
/// # Errors
/// `too-large` at once where the length is announced, else when the limit is passed; `too-slow`
/// where the listener cut a body that did not flow; `invalid-input` where it broke off.
pub async fn read(body: Body) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(all) => Ok(all.to_bytes()),
        Err(error) => Err(unread(&*error)),
    }
}

fn too_large() -> Refusal {
    let detail = format!("the body is larger than {} MiB: send it in parts", BODY_BYTES_MAX >> 20);
    Refusal::new(Kind::TooLarge, detail)
}

fn unread(error: &(dyn std::error::Error + 'static)) -> Refusal {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return too_large();
        }
        let timed_out = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if timed_out == Some(std::io::ErrorKind::TimedOut) {
            let detail = "the body came too slowly: send it without pauses";
            return Refusal::new(Kind::TooSlow, detail);
        }
        cause = error.source();
    }
    Refusal::new(Kind::InvalidInput, format!("the body broke off: {error}"))
}

/// Headers and unpacked body of a serving request.
#[derive(Debug)]
pub struct Payload {
    /// The request's headers.
    pub headers: HeaderMap,
    /// The body without its `Content-Encoding`.
    pub bytes: Bytes,
}

impl Payload {
    /// The media type without its parameters, in lower case.
    pub fn media_type(&self) -> String {
        let kind = self.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        kind.and_then(|k| k.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase()
    }
}

/// Why its own type: each dialect says a refusal in its own words.
#[derive(Debug)]
pub struct Unread(pub Error, pub String);

impl axum::response::IntoResponse for Unread {
    fn into_response(self) -> Response {
        match self.0 {
            Error::Refused(refusal) => crate::problem::refusal_response(&self.1, &refusal),
            Error::Fault(fault) => crate::problem::fault_response(&fault),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Payload {
    type Rejection = Unread;

    async fn from_request(request: Request, _: &S) -> Result<Self, Unread> {
        let (parts, body) = request.into_parts();
        let refused = |error: Error| Unread(error, parts.uri.path().to_owned());
        let packing = packing(&parts.headers).map_err(|r| refused(r.into()))?;
        let bytes = read(body).await.map_err(|r| refused(r.into()))?;
        let bytes = match packing {
            Packing::Plain => bytes,
            packing => unpack_off(packing, bytes).await.map_err(&refused)?,
        };
        Ok(Self { headers: parts.headers, bytes })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Deflate,
}

fn packing(headers: &HeaderMap) -> Result<Packing, Refusal> {
    let Some(named) = headers.get(header::CONTENT_ENCODING) else { return Ok(Packing::Plain) };
    match named.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(Packing::Plain),
        "gzip" | "x-gzip" => Ok(Packing::Gzip),
        "deflate" => Ok(Packing::Deflate),
        other => {
            let detail =
                format!("`Content-Encoding: {other}` is not read: use `gzip` or `deflate`");
            Err(Refusal::new(Kind::InvalidInput, detail))
        }
    }
}

async fn unpack_off(packing: Packing, packed: Bytes) -> Result<Bytes, Error> {
    if packed.len() <= UNPACK_INLINE_MAX {
        // A small body can still unpack into a thousand times its size: it is bounded all the same.
        return Ok(unpack(packing, &packed, BODY_BYTES_MAX)?);
    }
    tokio::task::spawn_blocking(move || unpack(packing, &packed, BODY_BYTES_MAX))
        .await
        .map_err(|e| Fault::caused("unpacking a body did not end", e))?
        .map_err(Error::from)
}

fn unpack(packing: Packing, packed: &[u8], max: usize) -> Result<Bytes, Refusal> {
    let mut out = Vec::with_capacity(packed.len().saturating_mul(4).min(max));
    let limit = max as u64 + 1;
    let read = match packing {
        Packing::Plain => return Ok(Bytes::copy_from_slice(packed)),
        Packing::Gzip => MultiGzDecoder::new(packed).take(limit).read_to_end(&mut out),
        // Why both: the standard says zlib, and some clients send the bare stream.
        Packing::Deflate if is_zlib(packed) => {
            ZlibDecoder::new(packed).take(limit).read_to_end(&mut out)
        }
        Packing::Deflate => DeflateDecoder::new(packed).take(limit).read_to_end(&mut out),
    };
    read.map_err(|error| {
        let detail = format!("the body is not what its `Content-Encoding` says: {error}");
        Refusal::new(Kind::InvalidInput, detail)
    })?;
    if out.len() > max { Err(too_large()) } else { Ok(out.into()) }
}

fn is_zlib(packed: &[u8]) -> bool {
    matches!(packed, [a, b, ..] if a & 0x0f == 8 && (u16::from(*a) << 8 | u16::from(*b)) % 31 == 0)
}

/// What the caller can unpack, best first; nothing for `identity` and for what is not known here.
fn accepted(headers: &HeaderMap) -> Packing {
    let named = headers.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok());
    let mut found = Packing::Plain;
    for item in named.unwrap_or_default().split(',') {
        let (name, weight) = item.split_once(';').unwrap_or((item, ""));
        if weight.trim().strip_prefix("q=").is_some_and(|q| q.trim().parse() == Ok(0.0)) {
            continue;
        }
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" => return Packing::Gzip,
            "deflate" => found = Packing::Deflate,
            _ => {}
        }
    }
    found
}

/// An answer of this body, packed where the caller takes it and it pays.
pub fn answer(asked: &HeaderMap, media_type: &'static str, body: Vec<u8>) -> Response {
    let packing = if body.len() < PACK_FROM { Packing::Plain } else { accepted(asked) };
    let (packed, name) = match packing {
        Packing::Plain => (None, ""),
        Packing::Gzip => (gzip(&body).ok(), "gzip"),
        Packing::Deflate => (zlib(&body).ok(), "deflate"),
    };
    let is_packed = packed.is_some();
    let mut response = Response::new(Body::from(packed.unwrap_or(body)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if is_packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    response
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::with_capacity(body.len() / 2), Compression::fast());
    std::io::Write::write_all(&mut packer, body)?;
    packer.finish()
}

fn zlib(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packer = ZlibEncoder::new(Vec::with_capacity(body.len() / 2), Compression::fast());
    std::io::Write::write_all(&mut packer, body)?;
    packer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_and_bounded() {
        let body = b"one and one and one".repeat(100);
        let (gz, z) = (gzip(&body).unwrap(), zlib(&body).unwrap());
        assert_eq!(unpack(Packing::Gzip, &gz, 5_000).unwrap(), body);
        assert_eq!(unpack(Packing::Deflate, &z, 5_000).unwrap(), body);
        let bare = &z[2..z.len() - 4];
        assert_eq!(unpack(Packing::Deflate, bare, 5_000).unwrap(), body);
        for (packing, packed) in [(Packing::Gzip, &gz), (Packing::Deflate, &z)] {
            assert_eq!(unpack(packing, packed, 1_000).unwrap_err().kind, Kind::TooLarge);
            let cut = &packed[..packed.len() / 2];
            assert_eq!(unpack(packing, cut, 5_000).unwrap_err().kind, Kind::InvalidInput);
        }
    }

    #[test]
    fn the_caller_says_what_it_takes() {
        let with = |text: &'static str| {
            HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(text))])
        };
        assert_eq!(accepted(&with("br, deflate;q=0.5, gzip")), Packing::Gzip);
        assert_eq!(accepted(&with("gzip;q=0, deflate")), Packing::Deflate);
        assert_eq!(accepted(&with("br")), Packing::Plain);
        let response = answer(&with("gzip"), "application/json", vec![b'x'; PACK_FROM]);
        assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
        let response = answer(&with("gzip"), "application/json", vec![b'x'; 10]);
        assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
    }
}
