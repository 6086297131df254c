//! Whether an ONNX version says what its original says: what is compared, and where the verdict is
//! kept: as the version's tag `viaduct.parity`, and in the audit trail.

use serde_json::{Value, json};
use viaduct_base::Error;
use viaduct_blob::{BlobPath, Blobs};
use viaduct_domain::manifest::{ModelRef, Pick};
use viaduct_store::mlflow::registry::{self, Tagged};
use viaduct_store::mlflow::{Pair, logged_model, run};
use viaduct_store::{Scope, StoreError, Tx};

use super::location;
use super::resolve::{
    ModelFiles, ResolvedVersion, read_mlmodel, read_model, resolve_version, run_artifact,
};
use crate::App;
use crate::audit::Deed;

/// The tag of a version that keeps the report, as JSON.
pub const PARITY_TAG: &str = "viaduct.parity";
/// The job that compares.
const CHECK_PARITY: &str = "check_parity";
/// The test rows that a run carries.
const TEST: &str = "viaduct/test.csv";

/// What is compared.
#[derive(Debug, Clone)]
pub struct ParityInputs {
    /// The ONNX file and its features.
    pub files: ModelFiles,
    /// The folder of the ONNX version.
    pub folder: BlobPath,
    /// The model that it was made of: its name, and its folder. `None` when the run has none.
    pub original: Option<(String, BlobPath)>,
    /// The run's test rows, when it carries some.
    pub test: Option<BlobPath>,
}

impl App {
    /// Writes the job that compares a new version with its original, where something can run that.
    pub(super) fn enqueue_parity(
        &self,
        tx: &mut Tx,
        name: &str,
        version: i64,
    ) -> Result<(), StoreError> {
        if self.settings().sidecars.is_none() {
            return Ok(());
        }
        let payload = json!({ "model": name, "version": version });
        self.enqueue(tx, CHECK_PARITY, &payload, &format!("parity:{name}/{version}")).map(|_| ())
    }

    /// What to compare of a version; `None` for one that is gone or no ONNX.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn parity_inputs(
        &self,
        name: &str,
        version: i64,
    ) -> Result<Option<ParityInputs>, Error> {
        let pick = Pick::Version(u64::try_from(version).unwrap_or_default());
        let reference = ModelRef { name: name.to_owned(), pick };
        let (app, scope) = (self.clone(), Scope::of(self.workspace()));
        self.store()
            .read("find_parity_inputs", move |tx| {
                let found = resolve_version(tx, &scope, &reference)?;
                let Some(version) = found else { return Ok(None) };
                let Ok(files) = read_model(app.blobs(), &version) else { return Ok(None) };
                let original = original(tx, &scope, app.blobs(), &version)?;
                let test = run_artifact(&version, TEST)
                    .filter(|path| matches!(app.blobs().open_blob(path), Ok(Some(_))));
                Ok(Some(ParityInputs { files, folder: version.model_artifacts, original, test }))
            })
            .await
    }

    /// Keeps the report with the version.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn record_parity(
        &self,
        name: &str,
        version: i64,
        report: Value,
    ) -> Result<(), Error> {
        let (app, scope, now) = (self.clone(), Scope::of(self.workspace()), self.now());
        let name = name.to_owned();
        self.store()
            .write("record_parity", move |tx| -> Result<(), Error> {
                if registry::find_version(tx, &scope, (&name, version))?.is_none() {
                    return Ok(());
                }
                let tag = Pair { key: PARITY_TAG.to_owned(), value: report.to_string() };
                registry::set_tag(tx, &scope, Tagged::Version(&name, version), &tag)?;
                let deed = Deed {
                    action: "model_version.parity_checked",
                    object_kind: "model_version",
                    object_id: &format!("{name}/{version}"),
                    project: None,
                    detail: report.clone(),
                };
                Ok(app.record(tx, &app.system(), now, &deed)?)
            })
            .await
    }
}

/// The newest other model of the version's run that Python can load and that is no ONNX.
fn original(
    tx: &mut Tx,
    scope: &Scope,
    blobs: &Blobs,
    version: &ResolvedVersion,
) -> Result<Option<(String, BlobPath)>, Error> {
    let Some(run_id) = &version.run_id else { return Ok(None) };
    let Some(row) = run::find(tx, scope, run_id)? else { return Ok(None) };
    for model in logged_model::list(tx, scope, &row.experiment_id)? {
        let is_sibling = model.source_run_id.as_ref() == Some(run_id)
            && Some(&model.model_id) != version.model_id.as_ref();
        if !is_sibling {
            continue;
        }
        let folder = location::artifacts(&model.artifact_uri, None)?;
        let looked = ResolvedVersion {
            name: model.name.clone(),
            model_artifacts: folder.clone(),
            ..version.clone()
        };
        let Ok(read) = read_mlmodel(blobs, &looked) else { continue };
        let is_python = read.flavors.contains_key("python_function");
        if is_python && !read.flavors.contains_key("onnx") {
            return Ok(Some((model.name, folder)));
        }
    }
    Ok(None)
}
