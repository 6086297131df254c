//! The store: a few connection threads behind two queues.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::engine::{Engine, postgres, sqlite};
use crate::foresight::Foresight;
use crate::migrate::{self, SchemaDoor};
use crate::queue::Queue;
use crate::tx::Mode;
use crate::writer::{Asked, Command, Counters, read_all, write_all};
use crate::{DataDirLock, DatabaseConfig, DatabaseUrl, Dialect, OpenError, StoreError, Tx};

/// SQLite serves one writer at a time anyway; a second thread would only wait.
const SQLITE_WRITERS: usize = 1;
/// One fills a group while the other waits for the disk. Measured with 8 and 32 askers: a third is
/// no faster, and one alone a quarter slower, because one PostgreSQL process then does it all.
const POSTGRES_WRITERS: usize = 2;
const READERS: usize = 4;
/// More waiting than this means that the database does not keep up; then say so early.
const WAITING_MAX: usize = 20_000;

/// What the store did since it was opened, for `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreStats {
    /// Writes taken from the queue.
    pub commands: u64,
    /// Commits that they shared.
    pub commits: u64,
    /// Tries that were repeated.
    pub retries: u64,
    /// Reads.
    pub reads: u64,
    /// Writes that wait now.
    pub waiting: u64,
}

/// The database, shared by clones.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    url: DatabaseUrl,
    writes: Arc<Queue<Box<dyn Command>>>,
    reads: Arc<Queue<Box<dyn Command>>>,
    counters: Arc<Counters>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Dropped last, after the threads have ended.
    _lock: Option<DataDirLock>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.writes.close();
        self.reads.close();
        let threads = self.threads.get_mut().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // Why: a work's captured clone may be the last one; a thread cannot wait for itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

/// How to treat the schema that is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schema {
    /// Bring it up to date.
    Migrate,
    /// Demand that it is up to date.
    Demand,
}

impl Store {
    /// Opens the database for a server: takes the data directory's lock, migrates, and makes the
    /// `default` workspace when there is none.
    ///
    /// # Errors
    /// [`OpenError`] says what to do: directory in use, newer schema, unreachable server.
    pub fn open(config: &DatabaseConfig, data_dir: &Path) -> Result<Self, OpenError> {
        let lock = DataDirLock::take(data_dir)?;
        Self::start(config, Some(lock), Schema::Migrate, Absent::Refused)
    }

    /// As [`Store::open`], but a PostgreSQL server that does not answer is no error: predictions
    /// go on without it. Every read and write answers `Away` until it comes; then it is migrated
    /// before the first of them.
    ///
    /// # Errors
    /// As [`Store::open`], except for an unreachable server.
    pub fn open_even_if_away(config: &DatabaseConfig, data_dir: &Path) -> Result<Self, OpenError> {
        let lock = DataDirLock::take(data_dir)?;
        Self::start(config, Some(lock), Schema::Migrate, Absent::Accepted)
    }

    /// Opens a database that a running server may be using: no lock, no migration. For `audit
    /// verify`, `backup` and the like.
    ///
    /// # Errors
    /// As [`Store::open`]; also when the schema is older than this program needs.
    pub fn open_beside(config: &DatabaseConfig) -> Result<Self, OpenError> {
        if let DatabaseUrl::Sqlite(path) = &config.url
            && !path.is_file()
        {
            return Err(OpenError::Missing(path.clone()));
        }
        Self::start(config, None, Schema::Demand, Absent::Refused)
    }

    fn start(
        config: &DatabaseConfig,
        lock: Option<DataDirLock>,
        schema: Schema,
        absent: Absent,
    ) -> Result<Self, OpenError> {
        let (writers, readers) = match &config.url {
            DatabaseUrl::Sqlite(path) => sqlite_engines(&config.url, path, schema)?,
            DatabaseUrl::Postgres(url) => postgres_engines(&config.url, url, schema, absent)?,
        };
        let inner = Inner {
            url: config.url.clone(),
            writes: Arc::new(Queue::new(WAITING_MAX)),
            reads: Arc::new(Queue::new(WAITING_MAX)),
            counters: Arc::default(),
            threads: Mutex::default(),
            _lock: lock,
        };
        let store = Self { inner: Arc::new(inner) };
        let count = writers.len();
        for (i, engine) in writers.into_iter().enumerate() {
            let (queue, counters) = (store.inner.writes.clone(), store.inner.counters.clone());
            store.spawn(format!("store-write-{i}"), move || {
                write_all(Tx::new(engine), &queue, count, &counters);
            })?;
        }
        for (i, engine) in readers.into_iter().enumerate() {
            let (queue, counters) = (store.inner.reads.clone(), store.inner.counters.clone());
            store.spawn(format!("store-read-{i}"), move || {
                read_all(Tx::new(engine), &queue, &counters);
            })?;
        }
        Ok(store)
    }

    fn spawn(&self, name: String, life: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
        let thread = std::thread::Builder::new().name(name.clone()).spawn(life);
        let thread = thread.map_err(|e| OpenError::Unusable {
            path: PathBuf::from(name),
            detail: format!("no thread: {e}"),
        })?;
        self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// Which engine answers.
    pub fn dialect(&self) -> Dialect {
        match self.inner.url {
            DatabaseUrl::Sqlite(_) => Dialect::Sqlite,
            DatabaseUrl::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Where the database lives; prints without a password.
    pub fn url(&self) -> &DatabaseUrl {
        &self.inner.url
    }

    /// What the store did since it was opened.
    pub fn stats(&self) -> StoreStats {
        let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.inner.counters;
        StoreStats {
            commands: of(&counters.commands),
            commits: of(&counters.commits),
            retries: of(&counters.retries),
            reads: of(&counters.reads),
            waiting: self.inner.writes.len() as u64,
        }
    }

    /// Runs `work` in a transaction and answers once it is committed, or undone when it refuses.
    ///
    /// `work` may run again after a rollback, so it changes nothing but rows.
    ///
    /// # Errors
    /// What `work` returns, or the [`StoreError`] that kept it from being committed.
    pub async fn write<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: Fn(&mut Tx) -> Result<T, E> + Send + 'static,
    {
        ask(&self.inner.writes, name, None, work).await
    }

    /// [`Store::write`] of a work that is known to ask the foresight's questions first, which then
    /// share a round trip with those of others.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn write_with<T, E, F>(
        &self,
        name: &'static str,
        foresight: Foresight,
        work: F,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: Fn(&mut Tx) -> Result<T, E> + Send + 'static,
    {
        ask(&self.inner.writes, name, Some(foresight), work).await
    }

    /// Runs `work` on one consistent snapshot; it cannot change rows.
    ///
    /// # Errors
    /// What `work` returns, or the [`StoreError`] that kept it from running.
    pub async fn read<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: Fn(&mut Tx) -> Result<T, E> + Send + 'static,
    {
        ask(&self.inner.reads, name, None, work).await
    }

    /// [`Store::write`] for threads that may wait.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_blocking<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: Fn(&mut Tx) -> Result<T, E> + Send + 'static,
    {
        ask_blocking(&self.inner.writes, name, work)
    }

    /// [`Store::read`] for threads that may wait.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read_blocking<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: Fn(&mut Tx) -> Result<T, E> + Send + 'static,
    {
        ask_blocking(&self.inner.reads, name, work)
    }

    /// Copies a SQLite database into the new file `to` while writes go on.
    ///
    /// # Errors
    /// [`OpenError::Unusable`] when `to` exists or when this is a PostgreSQL database, which has
    /// `pg_dump`; [`OpenError::Store`] when the copy fails.
    pub fn backup_sqlite(&self, to: &Path) -> Result<(), OpenError> {
        let unusable =
            |detail: &str| OpenError::Unusable { path: to.to_owned(), detail: detail.to_owned() };
        let DatabaseUrl::Sqlite(path) = &self.inner.url else {
            return Err(unusable("this is a PostgreSQL database: use `pg_dump`"));
        };
        if to.exists() {
            return Err(unusable("it exists already: name a new file"));
        }
        let in_store = |source| OpenError::Store { database: self.inner.url.to_string(), source };
        let source = sqlite::open(path, Mode::Read).map_err(in_store)?;
        source.backup(to).map_err(in_store)
    }
}

/// What to do when a PostgreSQL server does not answer at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absent {
    Refused,
    Accepted,
}

type Engines = (Vec<Box<dyn Engine>>, Vec<Box<dyn Engine>>);

fn sqlite_engines(url: &DatabaseUrl, path: &Path, schema: Schema) -> Result<Engines, OpenError> {
    let in_store = |source| OpenError::Store { database: url.to_string(), source };
    let mut writers: Vec<Box<dyn Engine>> = Vec::new();
    for _ in 0..SQLITE_WRITERS {
        let mut writer = sqlite::open(path, Mode::Write).map_err(in_store)?;
        migrate::bring_up(&mut writer, url, schema)?;
        writers.push(Box::new(writer));
    }
    let mut readers: Vec<Box<dyn Engine>> = Vec::new();
    for _ in 0..READERS {
        readers.push(Box::new(sqlite::open(path, Mode::Read).map_err(in_store)?));
    }
    Ok((writers, readers))
}

fn postgres_engines(
    url: &DatabaseUrl,
    address: &str,
    schema: Schema,
    absent: Absent,
) -> Result<Engines, OpenError> {
    let door = Arc::new(SchemaDoor::new(url.clone(), schema));
    let pause = Arc::new(postgres::Pause::default());
    let connection = || {
        postgres::new(address, Arc::clone(&door), Arc::clone(&pause))
            .map_err(|_| OpenError::InvalidUrl { text: url.to_string() })
    };
    let mut first = connection()?;
    match first.connect() {
        Ok(()) => {
            migrate::bring_up(&mut first, url, schema)?;
            door.open();
        }
        Err(failure) if absent == Absent::Refused => {
            let detail = failure.error.to_string();
            return Err(OpenError::Unreachable { database: url.to_string(), detail });
        }
        Err(failure) => tracing::warn!(database = %url, error = %failure.error, "database away"),
    }
    let mut writers: Vec<Box<dyn Engine>> = vec![Box::new(first)];
    while writers.len() < POSTGRES_WRITERS {
        writers.push(Box::new(connection()?));
    }
    let mut readers: Vec<Box<dyn Engine>> = Vec::new();
    while readers.len() < READERS {
        readers.push(Box::new(connection()?));
    }
    Ok((writers, readers))
}

async fn ask<T, E, F>(
    queue: &Queue<Box<dyn Command>>,
    name: &'static str,
    foresight: Option<Foresight>,
    work: F,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
    F: Fn(&mut Tx) -> Result<T, E> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    // Why: whoever asked may have stopped waiting; the work is done all the same.
    let reply = move |given| drop(reply.send(given));
    queue.push(Box::new(Asked { name, foresight, work, answer: None, reply })).map_err(E::from)?;
    answer.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
}

fn ask_blocking<T, E, F>(
    queue: &Queue<Box<dyn Command>>,
    name: &'static str,
    work: F,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
    F: Fn(&mut Tx) -> Result<T, E> + Send + 'static,
{
    let (reply, answer) = mpsc::sync_channel(1);
    let reply = move |given| drop(reply.send(given));
    queue
        .push(Box::new(Asked { name, foresight: None, work, answer: None, reply }))
        .map_err(E::from)?;
    answer.recv().unwrap_or_else(|_| Err(StoreError::Closed.into()))
}
