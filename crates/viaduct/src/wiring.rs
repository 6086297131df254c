//! Opens every room in order and hands each its part of the configuration.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use viaduct_app::clock::SIMULATED_NOW;
use viaduct_app::{App, Parts, Reproduce, Settings};
use viaduct_auth::Params;
use viaduct_base::{Clock, Error, SimulatedClock, SystemClock, Timestamp};
use viaduct_blob::Blobs;
use viaduct_cli::Failure;
use viaduct_cluster::{SidecarOptions, Sidecars};
use viaduct_decisions::{DecisionLog, Durability, LogOptions, OnFull};
use viaduct_domain::policy::Policy;
use viaduct_gateway::{Gateway, GatewayConfig};
use viaduct_infer::RuntimeConfig;
use viaduct_store::{DataDirLock, Store, StoreError, setting};

use crate::config::{ClockChoice, Config, DurabilityChoice};
use crate::server::refused;
use crate::{data_dir, mlflow_env};

/// Opens the application: lock and database first, so that nothing is touched when either is
/// somebody else's.
pub(crate) async fn open(config: &Config) -> Result<App, Failure> {
    let policy = policy(config)?;
    let lock = DataDirLock::take(&config.data_dir).map_err(|e| refused(&e))?;
    // Why before the database: it would make a new directory look like one that has lived.
    data_dir::settle(config)?;
    // Why given back: the store takes the same lock and keeps it.
    drop(lock);
    let store = open_store(config).await?;
    let (clock, simulated) = clock(config, &store)?;
    let place = |name: &str| config.data_dir.join(name);
    let blobs = open_blobs(config).await?;
    let (decisions, recovery) = DecisionLog::open_with(&place("decisions"), log_options(config))
        .map_err(|e| in_dir(&place("decisions"), &e))?;
    if !recovery.is_clean() {
        tracing::warn!(?recovery, "the decision log was mended");
    }
    let runtime = RuntimeConfig {
        library: config.runtime_library.clone(),
        ..RuntimeConfig::new(&config.data_dir)
    };
    let mut data_plane = GatewayConfig::new(place("gateway"), runtime.clone());
    if config.model_memory_mib > 0 {
        data_plane.model_bytes = config.model_memory_mib.saturating_mul(1 << 20);
    }
    let (gateway, problems) = Gateway::open(data_plane, decisions.clone(), clock.clone())
        .map_err(|e| in_dir(&place("gateway"), &e.chain()))?;
    for problem in problems {
        tracing::warn!(?problem, "an endpoint is degraded");
    }
    let settings = Settings {
        is_loopback: config.listen.ip().is_loopback(),
        password_params: Params::STANDARD,
        reproduce: reproduce(config),
        sidecars: sidecars(config)?,
        remotes: config.remotes.clone(),
        data_dir: config.data_dir.clone(),
    };
    let parts =
        Parts { store, blobs, decisions, gateway, runtime, clock, simulated, policy, settings };
    let app = App::open(parts).await.map_err(|e| fault(&e))?;
    for listen in [Some(config.listen), config.grpc_listen].into_iter().flatten() {
        refuse_open_door(&app, listen)?;
    }
    app.set_webhook_desk(mlflow_env::webhook_desk()?);
    app.set_tracking_retention(config.mlflow_retention);
    app.set_decision_retention(config.decision_retention);
    Ok(app)
}

/// Why a thread of its own: an object store is asked on threads that it brings itself.
async fn open_blobs(config: &Config) -> Result<Blobs, Failure> {
    let places = config.artifacts.clone();
    tokio::task::spawn_blocking(move || Blobs::open_at(&places))
        .await
        .map_err(|e| Failure::Broken(format!("opening the artifacts did not end: {e}")))?
        .map_err(|e| Failure::Usage(format!("the artifacts cannot be opened: {e}")))
}

/// Why a thread of its own: the PostgreSQL driver drives its connection itself, which it may not do
/// on a thread that already drives requests.
async fn open_store(config: &Config) -> Result<Store, Failure> {
    let (database, data_dir) = (config.database.clone(), config.data_dir.clone());
    tokio::task::spawn_blocking(move || Store::open_even_if_away(&database, &data_dir))
        .await
        .map_err(|e| Failure::Broken(format!("opening the database did not end: {e}")))?
        .map_err(|e| refused(&e))
}

/// Elsewhere than on loopback, an open server would be everybody's.
fn refuse_open_door(app: &App, listen: SocketAddr) -> Result<(), Failure> {
    if listen.ip().is_loopback() || app.has_users() {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "`{listen}` can be reached from elsewhere and there is no user, so everything would be open: start on `127.0.0.1`, run `viaduct user add NAME --role admin --password-stdin`, then start on `{listen}`"
    )))
}

fn policy(config: &Config) -> Result<Policy, Failure> {
    let Some(path) = &config.policy else {
        return Policy::shipped().map_err(|e| Failure::Broken(e.detail));
    };
    let text = std::fs::read_to_string(path).map_err(|e| {
        Failure::Usage(format!("the gate policy `{}` cannot be read: {e}", path.display()))
    })?;
    Policy::parse(&text).map_err(|refusal| {
        let mut lines = vec![format!("the gate policy `{}`: {refusal}", path.display())];
        lines.extend(refusal.errors.iter().map(|error| {
            let at = match (error.line, error.column) {
                (Some(line), Some(column)) => format!("{line}:{column}"),
                _ => error.pointer.clone(),
            };
            format!("  {}:{at}: {}", path.display(), error.detail)
        }));
        Failure::Usage(lines.join("\n"))
    })
}

type Clocks = (Arc<dyn Clock>, Option<Arc<SimulatedClock>>);

/// A simulated clock goes on where it stood; a new one starts where the configuration says, else
/// at today's midnight.
fn clock(config: &Config, store: &Store) -> Result<Clocks, Failure> {
    let ClockChoice::Simulated { start } = config.clock else {
        return Ok((Arc::new(SystemClock), None));
    };
    let kept = store
        .read_blocking("find_clock", |tx| setting::find(tx, SIMULATED_NOW))
        .map_err(|e: StoreError| Failure::Broken(format!("the clock cannot be read: {e}")))?;
    let kept: Option<Timestamp> = match kept {
        Some(text) => Some(text.parse().map_err(|e| {
            Failure::Broken(format!("the database holds a clock that is no time: {e}"))
        })?),
        None => None,
    };
    let now = kept.or(start).unwrap_or_else(|| SystemClock.now().day().start());
    let simulated = Arc::new(SimulatedClock::new(now));
    Ok((simulated.clone(), Some(simulated)))
}

fn log_options(config: &Config) -> LogOptions {
    let durability = match config.durability {
        DurabilityChoice::Os => Durability::Os,
        DurabilityChoice::Fsync => Durability::Fsync,
    };
    let on_full = match config.goes_on_unlogged {
        false => OnFull::Refuse,
        true => OnFull::Continue,
    };
    LogOptions { durability, on_full, ..LogOptions::default() }
}

fn reproduce(config: &Config) -> Option<Reproduce> {
    let python = config.reproduce.python.clone()?;
    Some(Reproduce {
        python,
        time_limit: config.reproduce.time_limit.to_std(),
        memory_limit_mib: config.reproduce.memory_limit_mib,
    })
}

fn sidecars(config: &Config) -> Result<Option<Arc<Sidecars>>, Failure> {
    let Some(python) = config.sidecar_python.clone() else { return Ok(None) };
    let data_dir =
        std::path::absolute(&config.data_dir).map_err(|e| in_dir(&config.data_dir, &e))?;
    let folder = data_dir.join("sidecar");
    let memory_limit_mib = config.sidecar_memory_limit_mib;
    let options = SidecarOptions { python, folder: folder.clone(), memory_limit_mib };
    let opened = Sidecars::new(options).map_err(|e| in_dir(&folder, &e))?;
    Ok(Some(Arc::new(opened)))
}

fn in_dir(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::Broken(format!("`{}` cannot be opened: {error}", path.display()))
}

fn fault(error: &Error) -> Failure {
    match error {
        Error::Refused(refusal) => Failure::Usage(refusal.detail.clone()),
        Error::Fault(fault) => Failure::Broken(fault.chain()),
    }
}
