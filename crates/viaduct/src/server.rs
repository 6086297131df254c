//! `viaduct server`: one process that answers until it is told to stop.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::{Extension, Router};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use viaduct_api::guard::AllowedHosts;
use viaduct_api::mlflow::ui::Pages;
use viaduct_api::routes::{Row, doc};
use viaduct_app::{App, is_away};
use viaduct_cli::Failure;
use viaduct_store::OpenError;
use viaduct_work::Worker;

use crate::config::Config;
use crate::listen::{self, Limits};
use crate::{mlflow_ui, telemetry_env, wiring};

/// How long requests under way may take after a stop is asked for.
const DRAIN: Duration = Duration::from_secs(10);

/// How long the last spans may take to a collector.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Threads of the reactor beyond the cores: while predictions run on as many as there are cores,
/// these go on reading and answering.
const SPARE_THREADS: usize = 2;

/// Connections that the operating system keeps until they are taken. Why more than the standard
/// library's 128: whoever comes in a burst and finds no room waits a second and tries again.
const WAITING_MAX: u32 = 4096;

/// Runs until SIGTERM or Ctrl-C.
pub(crate) fn run(config: Config) -> Result<(), Failure> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores + SPARE_THREADS)
        .enable_all()
        .build()
        .map_err(|e| Failure::Broken(format!("no threads: {e}")))?;
    viaduct_api::inline::allow(cores);
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), Failure> {
    let app = wiring::open(&config).await?;
    telemetry_env::begin(&app)?;
    let listener = bind(config.listen)?;
    let address = listener.local_addr().unwrap_or(config.listen);
    let mut doors = vec![(listener, router(app.clone(), &config, address))];
    if let Some(wanted) = config.grpc_listen {
        let listener = bind(wanted)?;
        let address = listener.local_addr().unwrap_or(wanted);
        tracing::info!(%address, "gRPC answers");
        doors.push((listener, grpc_router(app.clone(), &config, address)));
    }
    settle(&app).await?;
    let (stop, stopped) = watch::channel(false);
    let worker = tokio::spawn(Worker::new(app.clone()).run(stopped));
    tracing::info!(%address, data_dir = %config.data_dir.display(), "viaduct answers");
    let limits = Limits::new(config.connections_max, config.read_timeout.to_std());
    answer(doors, limits).await;
    // Why ignored: a worker that is gone needs no telling.
    let _ = stop.send(true);
    if tokio::time::timeout(DRAIN, worker).await.is_err() {
        tracing::warn!("a job did not end in time: its lease lapses and it runs again");
    }
    if let Some(telemetry) = app.telemetry().cloned() {
        // Why ignored: what was not sent is said in the log.
        let _ = tokio::task::spawn_blocking(move || telemetry.stop(LAST_WORDS)).await;
    }
    Ok(())
}

/// Brings the endpoints into service. While the database is away that goes on in the background,
/// and the data plane serves from its copy.
async fn settle(app: &App) -> Result<(), Failure> {
    if app.has_reached_database() {
        match app.bind_models().await {
            Err(error) if is_away(&error) => {}
            done => return done.map_err(|e| Failure::Broken(e.to_string())),
        }
    }
    let app = app.clone();
    tokio::spawn(async move {
        if let Err(error) = app.come_back().await {
            tracing::error!(%error, "the endpoints in the database are not in service");
        }
    });
    Ok(())
}

fn hosts(config: &Config, address: SocketAddr) -> AllowedHosts {
    AllowedHosts::new(&address.ip().to_string(), &config.allowed_hosts)
}

fn router(app: App, config: &Config, address: SocketAddr) -> Router {
    let hosts = hosts(config, address);
    let (pages, rows) = viaduct_ui::routes::router();
    let rows = rows.into_iter().map(|row| Row {
        method: row.method,
        path: row.path.to_owned(),
        operation: row.operation,
        doc: doc("pages", "").gives("text/html"),
    });
    let pages = viaduct_api::Pages {
        routes: pages.merge(grpc_services(&app)),
        rows: rows.collect(),
        lost: Some(viaduct_ui::routes::lost()),
    };
    let (tell, mlflow_pages) = Pages::new();
    mlflow_ui::search(config.mlflow_ui.clone(), tell);
    let grpc = viaduct_api::grpc(viaduct_grpc::short(&app));
    viaduct_api::router(app, hosts, pages, grpc).layer(Extension(mlflow_pages))
}

/// The port of gRPC alone; the same services are on the main port too.
fn grpc_router(app: App, config: &Config, address: SocketAddr) -> Router {
    let (services, grpc) = (grpc_services(&app), viaduct_api::grpc(viaduct_grpc::short(&app)));
    viaduct_api::grpc_router(app, hosts(config, address), services, grpc)
}

/// Why as services at their paths: tonic's own router answers every path that it does not know.
fn grpc_services(app: &App) -> Router<App> {
    Router::new()
        .route_service(viaduct_grpc::INFERENCE_PATH, viaduct_grpc::inference(app))
        .route_service(viaduct_grpc::HEALTH_PATH, viaduct_grpc::health(app))
}

/// Answers on every listener until a stop is asked for, then lets requests under way end.
async fn answer(doors: Vec<(TcpListener, Router)>, limits: Limits) {
    let (stop, stopped) = watch::channel(false);
    let mut serving = tokio::task::JoinSet::new();
    for (listener, router) in doors {
        serving.spawn(listen::serve(listener, router, limits.clone(), stopped.clone()));
    }
    stop_asked_for().await;
    tracing::info!("stopping: requests under way may end");
    // Why ignored: nobody listens only when every door is shut already.
    let _ = stop.send(true);
    if tokio::time::timeout(DRAIN, serving.join_all()).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut");
    }
    tracing::info!("stopped");
}

async fn stop_asked_for() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        // Why: without the handler, SIGTERM still ends the process at once.
        Err(_) => drop(interrupt.await),
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    listen_on(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Failure::Usage(format!(
            "`{address}` is in use by another process: stop it, or use `--listen {}:{}`",
            address.ip(),
            address.port().wrapping_add(1).max(1024)
        )),
        io::ErrorKind::PermissionDenied => Failure::Usage(format!(
            "`{address}` may not be used by this user: ports under 1024 belong to root; use `--listen {}:7878`",
            address.ip()
        )),
        io::ErrorKind::AddrNotAvailable => Failure::Usage(format!(
            "`{address}` is not an address of this machine: use `--listen 127.0.0.1:{}`",
            address.port()
        )),
        _ => Failure::Broken(format!("cannot answer on `{address}`: {error}")),
    })
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // As the standard library does: a server that was killed starts again at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING_MAX)
}

/// A store that does not open, as a failure of the command.
pub(crate) fn refused(error: &OpenError) -> Failure {
    match error {
        OpenError::Unreachable { .. } => Failure::Away(error.to_string()),
        _ => Failure::Usage(error.to_string()),
    }
}
