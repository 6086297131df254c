//! What runs a version: its ONNX file in this process, a sidecar where it is Python only, or another
//! server where the configuration names one.

use std::collections::HashSet;
use std::path::PathBuf;

use viaduct_base::Digest;
use viaduct_gateway::{Engine, ServedModel, Snapshot};

use super::resolve::{
    ModelFiles, NotServable, ResolvedVersion, absolute, read_mlmodel, read_model,
};
use crate::{App, RemoteModel};

/// What a sidecar calls its model.
const MODEL: &str = "model";

/// What a version is made of.
enum Made {
    Onnx(ModelFiles),
    Python {
        inputs: Vec<String>,
    },
    /// What is registered gives the names of its inputs; its numbers come from over there.
    Elsewhere {
        inputs: Vec<String>,
        engine: Engine,
    },
}

impl App {
    /// The version as the gateway runs it; a sidecar that it needs is started. Blocking.
    ///
    /// # Errors
    /// [`NotServable`], with the command that mends it.
    pub(crate) fn servable(&self, version: ResolvedVersion) -> Result<ServedModel, NotServable> {
        let (onnx, inputs, engine) = match self.made(&version)? {
            Made::Onnx(files) => (files.onnx, files.inputs, Engine::Onnx),
            Made::Python { inputs } => (PathBuf::new(), inputs, self.sidecar(&version)?),
            Made::Elsewhere { inputs, engine } => (PathBuf::new(), inputs, engine),
        };
        Ok(ServedModel {
            name: version.name,
            version: version.version,
            onnx,
            features: Some(inputs).filter(|inputs| !inputs.is_empty()),
            classes: None,
            engine,
        })
    }

    /// Whether the version can be served; nothing is started. Blocking.
    ///
    /// # Errors
    /// [`NotServable`], with the command that mends it.
    pub(crate) fn check_servable(&self, version: &ResolvedVersion) -> Result<(), NotServable> {
        self.made(version).map(|_| ())
    }

    fn made(&self, version: &ResolvedVersion) -> Result<Made, NotServable> {
        let is_this = |remote: &&RemoteModel| {
            remote.name == version.name && remote.version == version.version
        };
        if let Some(remote) = self.settings().remotes.iter().find(is_this) {
            let inputs = read_mlmodel(self.blobs(), version)?.input_names();
            let (url, model) = (remote.url.clone(), remote.model.clone());
            return Ok(Made::Elsewhere { inputs, engine: Engine::Remote { url, model } });
        }
        let refused = match read_model(self.blobs(), version) {
            Ok(files) => return Ok(Made::Onnx(files)),
            Err(refused @ NotServable::NotOnnx { .. }) => refused,
            Err(other) => return Err(other),
        };
        if self.settings().sidecars.is_none() {
            return Err(refused);
        }
        let read = read_mlmodel(self.blobs(), version)?;
        match read.flavors.contains_key("python_function") {
            true => Ok(Made::Python { inputs: read.input_names() }),
            false => Err(refused),
        }
    }

    fn sidecar(&self, version: &ResolvedVersion) -> Result<Engine, NotServable> {
        // Why a hash: a socket's path is short, a model's name is not.
        let named = format!("{}/{}", version.name, version.version);
        let name = Digest::of(named.as_bytes()).short().to_owned();
        let sidecars = self.settings().sidecars.as_deref();
        let folder = self.blobs().local_folder(&version.model_artifacts);
        let ensured = match (sidecars, folder) {
            (None, _) => Err("no `sidecar.python` is configured".to_owned()),
            (_, Err(error)) => Err(format!("its artifacts cannot be read: {error}")),
            (Some(sidecars), Ok(folder)) => sidecars.ensure(&name, &absolute(&folder)),
        };
        let socket = ensured.map_err(|detail| NotServable::NoSidecar { model: named, detail })?;
        Ok(Engine::Remote { url: format!("unix:{}", socket.display()), model: MODEL.into() })
    }

    /// Ends the sidecars that no endpoint of the snapshot names.
    pub(crate) fn retain_sidecars(&self, snapshot: &Snapshot) {
        let Some(sidecars) = self.settings().sidecars.as_deref() else { return };
        let socket = |model: &ServedModel| match &model.engine {
            Engine::Remote { url, .. } => url.strip_prefix("unix:").map(PathBuf::from),
            Engine::Onnx => None,
        };
        let models = snapshot.endpoints.iter().flat_map(|endpoint| endpoint.models());
        sidecars.retain(&models.filter_map(socket).collect::<HashSet<_>>());
    }
}
