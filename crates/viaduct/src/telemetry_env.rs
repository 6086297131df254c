//! OpenTelemetry's environment variables that keep their meaning here: where traces and metrics
//! are sent. Without an endpoint nothing is.
//!
//! Names and defaults by the OpenTelemetry specification, "Environment Variable Specification" and
//! "OTLP Exporter Configuration". A value that means nothing stops the start and is named; the
//! value of a header never is.

use std::str::FromStr;
use std::time::Duration;

use tokio::runtime::Handle;
use viaduct_app::App;
use viaduct_cli::Failure;
use viaduct_outbound::{Outbound, Rules};
use viaduct_telemetry::{Options, Post, Posted, Sampler, Targets, Telemetry, Wire, pairs};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const METRICS_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TIMEOUT";
const DISABLED: &str = "OTEL_SDK_DISABLED";
const TRACES: &str = "OTEL_TRACES_EXPORTER";
const METRICS: &str = "OTEL_METRICS_EXPORTER";
const SERVICE: &str = "OTEL_SERVICE_NAME";
const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
const SPAN_DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";
const QUEUE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
const INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";

/// Begins to send what the environment wants sent; before the router is made.
///
/// # Errors
/// A variable that means nothing; no thread.
pub(crate) fn begin(app: &App) -> Result<(), Failure> {
    let said = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let Some(wanted) = read(&said)? else { return Ok(()) };
    let wire = wanted.wire()?;
    tracing::info!(
        traces = wanted.options.traces,
        metrics = wanted.options.metrics,
        "OpenTelemetry is sent: {wire:?}"
    );
    let telemetry = Telemetry::new(wanted.options);
    app.set_telemetry(telemetry.clone());
    let app = app.clone();
    let gather = Box::new(move || -> viaduct_telemetry::Gathered {
        let app = app.clone();
        Box::pin(async move { viaduct_api::metrics_page(&app).await })
    });
    telemetry
        .begin(wire, Handle::current(), gather)
        .map_err(|e| Failure::Broken(format!("no thread for OpenTelemetry: {e}")))
}

/// What the environment wants.
#[derive(Debug)]
struct Wanted {
    options: Options,
    protocol: Protocol,
    targets: Targets,
    headers: Vec<(String, String)>,
    timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http,
    Grpc,
}

impl Wanted {
    fn wire(&self) -> Result<Wire, Failure> {
        let headers = self.headers.clone();
        match self.protocol {
            Protocol::Http => Ok(Wire::http(self.targets.clone(), headers, post(self.timeout))),
            Protocol::Grpc => {
                let address = self.targets.base();
                let wire = Wire::grpc(address, headers, self.timeout);
                wire.map_err(|said| Failure::Usage(format!("`{ENDPOINT}`: {said}")))
            }
        }
    }
}

/// Why private addresses: a collector stands beside the server, and whoever starts it names it.
fn post(timeout: Duration) -> Post {
    let schemes = vec!["http".to_owned(), "https".to_owned()];
    let outbound = Outbound::new(Rules { schemes, allow_private: true, timeout });
    Box::new(move |url, headers, body| {
        let answer = outbound.post_raw(url, headers, body).map_err(|e| e.to_string())?;
        let (status, retry_after) = (answer.status, answer.retry_after);
        Ok(Posted { status, retry_after, body: answer.body })
    })
}

type Said<'a> = &'a dyn Fn(&str) -> Option<String>;

fn read(said: Said<'_>) -> Result<Option<Wanted>, Failure> {
    if said(DISABLED).is_some_and(|text| text.trim().eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let protocol = protocol(said)?;
    let targets = targets(said, protocol)?;
    let traces = targets.traces.is_some() && exported(said, TRACES)?;
    let metrics = targets.metrics.is_some() && exported(said, METRICS)?;
    if !traces && !metrics {
        return Ok(None);
    }
    let headers = said(HEADERS).map_or(Ok(Vec::new()), |text| {
        pairs(&text).map_err(|place| {
            Failure::Usage(format!("`{HEADERS}`: part {place} is not `name=value`"))
        })
    })?;
    let options = Options {
        resource: resource(said)?,
        sampler: sampler(said)?,
        traces,
        metrics,
        queue_max: number(said, QUEUE, 2_048)?,
        span_delay: milliseconds(said, SPAN_DELAY, 5_000)?,
        metric_interval: milliseconds(said, INTERVAL, 60_000)?,
    };
    let timeout = milliseconds(said, TIMEOUT, 10_000)?;
    Ok(Some(Wanted { options, protocol, targets, headers, timeout }))
}

fn protocol(said: Said<'_>) -> Result<Protocol, Failure> {
    match said(PROTOCOL).as_deref().map(str::trim) {
        None | Some("http/protobuf") => Ok(Protocol::Http),
        Some("grpc") => Ok(Protocol::Grpc),
        Some(other) => {
            Err(Failure::Usage(format!("`{PROTOCOL}` is `{other}`: use `http/protobuf` or `grpc`")))
        }
    }
}

fn targets(said: Said<'_>, protocol: Protocol) -> Result<Targets, Failure> {
    let address = |name: &str| match said(name) {
        None => Ok(None),
        Some(text) => {
            let text = text.trim().to_owned();
            match text.starts_with("http://") || text.starts_with("https://") {
                true => Ok(Some(text)),
                false => Err(Failure::Usage(format!(
                    "`{name}` is no address: use one as in `http://127.0.0.1:4318`"
                ))),
            }
        }
    };
    let (base, traces, metrics) =
        (address(ENDPOINT)?, address(TRACES_ENDPOINT)?, address(METRICS_ENDPOINT)?);
    if protocol == Protocol::Grpc && (traces.is_some() || metrics.is_some()) {
        return Err(Failure::Usage(format!(
            "with `{PROTOCOL}=grpc` traces and metrics go to one address: set `{ENDPOINT}` instead \
             of `{TRACES_ENDPOINT}` and `{METRICS_ENDPOINT}`"
        )));
    }
    Ok(Targets::new(base.as_deref(), traces, metrics))
}

/// Whether a signal is wanted; it is unless somebody says `none`.
fn exported(said: Said<'_>, name: &str) -> Result<bool, Failure> {
    match said(name).as_deref().map(str::trim) {
        None | Some("otlp") => Ok(true),
        Some("none") => Ok(false),
        Some(other) => Err(Failure::Usage(format!("`{name}` is `{other}`: use `otlp` or `none`"))),
    }
}

/// Who tells; what the environment says of it comes last and wins.
fn resource(said: Said<'_>) -> Result<Vec<(String, String)>, Failure> {
    let mut resource = vec![
        ("service.name".to_owned(), "viaduct".to_owned()),
        ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ];
    if let Some(text) = said(RESOURCE) {
        let given = pairs(&text).map_err(|place| {
            Failure::Usage(format!("`{RESOURCE}`: part {place} is not `name=value`"))
        })?;
        resource.retain(|(name, _)| given.iter().all(|(other, _)| other != name));
        resource.extend(given);
    }
    if let Some(name) = said(SERVICE) {
        resource.retain(|(key, _)| key != "service.name");
        resource.insert(0, ("service.name".to_owned(), name.trim().to_owned()));
    }
    Ok(resource)
}

fn sampler(said: Said<'_>) -> Result<Sampler, Failure> {
    let name = said(SAMPLER).unwrap_or_else(|| "parentbased_always_on".to_owned());
    let argument = said(SAMPLER_ARGUMENT).unwrap_or_default();
    Sampler::read(&name, &argument).map_err(|wanted| {
        let given = format!("`{SAMPLER}` is `{name}`, `{SAMPLER_ARGUMENT}` is `{argument}`");
        Failure::Usage(format!("{given}: use {wanted}"))
    })
}

fn milliseconds(said: Said<'_>, name: &str, default: u64) -> Result<Duration, Failure> {
    Ok(Duration::from_millis(number(said, name, default)?))
}

fn number<T: FromStr + PartialEq + From<u8>>(
    said: Said<'_>,
    name: &str,
    default: T,
) -> Result<T, Failure> {
    let Some(text) = said(name) else { return Ok(default) };
    let number = text.trim().parse().ok().filter(|number| *number != T::from(0));
    number.ok_or_else(|| {
        Failure::Usage(format!("`{name}` is `{text}`, which is not a whole number from 1"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(values: &[(&str, &str)]) -> Result<Option<Wanted>, Failure> {
        read(&|name| {
            let found = values.iter().find(|(given, _)| *given == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    const HERE: (&str, &str) = (ENDPOINT, "http://127.0.0.1:4318/");

    #[test]
    fn nothing_is_sent_without_an_endpoint_or_when_switched_off() {
        assert!(with(&[]).unwrap().is_none());
        assert!(with(&[(SERVICE, "x"), (HEADERS, "a=b")]).unwrap().is_none());
        assert!(with(&[HERE, (DISABLED, "TRUE")]).unwrap().is_none());
        assert!(with(&[HERE, (TRACES, "none"), (METRICS, "none")]).unwrap().is_none());
    }

    #[test]
    fn an_endpoint_alone_is_enough() {
        let wanted = with(&[HERE]).unwrap().unwrap();
        assert_eq!(wanted.targets.traces.as_deref(), Some("http://127.0.0.1:4318/v1/traces"));
        assert_eq!(wanted.targets.metrics.as_deref(), Some("http://127.0.0.1:4318/v1/metrics"));
        assert_eq!(wanted.protocol, Protocol::Http);
        assert_eq!(wanted.timeout, Duration::from_secs(10));
        let options = wanted.options;
        assert!(options.traces && options.metrics);
        assert_eq!((options.queue_max, options.span_delay.as_secs()), (2_048, 5));
        assert_eq!(options.metric_interval.as_secs(), 60);
        assert_eq!(options.sampler, Sampler::read("parentbased_always_on", "").unwrap());
        assert_eq!(options.resource[0], ("service.name".to_owned(), "viaduct".to_owned()));
    }

    #[test]
    fn a_signals_own_endpoint_is_taken_as_it_is_and_is_enough_for_that_signal() {
        let own = (TRACES_ENDPOINT, "https://traces.example/in");
        let wanted = with(&[own]).unwrap().unwrap();
        assert_eq!(wanted.targets.traces.as_deref(), Some("https://traces.example/in"));
        assert!(wanted.options.traces && !wanted.options.metrics);
        let both = with(&[HERE, own]).unwrap().unwrap();
        assert_eq!(both.targets.traces.as_deref(), Some("https://traces.example/in"));
        assert_eq!(both.targets.metrics.as_deref(), Some("http://127.0.0.1:4318/v1/metrics"));
    }

    #[test]
    fn who_tells_is_what_the_environment_says() {
        let attributes = (RESOURCE, "service.name=a,team=risk%20desk");
        let wanted = with(&[HERE, attributes, (SERVICE, "b")]).unwrap().unwrap();
        let resource = wanted.options.resource;
        let of = |key: &str| {
            let values = resource.iter().filter(|(name, _)| name == key);
            values.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(of("service.name"), ["b"]);
        assert_eq!(of("team"), ["risk desk"]);
    }

    #[test]
    fn what_means_nothing_is_named_and_a_header_is_not_told() {
        for (name, value) in [
            (ENDPOINT, "127.0.0.1:4318"),
            (PROTOCOL, "http/json"),
            (HEADERS, "hush"),
            (TIMEOUT, "soon"),
            (TIMEOUT, "0"),
            (SAMPLER, "sometimes"),
            (SAMPLER_ARGUMENT, "2"),
            (RESOURCE, "hush"),
            (QUEUE, "-1"),
            (TRACES, "jaeger"),
        ] {
            let mut values = vec![(name, value)];
            values.extend((name != ENDPOINT).then_some(HERE));
            values.extend((name == SAMPLER_ARGUMENT).then_some((SAMPLER, "traceidratio")));
            let Err(Failure::Usage(said)) = with(&values) else { panic!("{name}={value}") };
            assert!(said.contains(name) && !said.contains("hush"), "{said}");
        }
        let split = with(&[(PROTOCOL, "grpc"), HERE, (METRICS_ENDPOINT, "http://x")]);
        assert!(matches!(split, Err(Failure::Usage(said)) if said.contains(ENDPOINT)));
    }

    #[test]
    fn grpc_is_spoken_where_it_is_asked_for() {
        let wanted = with(&[HERE, (PROTOCOL, "grpc"), (HEADERS, "authorization=hush")]);
        let wanted = wanted.unwrap().unwrap();
        assert_eq!(wanted.protocol, Protocol::Grpc);
        let wire = format!("{:?}", wanted.wire().unwrap());
        assert!(wire.contains("4318") && !wire.contains("hush"), "{wire}");
    }
}
