//! The gateway: what is in service, and what is said about it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use viaduct_base::{Clock, EndpointId, Fault, Kind, Refusal};
use viaduct_decisions::DecisionLog;
use viaduct_infer::RuntimeConfig;

use crate::disk;
use crate::endpoint::{Problem, Table};
use crate::histogram::Histogram;
use crate::metrics;
use crate::publish::Kept;
use crate::report::Local;
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

/// The data plane of one process. Clones share it.
#[derive(Clone)]
pub struct Gateway(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) config: GatewayConfig,
    pub(crate) log: DecisionLog,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) table: ArcSwapOption<Table>,
    pub(crate) append_duration: Histogram,
    /// Held while a snapshot is prepared, which takes long: publications come one after the other.
    pub(crate) publishing: Mutex<Kept>,
    /// Held while the table is exchanged, which is quick: a kill never waits for a model's load.
    state: Mutex<State>,
}

/// What the table in service is made of.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The endpoints as the control plane published them.
    pub(crate) published: HashMap<EndpointId, EndpointSnapshot>,
    /// What happened here and it does not know.
    pub(crate) local: Local,
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
        let local = disk::read_local(&config.dir)?;
        let gateway = Self(Arc::new(Inner {
            config,
            log,
            clock,
            table: ArcSwapOption::empty(),
            append_duration: Histogram::default(),
            publishing: Mutex::default(),
            state: Mutex::new(State { local, ..State::default() }),
        }));
        let problems = match kept {
            Some(snapshot) => gateway.put_in_service(&mut gateway.publishing(), snapshot),
            None => Vec::new(),
        };
        Ok((gateway, problems))
    }

    /// Whether requests are answered, and what is wrong beside.
    pub fn readiness(&self) -> Readiness {
        let table = self.0.table.load();
        let Some(table) = table.as_deref() else { return Readiness::default() };
        let mut degraded: Vec<_> = table
            .order
            .iter()
            .filter_map(|endpoint| endpoint.problem())
            .map(|problem| problem.detail)
            .collect();
        degraded.sort();
        Readiness { ready: true, degraded }
    }

    /// What is in service; `None` before the first snapshot.
    pub fn snapshot(&self) -> Option<Snapshot> {
        self.0.table.load().as_deref().map(|table| Snapshot {
            workspace_salt: table.salt.to_string(),
            endpoints: table.order.iter().map(|endpoint| endpoint.spec.clone()).collect(),
        })
    }

    /// The decision log that the answers are written to.
    pub fn log(&self) -> &DecisionLog {
        &self.0.log
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.0.config.dir
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
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
