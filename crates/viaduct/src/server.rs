//! `viaduct server`: one process that answers until it is told to stop.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use viaduct_cli::Failure;
use viaduct_store::{DataDirLock, OpenError};

use crate::config::Config;
use crate::data_dir;

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
    let _lock = DataDirLock::take(&config.data_dir).map_err(|e| refused(&e))?;
    data_dir::settle(&config)?;
    let listener = bind(config.listen).await?;
    let address = listener.local_addr().unwrap_or(config.listen);
    tracing::info!(%address, data_dir = %config.data_dir.display(), "viaduct answers");
    answer(listener, router()).await
}

/// Replaced by the application's router.
fn router() -> Router {
    Router::new().route("/healthz", get(|| async { "ok\n" }))
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
