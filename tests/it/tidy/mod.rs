//! Law tests: what the architecture says about crates, files and lists holds in fact.

mod crates;
mod files;
mod lists;

use std::path::{Path, PathBuf};

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}
