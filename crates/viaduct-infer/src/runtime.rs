//! The runtime: one environment a process, found once, shared by all models.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;

use crate::error::{LoadError, RuntimeMissing};
use crate::library::{Origin, candidates};
use crate::model::{LoadOptions, Model};

/// Where to look and how much to use.
#[derive(Debug, Clone)]
pub struct RuntimeConfig {
    /// The library, when somebody named it.
    pub library: Option<PathBuf>,
    /// The data directory: its `runtime/` is searched.
    pub data_dir: PathBuf,
    /// Sessions a model, one for each call at a time; 0 stands for the number of cores, at most 4.
    pub sessions: usize,
}

impl RuntimeConfig {
    /// Looks everywhere, with one session a core.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { library: None, data_dir: data_dir.into(), sessions: 0 }
    }
}

/// ONNX Runtime, loaded.
#[derive(Debug, Clone)]
pub struct Runtime {
    environment: Environment,
    library: PathBuf,
    origin: Origin,
    sessions: usize,
}

/// Why a static: ONNX Runtime allows one environment in the life of a process.
static LOADED: Mutex<Option<(Environment, PathBuf, Origin)>> = Mutex::new(None);

/// Why a bound: each session holds its own copy of the model.
const SESSIONS_MAX: usize = 4;

impl Runtime {
    /// Finds and loads the library; a process that has one already keeps it.
    ///
    /// # Errors
    /// None was found, or none that was found loads.
    pub fn find(config: &RuntimeConfig) -> Result<Self, RuntimeMissing> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let (environment, library, origin) = match &*loaded {
            Some(loaded) => loaded.clone(),
            None => {
                let fresh = load_first(candidates(config.library.as_deref(), &config.data_dir))?;
                loaded.insert(fresh).clone()
            }
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let sessions = if config.sessions == 0 { cores.min(SESSIONS_MAX) } else { config.sessions };
        Ok(Self { environment, library, origin, sessions })
    }

    /// The library's path.
    pub fn library(&self) -> &Path {
        &self.library
    }

    /// Which place of the search it came from.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// What the library says about its build.
    pub fn build(&self) -> &'static str {
        ort::info()
    }

    /// Loads a model file.
    ///
    /// # Errors
    /// It is not ONNX, cannot be read, or has inputs that rows cannot fill.
    pub fn load(&self, path: &Path, options: LoadOptions) -> Result<Model, LoadError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = fs::read(path)
            .map_err(|source| LoadError::Unreadable { path: path.to_path_buf(), source })?;
        self.load_bytes(&name, &bytes, options)
    }

    /// Loads a model from memory; `name` stands in messages.
    ///
    /// # Errors
    /// As [`Runtime::load`].
    pub fn load_bytes(
        &self,
        name: &str,
        bytes: &[u8],
        options: LoadOptions,
    ) -> Result<Model, LoadError> {
        Model::load(&self.environment, name, bytes, options, self.sessions)
    }
}

fn load_first(
    found: Vec<(Origin, PathBuf)>,
) -> Result<(Environment, PathBuf, Origin), RuntimeMissing> {
    let mut reasons = Vec::new();
    for (origin, path) in found {
        let place = origin.as_str();
        if !path.exists() {
            reasons.push(format!("{place} names `{}`, which does not exist", path.display()));
            continue;
        }
        let environment = ort::init_from(&path).map_err(|e| e.to_string()).and_then(|builder| {
            let builder = builder.with_name("viaduct").with_telemetry(false);
            builder.build().map_err(|e| e.to_string())
        });
        match environment {
            Ok(environment) => return Ok((environment, path, origin)),
            Err(reason) => reasons.push(format!("{place}: {reason}")),
        }
    }
    if reasons.is_empty() {
        reasons.push(
            "no `libonnxruntime.so` beside the binary, in `<data_dir>/runtime` or in the active \
             Python environment"
                .into(),
        );
    }
    Err(RuntimeMissing { reason: reasons.join("; ") })
}
