//! Every shared reference case, at its tolerance, through the door that an auditor uses.

#![expect(clippy::expect_used, reason = "a reference file that does not read must stop the test")]

mod compare;
mod data;
mod hostile;
mod value;

use std::path::PathBuf;

use serde_json::Value;

/// Reads a reference file; `None` with a loud line where the folder is not there.
pub(crate) fn read(name: &str) -> Option<Value> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/oracles");
    if !folder.is_dir() {
        eprintln!("SKIPPED: {} is absent, so {name} was not checked", folder.display());
        return None;
    }
    let text = std::fs::read_to_string(folder.join(name)).expect("a reference file");
    Some(serde_json::from_str(&text).expect("JSON"))
}

/// Computes a case and parses the answer.
pub(crate) fn calc(family: &str, inputs: &Value) -> Value {
    let answer = viaduct_stats::calc::run(family, &inputs.to_string());
    serde_json::from_str(&answer).expect("an answer in JSON")
}
