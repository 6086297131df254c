//! Spans and metrics as OTLP's messages.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue,
};
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{self as pb, ResourceSpans, ScopeSpans, Status};

use crate::openmetrics;
use crate::span::{Begun, Side, Span, Value};
use crate::telemetry::Options;

/// It is known whether the parent is elsewhere; it is elsewhere.
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// Who sends, said with everything.
#[derive(Debug)]
pub(crate) struct Encoder {
    resource: Resource,
    scope: InstrumentationScope,
    begun: Begun,
}

impl Encoder {
    pub(crate) fn new(options: &Options, begun: Begun) -> Self {
        let attributes = options.resource.iter();
        let attributes = attributes.map(|(key, value)| text(key, value.clone())).collect();
        let scope = InstrumentationScope {
            name: "viaduct".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        Self { resource: Resource { attributes, ..Resource::default() }, scope, begun }
    }

    pub(crate) fn traces(&self, spans: Vec<Span>) -> ExportTraceServiceRequest {
        let scope_spans = ScopeSpans {
            scope: Some(self.scope.clone()),
            spans: spans.into_iter().map(span).collect(),
            ..ScopeSpans::default()
        };
        let resource_spans = ResourceSpans {
            resource: Some(self.resource.clone()),
            scope_spans: vec![scope_spans],
            ..ResourceSpans::default()
        };
        ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
    }

    pub(crate) fn metrics(&self, page: &str) -> ExportMetricsServiceRequest {
        let times =
            openmetrics::Times { start_ns: self.begun.unix_ns(), now_ns: self.begun.unix_ns_now() };
        let scope_metrics = ScopeMetrics {
            scope: Some(self.scope.clone()),
            metrics: openmetrics::read(page, times),
            ..ScopeMetrics::default()
        };
        let resource_metrics = ResourceMetrics {
            resource: Some(self.resource.clone()),
            scope_metrics: vec![scope_metrics],
            ..ResourceMetrics::default()
        };
        ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }
    }
}

fn any(kind: AnyKind) -> Option<AnyValue> {
    Some(AnyValue { value: Some(kind) })
}

pub(crate) fn text(key: &str, value: String) -> KeyValue {
    let value = any(AnyKind::StringValue(value));
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn attribute((key, value): (&'static str, Value)) -> KeyValue {
    let value = match value {
        Value::Text(text) => any(AnyKind::StringValue(text.into_owned())),
        Value::Int(number) => any(AnyKind::IntValue(number)),
        Value::Texts(texts) => {
            let values = texts.into_iter().filter_map(|text| any(AnyKind::StringValue(text)));
            any(AnyKind::ArrayValue(ArrayValue { values: values.collect() }))
        }
    };
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn span(span: Span) -> pb::Span {
    let kind = match span.side {
        Side::Server => SpanKind::Server,
        Side::Client => SpanKind::Client,
    };
    let is_remote = span.parent.is_some() && span.is_parent_remote;
    let remote = HAS_IS_REMOTE | if is_remote { IS_REMOTE } else { 0 };
    let mut attributes: Vec<_> = span.attributes.into_iter().map(attribute).collect();
    let status = span.failed.map(|kind| {
        attributes.push(text("error.type", kind.into_owned()));
        Status { code: StatusCode::Error.into(), ..Status::default() }
    });
    pb::Span {
        trace_id: span.context.trace.to_be_bytes().to_vec(),
        span_id: span.context.span.to_be_bytes().to_vec(),
        trace_state: span.state.unwrap_or_default(),
        parent_span_id: span.parent.map(|id| id.to_be_bytes().to_vec()).unwrap_or_default(),
        flags: u32::from(span.context.flags) | remote,
        name: span.name.into_owned(),
        kind: kind.into(),
        start_time_unix_nano: span.start_ns,
        end_time_unix_nano: span.end_ns,
        attributes,
        status,
        ..pb::Span::default()
    }
}
