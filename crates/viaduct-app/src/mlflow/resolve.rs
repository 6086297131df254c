//! From a name in a project file to the files of a model version: what serving and the collectors
//! of facts read of the registry.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use viaduct_base::Timestamp;
use viaduct_blob::{BlobPath, Blobs};
use viaduct_domain::manifest::{ModelRef, Pick};
use viaduct_store::mlflow::{registry, run};
use viaduct_store::{Scope, StoreError, Tx};

use super::location;

/// An `MLmodel` file is a page of YAML; more than this is none.
const MLMODEL_BYTES_MAX: u64 = 4 << 20;

/// A version of a registered model, found by a [`ModelRef`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedVersion {
    /// The registered model.
    pub name: String,
    /// The version's number.
    pub version: i64,
    /// The run that made it.
    pub run_id: Option<String>,
    /// The logged model that it is.
    pub model_id: Option<String>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// The run's artifacts, when the run is known.
    pub run_artifacts: Option<BlobPath>,
    /// The model's own files.
    pub model_artifacts: BlobPath,
}

/// The files of a model that can be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFiles {
    /// The ONNX file, absolute on disk.
    pub onnx: PathBuf,
    /// Column names of the signature in order; empty when there is none.
    pub inputs: Vec<String>,
    /// What the signature's outputs look like.
    pub task: Option<TaskHint>,
}

/// A guess from the names of a signature's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskHint {
    /// There are probabilities or a label.
    Classification,
    /// There is one number.
    Regression,
}

/// Why a version cannot be served, and the command that mends it.
#[derive(Debug, thiserror::Error)]
pub enum NotServable {
    /// There is no `MLmodel` file.
    #[error(
        "`{model}` has no `MLmodel` file among its artifacts (`{folder}`): register what \
         `mlflow.onnx.log_model(onnx_model, name=\"model\", signature=…)` logged"
    )]
    NoModelFile {
        /// Name and version.
        model: String,
        /// The folder that was looked into.
        folder: String,
    },
    /// The `MLmodel` file does not read.
    #[error("the `MLmodel` file of `{model}` does not read: {detail}; log the model again")]
    Unreadable {
        /// Name and version.
        model: String,
        /// What was wrong.
        detail: String,
    },
    /// Its flavors hold no ONNX graph.
    #[error(
        "`{model}` has the flavor `{flavor}` and only ONNX is served without `sidecar.python`: {}",
        convert(flavor)
    )]
    NotOnnx {
        /// Name and version.
        model: String,
        /// Its flavor.
        flavor: String,
    },
    /// Its sidecar cannot run.
    #[error("`{model}` needs a sidecar: {detail}")]
    NoSidecar {
        /// Name and version.
        model: String,
        /// Why there is none.
        detail: String,
    },
    /// The ONNX file is not there.
    #[error("`{file}` of `{model}` is missing from its artifacts: log the model again")]
    FileMissing {
        /// Name and version.
        model: String,
        /// The file that `MLmodel` names.
        file: String,
    },
}

/// How to make ONNX of a flavor.
fn convert(flavor: &str) -> String {
    let (make, tool) = match flavor {
        "sklearn" => ("skl2onnx.to_onnx(model, X[:1])", "skl2onnx"),
        "xgboost" => ("onnxmltools.convert_xgboost(model, initial_types=…)", "onnxmltools"),
        "lightgbm" => ("onnxmltools.convert_lightgbm(model, initial_types=…)", "onnxmltools"),
        "pytorch" => ("torch.onnx.export(model, X, \"model.onnx\")", "torch"),
        "tensorflow" | "keras" => ("tf2onnx.convert.from_keras(model)[0]", "tf2onnx"),
        _ => ("skl2onnx.to_onnx(model, X[:1])", "the converter of its library"),
    };
    format!(
        "convert it with {tool}: `mlflow.onnx.log_model({make}, name=\"model\")`, and register that"
    )
}

/// The version that a project file names; `None` when there is no such model, alias or version.
///
/// # Errors
/// When the store does not answer.
pub fn resolve_version(
    tx: &mut Tx,
    scope: &Scope,
    model: &ModelRef,
) -> Result<Option<ResolvedVersion>, StoreError> {
    let version = match &model.pick {
        Pick::Version(version) => i64::try_from(*version).ok(),
        Pick::Alias(alias) => {
            let aliases = registry::list_aliases(tx, scope, &model.name)?;
            aliases.into_iter().find(|a| a.alias == *alias).map(|a| a.version)
        }
    };
    let Some(version) = version else { return Ok(None) };
    let Some(row) = registry::find_version(tx, scope, (&model.name, version))? else {
        return Ok(None);
    };
    let unreadable =
        |column: &str, detail: String| StoreError::Column { column: column.to_owned(), detail };
    let model_artifacts = row
        .storage_path
        .parse()
        .map_err(|e: viaduct_blob::InvalidBlobPath| unreadable("storage_path", e.to_string()))?;
    let run = match &row.run_id {
        Some(id) => run::find(tx, scope, id)?,
        None => None,
    };
    let run_artifacts = run
        .map(|run| location::stored(&run.artifact_uri))
        .transpose()
        .map_err(|refusal| unreadable("artifact_uri", refusal.detail))?;
    Ok(Some(ResolvedVersion {
        name: row.name,
        version: row.version,
        run_id: row.run_id,
        model_id: row.model_id,
        created_at: row.created_at,
        run_artifacts,
        model_artifacts,
    }))
}

/// A file among the artifacts of the version's run; `None` when the run is not known.
pub fn run_artifact(version: &ResolvedVersion, path: &str) -> Option<BlobPath> {
    version.run_artifacts.as_ref()?.join(path).ok()
}

#[derive(Deserialize)]
pub(super) struct MlModel {
    #[serde(default)]
    pub(super) flavors: std::collections::BTreeMap<String, Value>,
    signature: Option<Signature>,
}

impl MlModel {
    /// Column names of the signature in order; empty when there is none.
    pub(super) fn input_names(&self) -> Vec<String> {
        column_names(self.signature.as_ref().and_then(|s| s.inputs.as_deref()))
    }
}

#[derive(Deserialize)]
struct Signature {
    inputs: Option<String>,
    outputs: Option<String>,
}

/// The version's `MLmodel` file.
pub(super) fn read_mlmodel(
    blobs: &Blobs,
    version: &ResolvedVersion,
) -> Result<MlModel, NotServable> {
    let model = format!("{}/{}", version.name, version.version);
    let unreadable = |detail: String| NotServable::Unreadable { model: model.clone(), detail };
    let path = version.model_artifacts.join("MLmodel").map_err(|e| unreadable(e.to_string()))?;
    let bytes = blobs
        .read(&path, MLMODEL_BYTES_MAX)
        .map_err(|e| unreadable(e.to_string()))?
        .ok_or_else(|| NotServable::NoModelFile {
            model: model.clone(),
            folder: version.model_artifacts.to_string(),
        })?;
    let text = std::str::from_utf8(&bytes).map_err(|e| unreadable(e.to_string()))?;
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|e| unreadable(e.to_string()))
}

/// Reads what the version's `MLmodel` file says, and finds the ONNX file. Blocking.
///
/// # Errors
/// [`NotServable`] names the model, its flavor and the command that converts it.
pub fn read_model(blobs: &Blobs, version: &ResolvedVersion) -> Result<ModelFiles, NotServable> {
    let model = format!("{}/{}", version.name, version.version);
    let unreadable = |detail: String| NotServable::Unreadable { model: model.clone(), detail };
    let read = read_mlmodel(blobs, version)?;
    let Some(onnx) = read.flavors.get("onnx") else {
        let own = read.flavors.keys().find(|name| *name != "python_function");
        let flavor = own.map_or_else(|| "python_function".to_owned(), Clone::clone);
        return Err(NotServable::NotOnnx { model, flavor });
    };
    let file = onnx.get("data").and_then(Value::as_str).unwrap_or("model.onnx").to_owned();
    let missing = || NotServable::FileMissing { model: model.clone(), file: file.clone() };
    let blob = version.model_artifacts.join(&file).map_err(|_| missing())?;
    let found = blobs.local_file(&blob).map_err(|e| unreadable(e.to_string()))?;
    let found = found.ok_or_else(missing)?;
    let signature = read.signature.as_ref();
    let inputs = read.input_names();
    let task = task_hint(signature.and_then(|s| s.outputs.as_deref()));
    Ok(ModelFiles { onnx: absolute(&found), inputs, task })
}

/// Names of the columns; a tensor counts as one when it is a column of its own.
fn column_names(schema: Option<&str>) -> Vec<String> {
    let is_column =
        |spec: &Value| match spec.pointer("/tensor-spec/shape").and_then(Value::as_array) {
            None => true,
            Some(shape) => shape.len() == 1 || (shape.len() == 2 && shape[1] == 1),
        };
    let specs = specs(schema);
    let names = specs.iter().filter(|spec| is_column(spec)).filter_map(name_of);
    let names: Vec<String> = names.map(str::to_owned).collect();
    // Why: part of the names would be another model's order.
    if names.len() == specs.len() { names } else { Vec::new() }
}

fn task_hint(schema: Option<&str>) -> Option<TaskHint> {
    let specs = specs(schema);
    let names: Vec<&str> = specs.iter().filter_map(name_of).collect();
    if names.iter().any(|name| matches!(*name, "label" | "probabilities" | "output_probability")) {
        return Some(TaskHint::Classification);
    }
    let is_number = specs.len() == 1
        && ["/type", "/tensor-spec/dtype"].iter().any(|at| {
            let kind = specs.first().and_then(|spec| spec.pointer(at)).and_then(Value::as_str);
            matches!(kind, Some("float" | "double" | "float32" | "float64"))
        });
    is_number.then_some(TaskHint::Regression)
}

fn specs(schema: Option<&str>) -> Vec<Value> {
    schema.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn name_of(spec: &Value) -> Option<&str> {
    spec.get("name").and_then(Value::as_str)
}

pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONNX: &str = r#"
flavors:
  onnx:
    code: null
    data: model.onnx
    onnx_version: 1.17.0
    providers: [CPUExecutionProvider]
  python_function:
    loader_module: mlflow.onnx
    env: {conda: conda.yaml, virtualenv: python_env.yaml}
mlflow_version: 3.17.2
model_size_bytes: 1234
signature:
  inputs: '[{"type": "string", "name": "job", "required": true}, {"type": "float", "name": "age"}]'
  outputs: '[{"name": "label", "type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
  params: null
utc_time_created: '2026-11-25 09:00:00.000000'
"#;

    fn version() -> ResolvedVersion {
        ResolvedVersion {
            name: "term-deposit".into(),
            version: 3,
            run_id: Some("r".into()),
            model_id: None,
            created_at: Timestamp::from_micros(0),
            run_artifacts: Some("1/r/artifacts".parse().unwrap()),
            model_artifacts: "1/models/m-1/artifacts".parse().unwrap(),
        }
    }

    fn with(text: &str) -> (tempfile::TempDir, Blobs) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        let path = version().model_artifacts.join("MLmodel").unwrap();
        blobs.put(&path, text.as_bytes()).unwrap();
        (folder, blobs)
    }

    #[test]
    fn an_onnx_model() {
        let (folder, blobs) = with(ONNX);
        let missing = read_model(&blobs, &version()).unwrap_err().to_string();
        assert!(missing.contains("`model.onnx` of `term-deposit/3`"), "{missing}");
        let onnx = version().model_artifacts.join("model.onnx").unwrap();
        blobs.put(&onnx, b"graph").unwrap();
        let files = read_model(&blobs, &version()).unwrap();
        assert_eq!(files.inputs, ["job", "age"]);
        assert_eq!(files.task, Some(TaskHint::Classification));
        assert_eq!(files.onnx, folder.path().join("1/models/m-1/artifacts/model.onnx"));
        let test = run_artifact(&version(), "viaduct/test.csv").unwrap();
        assert_eq!(test.as_str(), "1/r/artifacts/viaduct/test.csv");
    }

    #[test]
    fn other_flavors_are_refused_with_the_command() {
        let (_folder, blobs) =
            with("flavors: {sklearn: {pickled_model: model.pkl}, python_function: {}}");
        let said = read_model(&blobs, &version()).unwrap_err().to_string();
        for word in ["term-deposit/3", "`sklearn`", "skl2onnx", "mlflow.onnx.log_model"] {
            assert!(said.contains(word), "{said}");
        }
        let (_folder, blobs) = with("flavors: [1");
        assert!(matches!(read_model(&blobs, &version()), Err(NotServable::Unreadable { .. })));
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        assert!(matches!(read_model(&blobs, &version()), Err(NotServable::NoModelFile { .. })));
    }

    #[test]
    fn a_file_outside_is_missing() {
        let (_folder, blobs) = with("flavors: {onnx: {data: ../../../../etc/passwd}}");
        assert!(matches!(read_model(&blobs, &version()), Err(NotServable::FileMissing { .. })));
    }

    #[test]
    fn tensors_name_columns_only_one_by_one() {
        let wide =
            r#"[{"type":"tensor","name":"X","tensor-spec":{"dtype":"float32","shape":[-1,13]}}]"#;
        assert!(column_names(Some(wide)).is_empty());
        let tall =
            r#"[{"type":"tensor","name":"x","tensor-spec":{"dtype":"float32","shape":[-1,1]}}]"#;
        assert_eq!(column_names(Some(tall)), ["x"]);
        assert!(column_names(Some(r#"[{"type":"float"}]"#)).is_empty());
        assert!(column_names(None).is_empty());
    }
}
