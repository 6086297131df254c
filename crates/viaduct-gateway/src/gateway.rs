//! The gateway: what is in service, and what is said about it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use viaduct_base::{Clock, Fault, Kind, Refusal};
use viaduct_decisions::DecisionLog;
use viaduct_infer::RuntimeConfig;

use crate::core::Core;
use crate::disk;
use crate::endpoint::{Problem, Table};
use crate::guard::Watch;
use crate::histogram::Histogram;
use crate::metrics;
use crate::onlookers::Onlookers;
use crate::publish::Kept;
use crate::snapshot::{EndpointSnapshot, Snapshot};

/// Where the gateway keeps its copy and where its models run.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// The directory of the copy: `<data>/gateway`.
    pub dir: PathBuf,
    /// Where the model runtime is looked for.
    pub runtime: RuntimeConfig,
    /// Memory that loaded models may take together, in bytes; the least recently used leave.
    pub model_bytes: u64,
}

impl GatewayConfig {
    /// Models may take half of the machine's memory.
    pub fn new(dir: impl Into<PathBuf>, runtime: RuntimeConfig) -> Self {
        let total = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let total = total.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kib = total.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        let model_bytes = kib.map_or(MODEL_BYTES, |kib| kib * 1024 / 2);
        Self { dir: dir.into(), runtime, model_bytes }
    }
}

/// Where the machine does not say how much memory it has.
const MODEL_BYTES: u64 = 2 << 30;

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
    pub(crate) core: Arc<Core>,
    pub(crate) log: DecisionLog,
    pub(crate) append_duration: Histogram,
    pub(crate) onlookers: Onlookers,
    pub(crate) watch: Watch,
    /// Held while a snapshot is prepared, which takes long: publications come one after the other.
    pub(crate) publishing: Mutex<Kept>,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("dir", &self.0.core.config.dir).finish_non_exhaustive()
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
            core: Arc::new(Core::new(config, clock, local)),
            onlookers: Onlookers::new(log.clone()),
            log,
            append_duration: Histogram::default(),
            watch: Watch::default(),
            publishing: Mutex::default(),
        }));
        let problems = match kept {
            Some(mut snapshot) => gateway.put_in_service(&mut gateway.publishing(), &mut snapshot),
            None => Vec::new(),
        };
        gateway.count_used();
        Ok((gateway, problems))
    }

    /// Whether requests are answered, and what is wrong beside.
    pub fn readiness(&self) -> Readiness {
        let table = self.0.core.table.load();
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
        self.0.core.table.load().as_deref().map(|table| Snapshot {
            workspace_salt: table.salt.to_string(),
            endpoints: table.order.iter().map(|endpoint| endpoint.spec.clone()).collect(),
        })
    }

    /// The decision log that the answers are written to.
    pub fn log(&self) -> &DecisionLog {
        &self.0.log
    }

    /// Waits until every copy for a challenger that looks on is logged.
    pub fn settle(&self) {
        self.0.onlookers.settle();
    }

    /// One endpoint as it is in service.
    pub fn endpoint(&self, name: &str) -> Option<EndpointSnapshot> {
        let table = self.0.core.table.load();
        table.as_deref()?.endpoints.get(name).map(|endpoint| endpoint.spec.clone())
    }

    pub(crate) fn dir(&self) -> &Path {
        self.0.core.dir()
    }

    /// The table in service.
    ///
    /// # Errors
    /// There is none yet.
    pub(crate) fn table(&self) -> Result<Arc<Table>, Refusal> {
        self.0.core.table.load_full().ok_or_else(|| {
            let detail = "the gateway has no snapshot yet: the server is starting";
            Refusal::new(Kind::NotReady, detail)
        })
    }

    /// Writes the data plane's metrics in the OpenMetrics text format, without the final `# EOF`.
    pub fn write_metrics(&self, out: &mut String) {
        metrics::write(self, out);
    }
}
