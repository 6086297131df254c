//! `ModelInfer` without what streams need.
//!
//! Why beside tonic: a call has one message each way, and the machinery for many of them takes a
//! good part of a small prediction's time. What is not plainly one message that is not compressed
//! goes to tonic and means the same.

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use prost::Message as _;
use tonic::Status;
use tonic::codegen::{Body, BoxFuture, Service, StdError, http};
use tonic::metadata::MetadataMap;
use viaduct_api::body::BODY_BYTES_MAX;

use crate::proto::inference as pb;
use crate::proto::inference::grpc_inference_service_server::GrpcInferenceServiceServer;
use crate::service::Inference;
use crate::status::check;

/// One byte that tells compression, four of length.
const PREFIX: usize = 5;
const CONTENT_TYPE: &str = "application/grpc";

/// Answers `ModelInfer` itself and gives what is unusual to `long`.
#[derive(Debug, Clone)]
pub struct Short {
    service: Inference,
    long: GrpcInferenceServiceServer<Inference>,
}

impl Short {
    pub(crate) fn new(service: Inference, long: GrpcInferenceServiceServer<Inference>) -> Self {
        Self { service, long }
    }
}

impl<B> Service<http::Request<B>> for Short
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let Self { service, mut long } = self.clone();
        Box::pin(async move {
            if !is_plain(request.headers()) {
                return long.call(request).await;
            }
            let (parts, body) = request.into_parts();
            let body = match Limited::new(body, BODY_BYTES_MAX + PREFIX).collect().await {
                Ok(collected) => collected.to_bytes(),
                Err(error) => return Ok(unread(error).into_http()),
            };
            let Some(message) = only(&body) else {
                return long.call(http::Request::from_parts(parts, Full::new(body))).await;
            };
            let answer = answer(&service, parts, message).await;
            Ok(answer.map_or_else(Status::into_http, response))
        })
    }
}

/// Whether the messages are sent as they are.
fn is_plain(headers: &http::HeaderMap) -> bool {
    let is = |name: &str, wanted: &str| headers.get(name).is_some_and(|found| found == wanted);
    is("content-type", CONTENT_TYPE)
        && (!headers.contains_key("grpc-encoding") || is("grpc-encoding", "identity"))
}

/// The message of a body that is one message and nothing else.
fn only(body: &Bytes) -> Option<Bytes> {
    let (prefix, message) = body.split_first_chunk::<PREFIX>()?;
    let [0, length @ ..] = *prefix else { return None };
    let is_whole = usize::try_from(u32::from_be_bytes(length)) == Ok(message.len());
    is_whole.then(|| body.slice(PREFIX..))
}

fn unread(error: StdError) -> Status {
    match error.is::<LengthLimitError>() {
        true => Status::out_of_range(format!(
            "the message is longer than {BODY_BYTES_MAX} bytes: send fewer rows at once"
        )),
        false => Status::from_error(error),
    }
}

async fn answer(
    service: &Inference,
    parts: http::request::Parts,
    message: Bytes,
) -> Result<Bytes, Status> {
    check(&parts.extensions, "ModelInfer")?;
    let asked = pb::ModelInferRequest::decode(message)
        .map_err(|e| Status::internal(format!("the message is not a ModelInferRequest: {e}")))?;
    let metadata = MetadataMap::from_headers(parts.headers);
    let answer = service.answer(&metadata, &parts.extensions, asked).await?;
    let length = answer.encoded_len();
    let told = u32::try_from(length)
        .map_err(|_| Status::out_of_range("the answer is too long: ask for fewer rows at once"))?;
    let mut body = BytesMut::with_capacity(PREFIX + length);
    body.put_u8(0);
    body.put_u32(told);
    answer.encode(&mut body).map_err(|e| Status::internal(e.to_string()))?;
    Ok(body.freeze())
}

/// One message and the trailers of success.
fn response(body: Bytes) -> http::Response<tonic::body::Body> {
    let mut trailers = http::HeaderMap::with_capacity(1);
    trailers.insert(Status::GRPC_STATUS, http::HeaderValue::from_static("0"));
    let body = Full::new(body).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = http::Response::new(tonic::body::Body::new(body));
    let kind = http::HeaderValue::from_static(CONTENT_TYPE);
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_plainly_one_message() {
        let found = |body: &'static [u8]| only(&Bytes::from_static(body));
        assert_eq!(found(b"\0\0\0\0\x02ab").as_deref(), Some(&b"ab"[..]));
        assert_eq!(found(b"\0\0\0\0\0").as_deref(), Some(&b""[..]));
        for other in
            [&b""[..], b"\0\0\0", b"\x01\0\0\0\x02ab", b"\0\0\0\0\x03ab", b"\0\0\0\0\x01ab"]
        {
            assert!(found(other).is_none(), "{other:?}");
        }
        let plain = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| {
                (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
            });
            is_plain(&pairs.collect())
        };
        let kind = ("content-type", "application/grpc");
        assert!(plain(&[kind]) && plain(&[kind, ("grpc-encoding", "identity")]));
        assert!(!plain(&[kind, ("grpc-encoding", "gzip")]));
        assert!(!plain(&[]) && !plain(&[("content-type", "application/grpc-web")]));
    }
}
