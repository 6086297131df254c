//! How a collector is spoken to: OTLP over HTTP with protobuf bodies, or over gRPC.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use tokio::runtime::Handle;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

/// Why short: this is not the way of a request, but a shutdown may wait for it.
const CONNECT: Duration = Duration::from_secs(3);
/// Answers that may be others the next time.
const TRY_AGAIN: [u16; 4] = [429, 502, 503, 504];

/// What a collector answered over HTTP.
#[derive(Debug, Clone, Default)]
pub struct Posted {
    /// The status.
    pub status: u16,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The beginning of the body.
    pub body: Vec<u8>,
}

/// Posts a body to an address with headers; the client of the process.
pub type Post =
    Box<dyn Fn(&str, &[(&str, String)], &[u8]) -> Result<Posted, String> + Send + 'static>;

/// Where each signal goes; nowhere when nobody said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    /// Spans, as a whole address.
    pub traces: Option<String>,
    /// Metrics, as a whole address.
    pub metrics: Option<String>,
    base: Option<String>,
}

impl Targets {
    /// Below one address for both, as `v1/traces` and `v1/metrics`; a signal's own address is
    /// taken as it is.
    pub fn new(base: Option<&str>, traces: Option<String>, metrics: Option<String>) -> Self {
        let base = base.map(|base| base.trim_end_matches('/').to_owned());
        let below = |path: &str| base.as_ref().map(|base| format!("{base}/{path}"));
        let (all_traces, all_metrics) = (below("v1/traces"), below("v1/metrics"));
        Self { traces: traces.or(all_traces), metrics: metrics.or(all_metrics), base }
    }

    /// The address for both, else that of a signal.
    pub fn base(&self) -> &str {
        let any = [&self.base, &self.traces, &self.metrics];
        any.into_iter().find_map(Option::as_deref).unwrap_or_default()
    }
}

/// The way to a collector.
pub struct Wire {
    targets: Targets,
    headers: Vec<(String, String)>,
    kind: Kind,
}

enum Kind {
    Http(Post),
    Grpc(Box<Endpoint>),
}

/// Why something was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// Another try may help, after so long where the collector says.
    Later(String, Option<Duration>),
    /// No other try does.
    Never(String),
}

impl Wire {
    /// OTLP over HTTP.
    pub fn http(targets: Targets, headers: Vec<(String, String)>, post: Post) -> Self {
        Self { targets, headers, kind: Kind::Http(post) }
    }

    /// OTLP over gRPC.
    ///
    /// # Errors
    /// The address is none; the text holds no value of a header.
    pub fn grpc(
        address: &str,
        headers: Vec<(String, String)>,
        timeout: Duration,
    ) -> Result<Self, String> {
        let wrong = |e: tonic::transport::Error| format!("`{address}` is no address: {e}");
        let mut endpoint = Endpoint::from_shared(address.to_owned()).map_err(wrong)?;
        if address.starts_with("https:") {
            let tls = ClientTlsConfig::new().with_native_roots();
            endpoint = endpoint.tls_config(tls).map_err(wrong)?;
        }
        let endpoint = endpoint.timeout(timeout).connect_timeout(CONNECT.min(timeout));
        metadata(&headers)?;
        let targets = Targets::new(Some(address), None, None);
        Ok(Self { targets, headers, kind: Kind::Grpc(Box::new(endpoint)) })
    }

    /// Where it leads, for the log.
    pub(crate) fn address(&self) -> &str {
        self.targets.base()
    }

    /// Opens the connection that is used from now on; it is made when it is first needed.
    pub(crate) fn connect<'a>(self, runtime: &'a Handle) -> Line<'a> {
        let _inside = runtime.enter();
        let channel = match self.kind {
            Kind::Http(post) => Connected::Http(post),
            Kind::Grpc(endpoint) => Connected::Grpc(endpoint.connect_lazy()),
        };
        Line { targets: self.targets, headers: self.headers, channel, runtime }
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Wire").field("address", &self.address()).field("headers", &names).finish()
    }
}

fn metadata(headers: &[(String, String)]) -> Result<MetadataMap, String> {
    let mut map = MetadataMap::new();
    for (name, value) in headers {
        let wrong = || format!("the header `{name}` cannot be sent");
        let key = AsciiMetadataKey::from_bytes(name.to_ascii_lowercase().as_bytes());
        let mut value: AsciiMetadataValue = value.parse().map_err(|_| wrong())?;
        value.set_sensitive(true);
        map.insert(key.map_err(|_| wrong())?, value);
    }
    Ok(map)
}

/// A wire that is in use.
pub(crate) struct Line<'a> {
    targets: Targets,
    headers: Vec<(String, String)>,
    channel: Connected,
    runtime: &'a Handle,
}

enum Connected {
    Http(Post),
    Grpc(Channel),
}

impl Line<'_> {
    /// Sends spans; gives how many of them were refused.
    pub(crate) fn send_traces(&self, request: &ExportTraceServiceRequest) -> Result<u64, Unsent> {
        let answer: ExportTraceServiceResponse = match &self.channel {
            Connected::Http(post) => self.post(post, &self.targets.traces, request)?,
            Connected::Grpc(channel) => {
                let mut client = TraceServiceClient::new(channel.clone());
                let request = self.request(request.clone())?;
                let sent = self.runtime.block_on(client.export(request));
                sent.map_err(|status| of_status(&status))?.into_inner()
            }
        };
        let refused = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
        Ok(u64::try_from(refused).unwrap_or_default())
    }

    /// Sends metrics.
    pub(crate) fn send_metrics(&self, request: ExportMetricsServiceRequest) -> Result<(), Unsent> {
        let _: ExportMetricsServiceResponse = match &self.channel {
            Connected::Http(post) => self.post(post, &self.targets.metrics, &request)?,
            Connected::Grpc(channel) => {
                let mut client = MetricsServiceClient::new(channel.clone());
                let sent = self.runtime.block_on(client.export(self.request(request)?));
                sent.map_err(|status| of_status(&status))?.into_inner()
            }
        };
        Ok(())
    }

    fn request<T>(&self, message: T) -> Result<Request<T>, Unsent> {
        let mut request = Request::new(message);
        *request.metadata_mut() = metadata(&self.headers).map_err(Unsent::Never)?;
        Ok(request)
    }

    fn post<A: Message + Default>(
        &self,
        post: &Post,
        target: &Option<String>,
        message: &impl Message,
    ) -> Result<A, Unsent> {
        let Some(url) = target else {
            return Err(Unsent::Never("nobody said where it goes".to_owned()));
        };
        let mut headers = vec![("Content-Type", "application/x-protobuf".to_owned())];
        headers.extend(self.headers.iter().map(|(name, value)| (name.as_str(), value.clone())));
        let posted = post(url, &headers, &message.encode_to_vec());
        let posted = posted.map_err(|said| Unsent::Later(said, None))?;
        let said = || format!("`{url}` answered {}", posted.status);
        match posted.status {
            // Why lenient: whoever took it may say so in other words.
            200..=299 => Ok(A::decode(posted.body.as_slice()).unwrap_or_default()),
            status if TRY_AGAIN.contains(&status) => Err(Unsent::Later(said(), posted.retry_after)),
            _ => Err(Unsent::Never(said())),
        }
    }
}

/// By the list of OTLP. `unavailable` is also what a connection says that cannot be made.
fn of_status(status: &Status) -> Unsent {
    let said = format!("{:?}: {}", status.code(), status.message());
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unknown => Unsent::Later(said, None),
        _ => Unsent::Never(said),
    }
}
