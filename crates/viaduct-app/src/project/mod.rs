//! Projects: applied from a file, listed, shown, deleted, shelved.

mod apply;
mod delete;
mod end;
mod freeze;
mod list;
mod load;

pub use apply::Applied;
pub use end::End;
pub use list::{ProjectSummary, StageView};
pub use load::Project;
pub use load::{load, load_all};
