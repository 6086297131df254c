//! Endpoints: models bound to them, the snapshot published, consumers with keys.

mod bind;
mod consumer;
mod list;
mod snapshot;

pub use consumer::NewConsumer;
pub use list::{Day, EndpointView};
pub use snapshot::registered;
