//! The application: what every verb needs, cheap to clone.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use viaduct_auth::Params;
use viaduct_base::{Clock, ClockKind, Error, Fault, Kind, SimulatedClock, Timestamp, WorkspaceId};
use viaduct_blob::Blobs;
use viaduct_cluster::Sidecars;
use viaduct_decisions::DecisionLog;
use viaduct_domain::permission::{Caller, Operation, check};
use viaduct_domain::policy::Policy;
use viaduct_gateway::Gateway;
use viaduct_infer::{Runtime, RuntimeConfig};
use viaduct_store::{Scope, Store};
use viaduct_telemetry::{Carried, Telemetry};

use crate::identity::{Directory, kept};

/// How long to wait before the database is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// How to train a model again.
#[derive(Debug, Clone)]
pub struct Reproduce {
    /// The Python that runs it.
    pub python: PathBuf,
    /// When it is given up.
    pub time_limit: Duration,
    /// Memory of each process, MiB.
    pub memory_limit_mib: u64,
}

/// A registered version that another server answers, by the Open Inference Protocol v2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteModel {
    /// The registered model.
    pub name: String,
    /// The version's number.
    pub version: i64,
    /// `http://host:port` of the other server.
    pub url: String,
    /// The model's name there.
    pub model: String,
}

/// Choices of the configuration that verbs read.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether only this machine can reach the server.
    pub is_loopback: bool,
    /// How passwords are hashed.
    pub password_params: Params,
    /// How to reproduce, when allowed.
    pub reproduce: Option<Reproduce>,
    /// What runs models that are no ONNX, when allowed.
    pub sidecars: Option<Arc<Sidecars>>,
    /// Versions that other servers answer.
    pub remotes: Vec<RemoteModel>,
    /// The folder of everything that is not in the database.
    pub data_dir: PathBuf,
}

/// What an [`App`] is made of.
pub struct Parts {
    /// The database.
    pub store: Store,
    /// Artifacts.
    pub blobs: Blobs,
    /// Decisions.
    pub decisions: DecisionLog,
    /// The data plane.
    pub gateway: Gateway,
    /// Where the model runtime is looked for.
    pub runtime: RuntimeConfig,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The same clock, when it can be advanced.
    pub simulated: Option<Arc<SimulatedClock>>,
    /// The gates.
    pub policy: Policy,
    /// The rest.
    pub settings: Settings,
}

/// The application. Clones share everything.
#[derive(Clone)]
pub struct App {
    pub(crate) parts: Arc<Parts>,
    /// People and tokens in memory, so that authentication needs no database.
    pub(crate) directory: Arc<Directory>,
    /// The workspace in which every caller acts, until there are more.
    pub(crate) workspace: WorkspaceId,
    /// Rung when a job was written.
    pub(crate) bell: Arc<Notify>,
    /// How webhooks are sent.
    pub(crate) desk: Arc<crate::mlflow::DeskCell>,
    /// How long what was deleted is kept.
    pub(crate) retention: Arc<crate::mlflow::RetentionCell>,
    /// How long decisions are kept.
    pub(crate) decision_retention: Arc<crate::decision::DecisionRetentionCell>,
    /// Held while the simulated clock advances.
    pub(crate) advancing: Arc<tokio::sync::Mutex<()>>,
    /// Where requests are traced, when they are.
    telemetry: Arc<OnceLock<Telemetry>>,
    /// The traced request that this clone works for.
    told_by: Option<Carried>,
}

impl App {
    /// Opens the application over its parts: reads the workspace and the people. While the
    /// database is away, an installation that has run before opens all the same: the data plane
    /// serves from its copy, and [`App::come_back`] brings the rest when it can.
    ///
    /// # Errors
    /// When the database does not answer and never did, or does not read.
    pub async fn open(parts: Parts) -> Result<Self, Error> {
        let found = parts
            .store
            .read("find_workspace", |tx| {
                viaduct_store::workspace::find_by_name(tx, viaduct_store::workspace::DEFAULT)
            })
            .await
            .map_err(Error::from);
        let directory = Directory::default();
        directory.is_unread.store(true, Ordering::SeqCst);
        let (workspace, is_away) = match found {
            Ok(Some(row)) => (row.id, false),
            Ok(None) => {
                return Err(Fault::new("the database has no `default` workspace").into());
            }
            Err(error) if is_away(&error) => {
                let kept = kept::read(&parts.settings.data_dir)?.ok_or(error)?;
                directory.had_users.store(kept.has_users, Ordering::SeqCst);
                (kept.workspace, true)
            }
            Err(error) => return Err(error),
        };
        let app = Self {
            parts: Arc::new(parts),
            directory: Arc::new(directory),
            workspace,
            bell: Arc::new(Notify::new()),
            desk: Arc::default(),
            retention: Arc::default(),
            decision_retention: Arc::default(),
            advancing: Arc::default(),
            telemetry: Arc::default(),
            told_by: None,
        };
        if !is_away {
            app.reload_directory().await?;
        }
        Ok(app)
    }

    /// Whether the database was reached since the start.
    pub fn has_reached_database(&self) -> bool {
        self.people_are_known().is_ok()
    }

    /// Brings what stands in the database into service, and tries again while it is away.
    ///
    /// # Errors
    /// Anything else than a database that is away.
    pub async fn come_back(&self) -> Result<(), Error> {
        let mut is_told = false;
        loop {
            let came = async {
                if self.people_are_known().is_err() {
                    self.reload_directory().await?;
                }
                self.bind_models().await
            };
            match came.await {
                Err(error) if is_away(&error) => {
                    if !is_told {
                        tracing::error!(%error, "the database is away: predictions are served from the copy on disk");
                        is_told = true;
                    }
                    tokio::time::sleep(RETRY).await;
                }
                other => return other.map(drop),
            }
        }
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.parts.store
    }

    /// Artifacts.
    pub fn blobs(&self) -> &Blobs {
        &self.parts.blobs
    }

    /// Decisions.
    pub fn decisions(&self) -> &DecisionLog {
        &self.parts.decisions
    }

    /// The data plane.
    pub fn gateway(&self) -> &Gateway {
        &self.parts.gateway
    }

    /// The gates.
    pub fn policy(&self) -> &Policy {
        &self.parts.policy
    }

    /// The configuration's choices.
    pub fn settings(&self) -> &Settings {
        &self.parts.settings
    }

    /// The model runtime, loaded when it is first asked for.
    ///
    /// # Errors
    /// `runtime-missing` with the command that brings it.
    pub fn runtime(&self) -> Result<Runtime, Error> {
        Runtime::find(&self.parts.runtime).map_err(|missing| Error::Refused(missing.into()))
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// Which clock rows are written under.
    pub fn clock_kind(&self) -> ClockKind {
        self.parts.clock.kind()
    }

    /// The clock's word in tables.
    pub fn clock_word(&self) -> &'static str {
        match self.clock_kind() {
            ClockKind::System => "system",
            ClockKind::Simulated => "simulated",
        }
    }

    /// The workspace of the installation.
    pub fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    /// The platform itself as a caller.
    pub fn system(&self) -> Caller {
        Caller::system(self.workspace)
    }

    /// Checks the authorisation table; what comes back is the permission that the store demands.
    ///
    /// # Errors
    /// The table's refusal.
    pub fn authorise(&self, caller: &Caller, operation: Operation) -> Result<Scope, Error> {
        check(caller, operation)?;
        Ok(Scope::of(caller.workspace))
    }

    /// Says where requests are traced; once, before the first one comes.
    pub fn set_telemetry(&self, telemetry: Telemetry) {
        // Why ignored: the first word counts.
        let _ = self.telemetry.set(telemetry);
    }

    /// Where requests are traced, when they are.
    pub fn telemetry(&self) -> Option<&Telemetry> {
        self.telemetry.get()
    }

    /// A clone that knows which traced request it works for, for work on the store's threads.
    pub(crate) fn told(&self) -> Self {
        let told_by = viaduct_telemetry::current().map(|journey| journey.carried());
        Self { told_by, ..self.clone() }
    }

    /// The request that [`App::told`] found.
    pub(crate) fn told_by(&self) -> Option<&Carried> {
        self.told_by.as_ref()
    }

    /// Rings after a commit that wrote jobs, so that the worker looks at once.
    pub fn ring(&self) {
        self.bell.notify_waiters();
        self.bell.notify_one();
    }

    /// Waits for the next ring.
    pub async fn wait_for_ring(&self) {
        self.bell.notified().await;
    }
}

/// Whether this is the refusal of a database that does not answer.
pub fn is_away(error: &Error) -> bool {
    matches!(error, Error::Refused(refusal) if refusal.kind == Kind::DatabaseAway)
}
