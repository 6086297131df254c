//! `viaduct server`: one process that answers until it is told to stop.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use axum::{Extension, Router};
use tokio::net::TcpListener;
use tokio::sync::watch;
use viaduct_api::guard::AllowedHosts;
use viaduct_api::mlflow::ui::Pages;
use viaduct_api::routes::{Row, doc};
use viaduct_app::App;
use viaduct_cli::Failure;
use viaduct_store::OpenError;
use viaduct_work::Worker;

use crate::config::Config;
use crate::{mlflow_ui, wiring};

/// How long requests under way may take after a stop is asked for.
const DRAIN: Duration = Duration::from_secs(10);

/// Runs until SIGTERM or Ctrl-C.
pub(crate) fn run(config: Config) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::Broken(format!("no threads: {e}")))?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), Failure> {
    let app = wiring::open(&config).await?;
    let listener = bind(config.listen).await?;
    let address = listener.local_addr().unwrap_or(config.listen);
    app.bind_models().await.map_err(|e| Failure::Broken(e.to_string()))?;
    let (stop, stopped) = watch::channel(false);
    let worker = tokio::spawn(Worker::new(app.clone()).run(stopped));
    tracing::info!(%address, data_dir = %config.data_dir.display(), "viaduct answers");
    let answered = answer(listener, router(app, &config, address)).await;
    // Why ignored: a worker that is gone needs no telling.
    let _ = stop.send(true);
    if tokio::time::timeout(DRAIN, worker).await.is_err() {
        tracing::warn!("a job did not end in time: its lease lapses and it runs again");
    }
    answered
}

fn router(app: App, config: &Config, address: SocketAddr) -> Router {
    let hosts = AllowedHosts::new(&address.ip().to_string(), &config.allowed_hosts);
    let (pages, rows) = viaduct_ui::routes::router();
    let rows = rows.into_iter().map(|row| Row {
        method: row.method,
        path: row.path.to_owned(),
        operation: row.operation,
        doc: doc("pages", "").gives("text/html"),
    });
    let (tell, mlflow_pages) = Pages::new();
    mlflow_ui::search(config.mlflow_ui.clone(), tell);
    viaduct_api::router(app, hosts, pages, rows.collect()).layer(Extension(mlflow_pages))
}

/// Answers on `listener` until a stop is asked for, then lets requests under way end.
async fn answer(listener: TcpListener, router: Router) -> Result<(), Failure> {
    let (told, heard) = tokio::sync::oneshot::channel::<()>();
    let stop = async move {
        stop_asked_for().await;
        tracing::info!("stopping: requests under way may end");
        // Why ignored: the receiver is gone only when the server ended by itself.
        let _ = told.send(());
    };
    // Why: small answers must not wait for the other side's delayed acknowledgement.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop);
    let late = async {
        match heard.await {
            Ok(()) => tokio::time::sleep(DRAIN).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = async { serving.await } => {
            ended.map_err(|e| Failure::Broken(format!("the server stopped: {e}")))?;
        }
        () = late => tracing::warn!("some requests did not end in time and were cut"),
    }
    tracing::info!("stopped");
    Ok(())
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

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
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

/// A store that does not open, as a failure of the command.
pub(crate) fn refused(error: &OpenError) -> Failure {
    match error {
        OpenError::Unreachable { .. } => Failure::Away(error.to_string()),
        _ => Failure::Usage(error.to_string()),
    }
}
