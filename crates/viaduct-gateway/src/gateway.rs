//! The gateway: what is in service, and how it is replaced.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use serde_json::Value;
use viaduct_base::{Clock, Digest, EndpointId, Fault, Kind, Refusal};
use viaduct_decisions::DecisionLog;
use viaduct_infer::{LoadOptions, Model, Runtime, RuntimeConfig};

use crate::disk;
use crate::endpoint::{self, Endpoint, Problem, Table};
use crate::metrics::{self, Counters, Histogram};
use crate::snapshot::{EndpointSnapshot, Snapshot};

/// Where the gateway keeps its copy and where its models run.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// The directory of the copy: `<data>/gateway`.
    pub dir: PathBuf,
    /// Where the model runtime is looked for.
    pub runtime: RuntimeConfig,
}

/// Whether the gateway serves, and what is wrong although it does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readiness {
    /// A snapshot is loaded: requests are answered.
    pub ready: bool,
    /// What is degraded, a sentence each.
    pub degraded: Vec<String>,
}

type ModelKey = (Digest, Option<Vec<String>>, String);

/// The data plane of one process. Clones share it.
#[derive(Clone)]
pub struct Gateway(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    config: GatewayConfig,
    pub(crate) log: DecisionLog,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) table: ArcSwapOption<Table>,
    pub(crate) append_duration: Histogram,
    /// Held while a snapshot is prepared: publications come one after the other.
    publishing: Mutex<Kept>,
}

/// What outlives a snapshot.
#[derive(Default)]
struct Kept {
    models: HashMap<ModelKey, Arc<Model>>,
    counters: HashMap<EndpointId, Arc<Counters>>,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("dir", &self.0.config.dir).finish_non_exhaustive()
    }
}

impl Gateway {
    /// Starts the data plane, with the snapshot of the last run if there is one: the database is
    /// not needed.
    ///
    /// # Errors
    /// The directory cannot be used, or its snapshot cannot be read.
    pub fn open(
        config: GatewayConfig,
        log: DecisionLog,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Vec<Problem>), Fault> {
        disk::prepare(&config.dir)?;
        let kept = disk::read(&config.dir)?;
        let gateway = Self(Arc::new(Inner {
            config,
            log,
            clock,
            table: ArcSwapOption::empty(),
            append_duration: Histogram::default(),
            publishing: Mutex::default(),
        }));
        let problems = match kept {
            Some(snapshot) => gateway.put_in_service(&mut gateway.publishing(), snapshot),
            None => Vec::new(),
        };
        Ok((gateway, problems))
    }

    /// Puts a snapshot in service and on disk. Blocks while models are copied and loaded;
    /// requests go on with the snapshot before. An endpoint whose model cannot be loaded is in
    /// service too and says why when it is asked.
    ///
    /// # Errors
    /// The copy on disk could not be written; the snapshot is in service all the same.
    pub fn publish(&self, mut snapshot: Snapshot) -> Result<Vec<Problem>, Fault> {
        // Why over the whole: memory and disk must not end with different snapshots.
        let mut kept = self.publishing();
        let mut uncopied = Vec::new();
        for endpoint in &mut snapshot.endpoints {
            let Some(model) = &mut endpoint.model else { continue };
            match disk::keep_model(&self.0.config.dir, &model.onnx) {
                Ok(kept) => model.onnx = kept,
                Err(error) => uncopied.push(Problem {
                    endpoint: endpoint.name.to_string(),
                    detail: format!("`{}` is not copied: {error}", model.onnx.display()),
                }),
            }
        }
        let mut problems = self.put_in_service(&mut kept, snapshot.clone());
        problems.extend(uncopied);
        disk::write(&self.0.config.dir, &snapshot)?;
        disk::drop_unnamed_models(&self.0.config.dir, &snapshot);
        Ok(problems)
    }

    fn publishing(&self) -> MutexGuard<'_, Kept> {
        self.0.publishing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put_in_service(&self, kept: &mut Kept, snapshot: Snapshot) -> Vec<Problem> {
        let mut models = HashMap::new();
        let mut counters = HashMap::new();
        let mut endpoints = HashMap::new();
        let mut problems = Vec::new();
        for spec in &snapshot.endpoints {
            let model = self.load(spec, &kept.models, &mut models);
            let counted = kept.counters.get(&spec.id).cloned().unwrap_or_default();
            counters.insert(spec.id, Arc::clone(&counted));
            let endpoint = Endpoint::new(spec.clone(), model, counted);
            problems.extend(endpoint.problem());
            endpoints.insert(spec.name.to_string(), Arc::new(endpoint));
        }
        // Models that nobody names any more leave when the last request with them has ended.
        *kept = Kept { models, counters };
        self.0.table.store(Some(Arc::new(Table { snapshot, endpoints })));
        problems
    }

    /// The endpoint's model: the one that is loaded already, when the bytes and options are the
    /// same.
    fn load(
        &self,
        spec: &EndpointSnapshot,
        loaded: &HashMap<ModelKey, Arc<Model>>,
        models: &mut HashMap<ModelKey, Arc<Model>>,
    ) -> Result<Arc<Model>, Refusal> {
        let name = &spec.name;
        let Some(served) = &spec.model else {
            return Err(Refusal::new(
                Kind::NotReady,
                format!("endpoint `{name}` has no model yet: register one and set its alias"),
            ));
        };
        let prefix = |refusal: Refusal| {
            let detail = format!(
                "endpoint `{name}` cannot serve `{}` version {}: {}",
                served.name, served.version, refusal.detail
            );
            Refusal { detail, ..refusal }
        };
        let bytes = std::fs::read(&served.onnx).map_err(|error| {
            let detail = format!("`{}` cannot be read: {error}", served.onnx.display());
            prefix(Refusal::new(Kind::ModelNotServable, detail))
        })?;
        let features = endpoint::features(spec);
        let classes = served.classes.as_deref().map(text).unwrap_or_default();
        let key = (Digest::of(&bytes), features.clone(), classes);
        if let Some(model) = models.get(&key).or_else(|| loaded.get(&key)).cloned() {
            models.insert(key, Arc::clone(&model));
            return Ok(model);
        }
        let runtime = Runtime::find(&self.0.config.runtime).map_err(|e| prefix(e.into()))?;
        let file = served.onnx.file_name().unwrap_or_default().to_string_lossy();
        let options = LoadOptions { features, classes: served.classes.clone() };
        let model = runtime.load_bytes(&file, &bytes, options).map_err(|e| prefix(e.into()))?;
        let model = Arc::new(model);
        models.insert(key, Arc::clone(&model));
        Ok(model)
    }

    /// Whether requests are answered, and what is wrong beside.
    pub fn readiness(&self) -> Readiness {
        let table = self.0.table.load();
        let Some(table) = table.as_deref() else { return Readiness::default() };
        let mut degraded: Vec<_> = table
            .endpoints
            .values()
            .filter_map(|endpoint| endpoint.problem())
            .map(|problem| problem.detail)
            .collect();
        degraded.sort();
        Readiness { ready: true, degraded }
    }

    /// What is in service; `None` before the first snapshot.
    pub fn snapshot(&self) -> Option<Snapshot> {
        self.0.table.load().as_deref().map(|table| table.snapshot.clone())
    }

    /// The decision log that the answers are written to.
    pub fn log(&self) -> &DecisionLog {
        &self.0.log
    }

    /// The table in service.
    ///
    /// # Errors
    /// There is none yet.
    pub(crate) fn table(&self) -> Result<Arc<Table>, Refusal> {
        self.0.table.load_full().ok_or_else(|| {
            let detail = "the gateway has no snapshot yet: the server is starting";
            Refusal::new(Kind::NotReady, detail)
        })
    }

    /// Writes the data plane's metrics in the OpenMetrics text format, without the final `# EOF`.
    pub fn write_metrics(&self, out: &mut String) {
        let stats = self.0.log.stats();
        let table = self.0.table.load();
        let mut all: Vec<_> = table
            .as_deref()
            .map(|table| table.endpoints.iter().map(|(n, e)| (n.as_str(), &*e.counters)).collect())
            .unwrap_or_default();
        all.sort_by_key(|(name, _)| *name);
        metrics::gauge(out, "viaduct_endpoints", "Endpoints in service.", all.len() as u64);
        metrics::endpoints(out, &all);
        metrics::histogram(
            out,
            "viaduct_decision_log_append_seconds",
            "Appending a request's decisions.",
            &self.0.append_duration,
        );
        let gauges = [
            ("viaduct_decision_log_rows", "Rows in the decision log.", stats.rows),
            ("viaduct_decision_log_bytes", "Bytes of the decision log.", stats.bytes),
            ("viaduct_decision_log_segments", "Segments of the decision log.", stats.segments),
            (
                "viaduct_decision_log_index_failures",
                "Index files that could not be written.",
                stats.index_failures,
            ),
        ];
        for (name, help, value) in gauges {
            metrics::gauge(out, name, help, value);
        }
    }
}

fn text(classes: &[Value]) -> String {
    classes.iter().map(|class| format!("{class}\u{1f}")).collect()
}
