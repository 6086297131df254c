//! The worker: one loop that claims due jobs, runs them, and starts schedules.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use viaduct_app::App;
use viaduct_base::{ClockKind, Error, JobId, Span, Timestamp};
use viaduct_store::event;
use viaduct_store::job::{self, JobRow};

use crate::job::{Cache, DELIVER_WEBHOOK, JobError, run};

/// How long a claimed job is ours; extended while it runs.
const LEASE: Span = Span::seconds(60);
/// How often a running job's lease is extended.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long the loop rests when nothing rings.
const REST: Duration = Duration::from_millis(500);
/// Jobs claimed at once; they run one after the other, because two cores serve requests too.
const CLAIM: i64 = 8;
/// Webhooks delivered at the same time; as many as MLflow's server has threads for it.
const DELIVERIES: usize = 10;
/// Events published in one go.
const EVENTS: i64 = 256;

/// The worker of one process.
pub struct Worker {
    app: App,
    token: String,
    cache: Cache,
    deliveries: Arc<Semaphore>,
    /// Whether the schedules of the configuration stand in the database.
    has_schedules: bool,
}

impl Worker {
    /// A worker on this application.
    pub fn new(app: App) -> Self {
        let token = JobId::new(Timestamp::from_system()).to_string();
        let deliveries = Arc::new(Semaphore::new(DELIVERIES));
        Self { app, token, cache: Cache::default(), deliveries, has_schedules: false }
    }

    /// Works until `stop` turns true; a job that runs then is finished first.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        // Why beside the queue: a job may train a model for an hour, a breach waits for nobody.
        let ticker = tokio::spawn(crate::ticker::run(self.app.clone(), stop.clone()));
        while !*stop.borrow() {
            if let Err(error) = self.turn().await {
                tracing::warn!(%error, "the queue does not answer");
                tokio::time::sleep(REST).await;
                continue;
            }
            tokio::select! {
                () = self.app.wait_for_ring() => {}
                () = tokio::time::sleep(REST) => {}
                _ = stop.changed() => {}
            }
        }
        // Why ignored: a panic there was logged, and there is nothing left to tick.
        let _ = ticker.await;
    }

    /// Does everything that is due now.
    async fn turn(&mut self) -> Result<(), Error> {
        // Why here: the server also starts while the database is away.
        if !self.has_schedules {
            self.app.schedule_expiry().await?;
            self.has_schedules = true;
        }
        // Under the simulated clock only `clock/advance` starts schedules, in order.
        if self.app.clock_kind() == ClockKind::System {
            self.app.start_due().await?;
        }
        loop {
            let claimed = self.claim().await?;
            if claimed.is_empty() {
                return self.publish_events().await;
            }
            for job in claimed {
                match job.kind.as_str() {
                    DELIVER_WEBHOOK => self.run_aside(job).await,
                    _ => self.run_one(job).await?,
                }
            }
        }
    }

    async fn claim(&self) -> Result<Vec<JobRow>, Error> {
        let token = self.token.clone();
        self.app
            .store()
            .write("claim_jobs", move |tx| {
                let now = Timestamp::from_system();
                job::claim(tx, &token, now, now + LEASE, CLAIM)
            })
            .await
            .map_err(Error::from)
    }

    async fn run_one(&mut self, job: JobRow) -> Result<(), Error> {
        let running = run_claimed(self.app.clone(), self.token.clone(), self.cache.clone(), job);
        running.await
    }

    /// Runs a delivery beside the loop: a stranger's slow server must not hold up our own work.
    async fn run_aside(&self, job: JobRow) {
        // Why no error: nobody closes it.
        let Ok(place) = Arc::clone(&self.deliveries).acquire_owned().await else { return };
        let running = run_claimed(self.app.clone(), self.token.clone(), self.cache.clone(), job);
        tokio::spawn(async move {
            if let Err(error) = running.await {
                tracing::warn!(%error, "what a delivery came to was not written down");
            }
            drop(place);
        });
    }

    /// Publishes what the outbox holds. The log is its first reader; webhooks and streams come
    /// with their issue and will read the same rows.
    async fn publish_events(&self) -> Result<(), Error> {
        let token = self.token.clone();
        let published = self
            .app
            .store()
            .write("publish_events", move |tx| -> Result<Vec<(String, String)>, Error> {
                let now = Timestamp::from_system();
                let events = event::claim(tx, &token, now, now + LEASE, EVENTS)?;
                let mut told = Vec::with_capacity(events.len());
                for row in events {
                    event::set_published(tx, row.id, &token, now)?;
                    told.push((row.kind, row.object_id));
                }
                Ok(told)
            })
            .await?;
        for (kind, object) in published {
            tracing::info!(event.kind = %kind, object.id = %object, "{kind}");
        }
        Ok(())
    }
}

async fn beat(app: App, id: JobId, token: String) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let token = token.clone();
        let kept = app
            .store()
            .write("extend_job", move |tx| {
                job::extend(tx, id, &token, Timestamp::from_system() + LEASE)
            })
            .await;
        if !matches!(kept, Ok(true)) {
            return;
        }
    }
}

/// Runs a job of ours and writes down what it came to.
async fn run_claimed(app: App, token: String, cache: Cache, job: JobRow) -> Result<(), Error> {
    let started = std::time::Instant::now();
    let payload: Value = serde_json::from_str(&job.payload_json).unwrap_or_default();
    let heart = tokio::spawn(beat(app.clone(), job.id, token.clone()));
    let work = run(app.clone(), job.kind.clone(), payload, cache);
    // Why a task of its own: a panic in a job ends the job, not the worker.
    let done = match tokio::spawn(work).await {
        Ok(done) => done,
        Err(panic) => Err(JobError::Fail(format!("the job panicked: {panic}"))),
    };
    heart.abort();
    let (id, kind) = (job.id, job.kind);
    let millis = started.elapsed().as_millis();
    match done {
        Ok(()) => tracing::debug!(job.kind = %kind, millis, "job done"),
        Err(ref error) => tracing::warn!(job.kind = %kind, job.id = %id, %error, "job failed"),
    }
    app.store()
        .write("finish_job", move |tx| -> Result<(), Error> {
            let now = Timestamp::from_system();
            match &done {
                Ok(()) => {
                    job::complete(tx, id, &token, now)?;
                }
                Err(JobError::Retry(why)) => {
                    job::retry(tx, id, &token, why, now)?;
                }
                Err(JobError::Fail(why)) => {
                    job::park(tx, id, &token, why, now)?;
                }
            }
            Ok(())
        })
        .await
}
