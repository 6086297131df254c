//! A connection to PostgreSQL and the small reactor that drives it, on the thread that uses it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use tokio::runtime::Runtime;
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{Client, Config, Connection, Error, NoTls, Socket};

use super::postgres::chain;

/// A statement on its way: nothing is sent before it is first polled.
pub(super) struct Flight {
    pub(super) name: &'static str,
    pub(super) work: Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>,
}

/// A connection. It moves only while somebody waits.
pub(super) struct Line {
    runtime: Runtime,
    client: Arc<Client>,
    /// `None` once it has ended.
    connection: Option<Connection<Socket, NoTlsStream>>,
}

impl Line {
    pub(super) fn connect(config: &Config, tls: NoTls) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| e.to_string())?;
        let (client, connection) = runtime.block_on(config.connect(tls)).map_err(|e| chain(&e))?;
        Ok(Self { runtime, client: Arc::new(client), connection: Some(connection) })
    }

    pub(super) fn is_open(&self) -> bool {
        self.connection.is_some() && !self.client.is_closed()
    }

    /// For asking; the asking goes on in [`Line::together`].
    pub(super) fn client(&self) -> Arc<Client> {
        Arc::clone(&self.client)
    }

    pub(super) fn prepare(&mut self, sql: &str) -> Result<tokio_postgres::Statement, Error> {
        let client = self.client();
        self.wait(async move { client.prepare(sql).await })
    }

    /// Sends `flights` and `last` in their order without waiting in between, and waits for all.
    /// Answers the first failure of the flights, and what `last` answered.
    pub(super) fn together<T, E>(
        &mut self,
        mut flights: Vec<Flight>,
        last: impl Future<Output = Result<T, E>>,
    ) -> (Option<(&'static str, Error)>, Result<T, E>) {
        let mut last = pin!(last);
        let (mut failed, mut answer) = (None, None);
        self.wait(poll_fn(|cx| {
            // Why all of them each time: the first look at one sends it.
            flights.retain_mut(|flight| match flight.work.as_mut().poll(cx) {
                Poll::Pending => true,
                Poll::Ready(Ok(())) => false,
                Poll::Ready(Err(error)) => {
                    failed.get_or_insert((flight.name, error));
                    false
                }
            });
            if answer.is_none()
                && let Poll::Ready(found) = last.as_mut().poll(cx)
            {
                answer = Some(found);
            }
            match answer.take() {
                Some(found) if flights.is_empty() => Poll::Ready((failed.take(), found)),
                not_yet => {
                    answer = not_yet;
                    Poll::Pending
                }
            }
        }))
    }

    /// Drives the connection until `work` is done.
    fn wait<T>(&mut self, work: impl Future<Output = T>) -> T {
        let Self { runtime, connection, .. } = self;
        let mut work = pin!(work);
        runtime.block_on(poll_fn(|cx| {
            loop {
                if let Poll::Ready(done) = work.as_mut().poll(cx) {
                    return Poll::Ready(done);
                }
                // Without a connection every answer that is waited for fails at the next look.
                let Some(open) = connection.as_mut() else { return Poll::Pending };
                match Pin::new(open).poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(ended) => {
                        if let Err(error) = ended {
                            tracing::debug!(error = %chain(&error), "a connection ended");
                        }
                        *connection = None;
                    }
                }
            }
        }))
    }
}
