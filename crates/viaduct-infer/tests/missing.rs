//! In a process of its own, because a process keeps the first library that loads.

use viaduct_base::{Kind, Refusal};
use viaduct_infer::{Runtime, RuntimeConfig};

#[test]
fn no_library_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let named = dir.path().join("libonnxruntime.so");
    let config = RuntimeConfig { library: Some(named.clone()), ..RuntimeConfig::new(dir.path()) };
    let missing = Runtime::find(&config).unwrap_err();
    let said = missing.to_string();
    assert!(said.contains("viaduct setup runtime") && said.contains("does not exist"), "{said}");
    assert_eq!(Refusal::from(missing).kind, Kind::RuntimeMissing);
    std::fs::write(&named, b"not a library").unwrap();
    let said = Runtime::find(&config).unwrap_err().to_string();
    assert!(said.contains("the configuration: "), "{said}");
}
