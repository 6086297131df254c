//! The interpreter of the tests and the models that it makes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value};
use viaduct_domain::output::{Cell, TypedRow};
use viaduct_infer::{Runtime, RuntimeConfig};

/// The interpreter that `make test` prepares; there is no test without it.
pub(crate) fn python() -> PathBuf {
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

pub(crate) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let code = "import onnxruntime, os; print(os.path.join(os.path.dirname(onnxruntime.__file__), 'capi'))";
    let found = Command::new(python()).args(["-c", code]).output().unwrap();
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    let library = PathBuf::from(String::from_utf8_lossy(&found.stdout).trim());
    let config = RuntimeConfig { library: Some(library), ..RuntimeConfig::new("/nowhere") };
    Runtime::find(&config).unwrap()
});

/// The models of `models.py`, made once a test run.
pub(crate) static MODELS: LazyLock<(tempfile::TempDir, Map<String, Value>)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/models.py");
    let made = Command::new(python()).arg(script).arg(dir.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let text = std::fs::read_to_string(dir.path().join("expected.json")).unwrap();
    (dir, serde_json::from_str(&text).unwrap())
});

pub(crate) fn model_path(name: &str) -> PathBuf {
    MODELS.0.path().join(name)
}

/// Rows as a contract would type them: fields in the given order.
pub(crate) fn typed(rows: &Value, fields: &[&str]) -> Vec<TypedRow> {
    let cell = |value: &Value| match value {
        Value::Null => Cell::Null,
        Value::Bool(flag) => Cell::Bool(*flag),
        Value::String(text) => Cell::Text(text.clone()),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Cell::I64(whole),
            None => Cell::F64(number.as_f64().unwrap()),
        },
        other => panic!("no cell: {other}"),
    };
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| TypedRow {
        cells: fields.iter().map(|name| (Arc::from(*name), cell(&row[*name]))).collect(),
        ..TypedRow::default()
    })
    .collect()
}
