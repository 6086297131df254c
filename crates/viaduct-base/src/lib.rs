//! The ground every other room stands on: ids, names, time, money, hashes and refusals.
//!
//! Small for ever. No IO, no async, no knowledge of projects, models or HTTP.

mod clock;
mod digest;
mod fault;
mod id;
mod money;
mod name;
mod refusal;
mod secret;
mod time;

pub use clock::{Clock, ClockKind, SimulatedClock, SystemClock};
pub use digest::{Digest, canonical_json, digest_json};
pub use fault::{Error, Fault};
pub use id::*;
pub use money::{Currency, Money};
pub use name::{InvalidName, Name, nearest};
pub use refusal::{FieldError, Kind, Refusal};
pub use secret::Secret;
pub use time::{Day, InvalidTime, Span, Timestamp};
