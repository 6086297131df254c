//! Endpoints: deployed and deleted, models bound to them, their contracts, the snapshot published,
//! consumers with keys, the kill switch.

mod bind;
mod consumer;
mod contract;
mod deploy;
mod infer_contract;
mod kill;
mod list;
mod row;
mod snapshot;

pub use consumer::{ConsumerLimits, ConsumerView, NewConsumer};
pub use contract::ContractView;
pub use deploy::{AppliedEndpoint, Demand, Deployed, file_of};
pub use kill::Switched;
pub use list::{Day, EndpointView, VersionView};
pub use snapshot::registered;

pub(crate) use bind::is_pinned;
pub(crate) use kill::word as fallback_word;
pub(crate) use list::no_endpoint;
pub(crate) use row::{fresh_row, write_spec};
