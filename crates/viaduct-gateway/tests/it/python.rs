//! The interpreter of the tests and the model that it makes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use viaduct_infer::RuntimeConfig;

/// The interpreter that `make test` prepares; there is no test without it.
fn python() -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let places = [
        std::env::var_os("VIADUCT_TEST_PYTHON").map(PathBuf::from),
        Some(repository.join(".venv/bin/python")),
    ];
    places.into_iter().flatten().find(|path| path.exists()).unwrap_or_else(|| {
        panic!(
            "no Python for the tests: run `make test`, or set VIADUCT_TEST_PYTHON to an \
             interpreter with onnxruntime, scikit-learn, skl2onnx and pandas"
        )
    })
}

pub(crate) fn runtime() -> RuntimeConfig {
    static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
        let code = "import onnxruntime, os; print(os.path.join(os.path.dirname(onnxruntime.__file__), 'capi'))";
        let found = Command::new(python()).args(["-c", code]).output().unwrap();
        assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
        PathBuf::from(String::from_utf8_lossy(&found.stdout).trim())
    });
    RuntimeConfig { library: Some(LIBRARY.clone()), ..RuntimeConfig::new("/nowhere") }
}

/// `model.onnx` and `model.pkl`, made once a test run.
pub(crate) fn model(name: &str) -> PathBuf {
    static MODELS: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let dir = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/models.py");
        let made = Command::new(python()).arg(script).arg(dir.path()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        dir
    });
    MODELS.path().join(name)
}

/// A script of these tests, to be run by the interpreter.
pub(crate) fn run(script: &str) -> Command {
    let mut command = Command::new(python());
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(script));
    command
}
