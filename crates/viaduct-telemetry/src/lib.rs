//! Traces and metrics by OTLP, and the W3C trace context that ties services together.
//!
//! Invariants: without an endpoint nothing of this exists; a request never waits for a collector
//! (its spans go into a bounded queue, and what does not fit is dropped and counted); the metrics
//! are the text of `/metrics` read again, not a second set of numbers; no path, query, body,
//! entity or header of a request stands in a span, and no value of a header of ours in a log.
//!
//! Why the messages alone and not the SDK: its metrics cannot take over histograms that are
//! counted already, and its span queue does not say how much it dropped. The messages cost three
//! small crates; HTTP is the client that the process has (given as a [`Post`]), gRPC the tonic.

mod ambient;
mod context;
mod encode;
mod export;
mod journey;
mod openmetrics;
mod pairs;
mod sampler;
mod span;
mod telemetry;
mod wire;

pub use ambient::{current, follow, hop, within};
pub use context::{Carried, TraceContext};
pub use export::{Gather, Gathered};
pub use journey::{Hop, Journey};
pub use pairs::pairs;
pub use sampler::Sampler;
pub use span::Value;
pub use telemetry::{Options, Telemetry};
pub use wire::{Post, Posted, Targets, Wire};
