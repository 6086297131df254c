//! Connections: how many, how slow they may be, and how they end.
//!
//! Why not `axum::serve`: it has no timeouts and no limit. A connection that gives nothing costs a
//! socket and a small task until it is cut: nothing is read into memory before its first byte.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, Sleep, sleep, timeout};
use tower::ServiceExt as _;

/// Less than this in a span of `read_timeout` is no flow.
const FLOW_BYTES_MIN: usize = 1024;
/// How often an HTTP/2 connection is asked whether its other side lives.
const PING: Duration = Duration::from_secs(20);
/// Requests at once over one HTTP/2 connection.
const STREAMS_MAX: u32 = 512;
/// Why more than the protocol's 64 KiB: a batch of tensors must not wait for window updates.
const STREAM_WINDOW: u32 = 1 << 20;
/// As [`STREAM_WINDOW`], for all streams of a connection.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Files that the process needs beside its connections.
const OTHER_FILES: u64 = 512;

/// What connections may take.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Connections at once; further ones wait in the operating system.
    connections: Arc<Semaphore>,
    /// For the first byte, for the head of a request, between requests, and for
    /// [`FLOW_BYTES_MIN`] bytes of a body.
    read_timeout: Duration,
}

impl Limits {
    /// Raises the process's limit of open files as far as it may, and takes no more connections
    /// than that leaves room for.
    pub(crate) fn new(connections: u32, read_timeout: Duration) -> Self {
        let files = raise_open_files();
        let room = files.saturating_sub(OTHER_FILES).max(64);
        let count = u64::from(connections).min(room);
        if count < u64::from(connections) {
            tracing::warn!(
                connections,
                open_files = files,
                taken = count,
                "`server.connections_max` is more than the limit of open files allows: raise it \
                 (`ulimit -n`, `LimitNOFILE=`)"
            );
        }
        let connections = Arc::new(Semaphore::new(usize::try_from(count).unwrap_or(1 << 20)));
        Self { connections, read_timeout }
    }
}

/// The number of files that may be open, after asking for the most.
fn raise_open_files() -> u64 {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        // Why no error: the limit that was is still there.
        Err(_) => soft,
    }
}

/// Answers on `listener` until `stop` becomes true; returns when every connection has ended.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let builder = Arc::new(builder(limits.read_timeout));
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &limits.connections) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Some((stream, permit)) = accepted else { continue };
        // Why: small answers must not wait for the other side's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        let connection = Connection {
            builder: Arc::clone(&builder),
            router: router.clone(),
            watcher: connections.watcher(),
            stop: stop.clone(),
            read_timeout: limits.read_timeout,
            _permit: permit,
        };
        tokio::spawn(connection.run(stream));
    }
    drop(listener);
    connections.shutdown().await;
}

/// The next connection, once there is room for one.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(error) => {
            // Out of files, or a connection that broke off before it was taken.
            tracing::debug!(%error, "a connection was not taken");
            sleep(Duration::from_millis(20)).await;
            None
        }
    }
}

fn builder(read_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(read_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    builder
}

struct Connection {
    builder: Arc<auto::Builder<TokioExecutor>>,
    router: Router,
    watcher: Watcher,
    stop: watch::Receiver<bool>,
    read_timeout: Duration,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn run(mut self, stream: TcpStream) {
        let first_byte = tokio::select! {
            ready = timeout(self.read_timeout, stream.readable()) => ready,
            _ = self.stop.wait_for(|stop| *stop) => return,
        };
        if !matches!(first_byte, Ok(Ok(()))) {
            return;
        }
        let asked = Arc::new(AtomicBool::new(false));
        let (has_asked, router, span) = (Arc::clone(&asked), self.router, self.read_timeout);
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            has_asked.store(true, Ordering::Relaxed);
            // Why not a stream of gRPC: it is quiet as long as its client has nothing to ask.
            let is_stream = request.uri().path().ends_with("/ModelStreamInfer");
            router.clone().oneshot(request.map(|body| match is_stream {
                true => Body::new(body),
                false => Body::new(Paced::new(body, span)),
            }))
        });
        let connection = self.builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = self.watcher.watch(connection);
        tokio::pin!(connection);
        // Why here too: hyper's own timer starts when it knows which protocol is spoken.
        tokio::select! {
            _ = &mut connection => return,
            () = sleep(self.read_timeout) => {}
        }
        if asked.load(Ordering::Relaxed) {
            let _ = connection.await;
        }
    }
}

/// A request's body that must flow. Why not a deadline for the whole: a large upload over a slow
/// line takes as long as it takes, one byte a second takes for ever.
struct Paced {
    body: Incoming,
    span: Duration,
    /// Made at the first wait: small bodies come with the head.
    timer: Option<Pin<Box<Sleep>>>,
    /// Bytes since the timer was set.
    flowed: usize,
}

impl Paced {
    fn new(body: Incoming, span: Duration) -> Self {
        Self { body, span, timer: None, flowed: 0 }
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            if let Some(Ok(data)) = frame.as_ref().map(|frame| frame.as_ref().map(Frame::data_ref))
            {
                self.flowed += data.map_or(0, Bytes::len);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::new)));
        }
        let span = self.span;
        let flows = self.flowed >= FLOW_BYTES_MIN;
        if flows {
            self.flowed = 0;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(span)));
        if flows {
            timer.as_mut().reset(Instant::now() + span);
        }
        match timer.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                let error = std::io::Error::from(std::io::ErrorKind::TimedOut);
                Poll::Ready(Some(Err(axum::Error::new(error))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
