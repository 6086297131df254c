//! The clock and the schedules that follow it.

use serde::Serialize;
use serde_json::json;
use viaduct_base::{ClockKind, Error, Kind, ProjectId, Refusal, Span, Timestamp};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::schedule::{self, ScheduleRow};
use viaduct_store::trial::TrialRow;
use viaduct_store::{StoreError, Tx, job, setting};

use crate::App;

/// The key under which the simulated time outlives the process.
pub const SIMULATED_NOW: &str = "clock.simulated_now";
/// Daily work runs this long after midnight UTC.
pub(crate) const DAILY_AT: Span = Span::minutes(10);
/// Between two runs of what happens once: longer than anything lives.
const ONCE: Span = Span::days(36_500);
/// Longest way that one call may advance.
const ADVANCE_MAX: Span = Span::days(400);
/// How long to wait for the queue between looks.
const POLL: std::time::Duration = std::time::Duration::from_millis(5);

/// What the clock says.
#[derive(Debug, Clone, Serialize)]
pub struct ClockView {
    /// The present moment.
    pub now: Timestamp,
    /// `system` or `simulated`.
    pub kind: ClockKind,
}

impl App {
    /// What the clock says.
    ///
    /// # Errors
    /// The table's refusal.
    pub fn read_clock(&self, caller: &Caller) -> Result<ClockView, Error> {
        self.authorise(caller, Operation::ReadClock)?;
        Ok(ClockView { now: self.now(), kind: self.clock_kind() })
    }

    /// Advances the simulated clock: stops at every due schedule in order, and answers when the
    /// queue is quiet.
    ///
    /// # Errors
    /// `clock-not-simulated`; a time in the past or too far ahead.
    pub async fn advance_clock(&self, caller: &Caller, to: Timestamp) -> Result<ClockView, Error> {
        self.authorise(caller, Operation::AdvanceClock)?;
        let Some(clock) = self.parts.simulated.clone() else {
            return Err(Refusal::new(
                Kind::ClockNotSimulated,
                "this server runs on the machine's clock: start one on a new data directory with `--clock simulated`",
            )
            .into());
        };
        // Why one at a time: two would pass each other's schedules by.
        let _turn = self.advancing.lock().await;
        let now = self.now();
        if to < now || to.since(now) > ADVANCE_MAX {
            let detail = format!("`{to}` is not between now ({now}) and {ADVANCE_MAX} later");
            return Err(Refusal::new(Kind::InvalidInput, detail).into());
        }
        while let Some(due) = self.next_due().await?.filter(|due| *due <= to) {
            self.keep_clock(clock.advance_to(due)).await?;
            self.start_due().await?;
            self.wait_until_quiet().await?;
        }
        self.keep_clock(clock.advance_to(to)).await?;
        self.wait_until_quiet().await?;
        self.read_clock(caller)
    }

    /// Why at every stop: a process that dies on the way must not come back before its own rows.
    async fn keep_clock(&self, now: Timestamp) -> Result<(), Error> {
        let text = now.to_string();
        self.store()
            .write("keep_clock", move |tx| setting::put(tx, SIMULATED_NOW, &text, now))
            .await
            .map_err(Error::from)
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, Error> {
        self.store().read("next_due", schedule::next_due).await.map_err(Error::from)
    }

    /// Turns every schedule that is due into a job.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn start_due(&self) -> Result<usize, Error> {
        let (app, now) = (self.clone(), self.now());
        let started = self
            .store()
            .write("start_due", move |tx| -> Result<usize, Error> {
                let due = schedule::list_due(tx, now)?;
                for row in &due {
                    let mut next = row.next_due;
                    while next <= now {
                        next = next + row.every;
                    }
                    if schedule::advance(tx, &row.name, row.next_due, next)? {
                        let payload: serde_json::Value =
                            serde_json::from_str(&row.payload_json).unwrap_or_default();
                        app.enqueue(tx, &row.kind, &payload, &row.name)?;
                    }
                }
                Ok(due.len())
            })
            .await?;
        if started > 0 {
            self.ring();
        }
        Ok(started)
    }

    /// Waits until no job is due and none runs. Parked jobs and those that failed and wait for
    /// their next try do not hold it up: they are shown, and time must not stand still for them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn wait_until_quiet(&self) -> Result<(), Error> {
        loop {
            let now = Timestamp::from_system();
            let pending = self.store().read("count_jobs", move |tx| job::pending(tx, now)).await;
            if pending.map_err(Error::from)? == 0 {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Wakes the snapshot up when a trial begins and ends: its arms follow the plan's times.
    pub(crate) fn write_trial_schedule(
        &self,
        tx: &mut Tx,
        trial: &TrialRow,
    ) -> Result<(), StoreError> {
        let marks = [("starts", trial.starts_at), ("ends", trial.ends_at)];
        for (mark, at) in marks {
            let row = ScheduleRow {
                name: format!("trial:{}:{mark}", trial.id),
                workspace_id: self.workspace(),
                project_id: Some(trial.project_id),
                kind: "bind_models".to_owned(),
                payload_json: "{}".to_owned(),
                every: ONCE,
                next_due: at,
                last_due: None,
            };
            schedule::put(tx, &row)?;
        }
        Ok(())
    }

    /// Puts a project's daily work on the schedule.
    pub(crate) fn write_schedule(
        &self,
        tx: &mut Tx,
        project: ProjectId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let row = ScheduleRow {
            name: format!("daily:{project}"),
            workspace_id: self.workspace(),
            project_id: Some(project),
            kind: "measure_project".to_owned(),
            payload_json: json!({ "project": project }).to_string(),
            every: Span::days(1),
            next_due: now.day().plus(1).start() + DAILY_AT,
            last_due: None,
        };
        schedule::put(tx, &row)
    }
}
