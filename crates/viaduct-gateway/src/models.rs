//! The versions behind endpoints: loaded when they are asked, within a budget of memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use serde_json::Value;
use viaduct_base::{Kind, Refusal};
use viaduct_domain::columns::{Columns, Outputs};
use viaduct_infer::{
    CacheStats, LoadOptions, Model, ModelCache, ModelSource, PredictError, Runtime, RuntimeConfig,
};

use crate::endpoint;
use crate::remote::Remote;
use crate::snapshot::{EndpointSnapshot, Engine, ServedModel};

/// All versions of one process.
#[derive(Debug)]
pub(crate) struct Models {
    runtime: RuntimeConfig,
    budget: u64,
    cache: OnceLock<Arc<ModelCache>>,
}

impl Models {
    pub(crate) fn new(runtime: RuntimeConfig, budget: u64) -> Self {
        Self { runtime, budget, cache: OnceLock::new() }
    }

    /// Why at the first use: the runtime may be installed while the server runs.
    fn cache(&self) -> Result<&ModelCache, Refusal> {
        if let Some(cache) = self.cache.get() {
            return Ok(cache);
        }
        let runtime = Runtime::find(&self.runtime)?;
        Ok(self.cache.get_or_init(|| Arc::new(ModelCache::new(runtime, self.budget))))
    }

    pub(crate) fn stats(&self) -> CacheStats {
        self.cache.get().map(|cache| cache.stats()).unwrap_or_default()
    }

    /// Lets go of a version that no endpoint names any more.
    pub(crate) fn forget(&self, key: &str) {
        if let Some(cache) = self.cache.get() {
            cache.remove(key);
        }
    }
}

/// Where a version is.
#[derive(Debug)]
enum Source {
    Onnx(ModelSource),
    Remote(Arc<Remote>),
}

/// A version behind one endpoint.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) served: ServedModel,
    endpoint: String,
    source: Result<Source, Refusal>,
    /// The last load failed, and why.
    is_failed: AtomicBool,
    failed: Mutex<Option<Refusal>>,
    /// The model, for the requests that came before the version left.
    last: OnceLock<Arc<Model>>,
    models: Arc<Models>,
}

impl Slot {
    /// A version as the endpoint's contract fills it; nothing is loaded.
    pub(crate) fn new(models: &Arc<Models>, spec: &EndpointSnapshot, served: ServedModel) -> Self {
        let source = match &served.engine {
            Engine::Onnx => Ok(Source::Onnx(source(spec, &served))),
            Engine::Remote { url, model } => {
                let features = endpoint::features(spec, Some(&served));
                Remote::new(url, model, features, served.classes.clone())
                    .map(|remote| Source::Remote(Arc::new(remote)))
                    .map_err(|detail| Refusal::new(Kind::ModelNotServable, detail))
            }
        };
        Self {
            served,
            endpoint: spec.name.to_string(),
            source,
            is_failed: AtomicBool::new(false),
            failed: Mutex::default(),
            last: OnceLock::new(),
            models: Arc::clone(models),
        }
    }

    /// Names the content, where it is a file.
    pub(crate) fn key(&self) -> Option<&Arc<str>> {
        match self.source.as_ref() {
            Ok(Source::Onnx(source)) => Some(&source.key),
            _ => None,
        }
    }

    /// The model, loaded and warmed up if it is not in memory.
    pub(crate) fn get(&self) -> Result<Arc<Model>, Refusal> {
        if let Some(model) = self.last.get() {
            return Ok(Arc::clone(model));
        }
        let loaded = match &self.source {
            Ok(Source::Onnx(source)) => self.models.cache().and_then(|cache| cache.get(source)),
            Ok(Source::Remote(_)) => {
                // No failure of the version: only somebody who wants a file of it is declined.
                let detail = format!(
                    "`{}` version {} is behind another server",
                    self.served.name, self.served.version
                );
                return Err(Refusal::new(Kind::ModelNotServable, detail));
            }
            Err(refusal) => Err(refusal.clone()),
        };
        match loaded {
            Ok(model) => {
                self.worked();
                Ok(model)
            }
            Err(refusal) => Err(self.fail(refusal)),
        }
    }

    fn worked(&self) {
        if self.is_failed.swap(false, Ordering::Relaxed) {
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Lets go of the version: what is in memory stays for the requests that hold this slot, and
    /// leaves with the last of them.
    pub(crate) fn retire(&self) {
        let Some((key, cache)) = self.key().zip(self.models.cache.get()) else { return };
        if let Some(model) = cache.peek(key) {
            // Why ignored: it has retired before.
            let _ = self.last.set(model);
        }
        cache.remove(key);
    }

    /// Loads it now and looks whether the contract's fields fill it.
    pub(crate) fn prepare(&self, spec: &EndpointSnapshot) -> Result<(), Refusal> {
        if let Ok(Source::Remote(remote)) = &self.source {
            let checked = remote.check();
            let refused = |detail| self.fail(Refusal::new(Kind::NotReady, detail));
            return checked.map(|()| self.worked()).map_err(refused);
        }
        let model = self.get()?;
        match endpoint::fields_problem(spec, &model) {
            None => Ok(()),
            Some(detail) => Err(self.fail(Refusal::new(Kind::ModelNotServable, detail))),
        }
    }

    /// Whether it is a file that this process runs.
    pub(crate) fn is_local(&self) -> bool {
        self.key().is_some()
    }

    /// Whether it is in memory; a version behind another server, whether that answers.
    pub(crate) fn is_loaded(&self) -> bool {
        if !self.is_local() {
            return self.source.is_ok() && self.problem().is_none();
        }
        let cache = self.models.cache.get();
        self.key().zip(cache).is_some_and(|(key, cache)| cache.peek(key).is_some())
    }

    /// Why the last load failed.
    pub(crate) fn problem(&self) -> Option<Refusal> {
        if !self.is_failed.load(Ordering::Relaxed) {
            return None;
        }
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fail(&self, refusal: Refusal) -> Refusal {
        let detail = format!(
            "endpoint `{}` cannot serve `{}` version {}: {}",
            self.endpoint, self.served.name, self.served.version, refusal.detail
        );
        let refusal = Refusal { detail, ..refusal };
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal.clone());
        self.is_failed.store(true, Ordering::Relaxed);
        refusal
    }

    /// Asks it; a file's run is stopped soon after `until`.
    pub(crate) fn ask(
        &self,
        columns: &Columns,
        until: Option<Instant>,
    ) -> Result<Outputs, Unanswered> {
        if let Ok(Source::Remote(remote)) = &self.source {
            return match remote.ask(columns) {
                Ok(outputs) => {
                    self.worked();
                    Ok(outputs)
                }
                Err(detail) => {
                    self.fail(Refusal::new(Kind::NotReady, detail.clone()));
                    Err(Unanswered::Failed(detail))
                }
            };
        }
        let model = self.get().map_err(Unanswered::Unready)?;
        match model.predict_columns_until(columns, until) {
            Ok(outputs) if outputs.rows == columns.rows => Ok(outputs),
            Ok(outputs) => Err(Unanswered::Failed(format!(
                "{} answers came back for {} rows",
                outputs.rows, columns.rows
            ))),
            Err(PredictError::Cell { field, row, found, wanted }) => {
                let error = PredictError::Cell { field: field.clone(), row, found, wanted };
                Err(Unanswered::Cell { field, row, detail: error.to_string() })
            }
            Err(error) => Err(Unanswered::Failed(error.to_string())),
        }
    }
}

/// Why a version did not answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// It cannot be loaded.
    Unready(Refusal),
    /// A cell that the model's input cannot hold: the caller's mistake.
    Cell { field: String, row: usize, detail: String },
    /// It was asked and failed.
    Failed(String),
}

fn source(spec: &EndpointSnapshot, served: &ServedModel) -> ModelSource {
    let features = endpoint::features(spec, Some(served));
    let classes = served.classes.as_deref().map(text).unwrap_or_default();
    let shape = features.as_ref().map(|names| names.join("\u{1f}")).unwrap_or_default();
    // The gateway's copies are named by their digest; a file that was not copied by its place.
    let key = format!("{}\u{1e}{shape}\u{1e}{classes}", served.onnx.display());
    let options = LoadOptions { features, classes: served.classes.clone() };
    ModelSource { key: key.into(), path: served.onnx.clone(), options }
}

fn text(classes: &[Value]) -> String {
    classes.iter().map(|class| format!("{class}\u{1f}")).collect()
}
