//! The data plane: one straight corridor from request to answer.
//!
//! `request ➜ endpoint snapshot ➜ contract check ➜ assignment ➜ inference ➜ rule ➜ decision log
//! append ➜ answer`. The control plane publishes an immutable [`Snapshot`]; the gateway swaps it
//! in and keeps a copy with its models on disk, so that it serves after a restart while the
//! database is away. Invariant: no answer leaves before its decisions are in the log. It does not
//! know the database or HTTP.

mod admit;
mod asked;
mod call;
mod core;
mod counts;
mod disk;
mod endpoint;
mod entity;
mod entry;
mod flag;
mod gateway;
mod guard;
mod histogram;
mod infer;
mod infer_named;
mod journey;
mod limits;
mod metadata;
mod metrics;
mod models;
mod onlookers;
mod place;
mod predict;
mod publish;
mod quota;
mod remote;
mod remote_tensors;
mod replay;
mod report;
mod retention;
mod said;
mod settle;
mod snapshot;
mod spared;
mod statistics;
mod stopwatch;
mod switch;
mod usual;

pub use call::{Answer, CallKey, PredictCall};
pub use counts::{Latency, VariantCounts};
pub use endpoint::Problem;
pub use entry::{Entry, deadline_passed};
pub use flag::{Assignment, AssignmentReason};
pub use gateway::{Gateway, GatewayConfig, Readiness};
pub use infer::{InferAnswer, InferCall, InputTensor, OutputTensor, Parameter, TensorData};
pub use metadata::{EndpointMetadata, TensorMetadata};
pub use report::{Report, ReportEvent};
pub use snapshot::{
    Challenger, ConsumerSnapshot, EndpointSnapshot, Engine, Fallback, Guard, GuardWhat,
    InputRetention, Killed, Limits, Mode, ServedModel, Snapshot,
};
pub use statistics::{EndpointStatistics, Total};
pub use stopwatch::Stopwatch;
