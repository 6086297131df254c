//! The clockwork: takes over what gateways did by themselves, and moves every open rollout.

use viaduct_base::{Error, Fault, ReportId};
use viaduct_domain::permission::Caller;
use viaduct_domain::rollout::{Event, Move, Phase, State, Verdict, next};
use viaduct_gateway::{Report, ReportEvent};
use viaduct_store::rollout::{self, RolloutRow};
use viaduct_store::{Scope, Tx};

use super::evidence::Baseline;
use super::{plan_of, state_of};
use crate::App;

impl App {
    /// One turn: reports of the gateway, then each open rollout. Repeatable.
    ///
    /// # Errors
    /// When the database does not answer; nothing is lost, the next turn does it.
    pub async fn tick_rollouts(&self) -> Result<(), Error> {
        self.take_over_reports(&self.system()).await?;
        let scope = Scope::of(self.workspace());
        let open =
            self.store().read("list_open_rollouts", move |tx| rollout::list_open(tx, &scope));
        let mut moved = false;
        for row in open.await.map_err(Error::from)? {
            let id = row.id;
            match self.tick_one(row).await {
                Ok(changed) => moved |= changed,
                // Why no end: a person or another worker moved this one; the others go on.
                Err(error) => tracing::warn!(rollout = %id, %error, "a rollout was not moved"),
            }
        }
        if moved { self.publish_snapshot().await } else { Ok(()) }
    }

    /// Writes down what the gateway did by itself, publishes, and lets the gateway forget it.
    pub(crate) async fn take_over_reports(&self, caller: &Caller) -> Result<(), Error> {
        let reports = self.gateway().reports();
        if reports.is_empty() {
            return Ok(());
        }
        let ids: Vec<ReportId> = reports.iter().map(|report| report.id).collect();
        let (app, by, scope) = (self.clone(), caller.clone(), Scope::of(self.workspace()));
        self.store()
            .write("take_over_reports", move |tx| -> Result<(), Error> {
                for report in &reports {
                    app.take_over(tx, &scope, report, &by)?;
                }
                Ok(())
            })
            .await?;
        self.publish_snapshot().await?;
        let gateway = self.gateway().clone();
        let forget = tokio::task::spawn_blocking(move || -> Result<(), Fault> {
            ids.into_iter().try_for_each(|id| gateway.acknowledge(id))
        });
        Ok(forget.await.map_err(|e| Fault::caused("acknowledge reports", e))??)
    }

    fn take_over(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        report: &Report,
        caller: &Caller,
    ) -> Result<(), Error> {
        let ReportEvent::RolledBack { rollout: id, why, .. } = &report.event else {
            return self.write_switch(tx, scope, report, caller);
        };
        let Some(row) = rollout::find(tx, scope, *id)?.filter(|row| row.is_open) else {
            return Ok(());
        };
        let moved = Move {
            event: Event::RolledBack,
            state: State {
                phase: Phase::RolledBack,
                step: usize::try_from(row.step).unwrap_or_default(),
                since: report.at,
                reason: format!("the gateway saw a breach: {why}"),
            },
            judged: Vec::new(),
            waits: Vec::new(),
        };
        self.write_move(tx, scope, row, &moved, Baseline::default(), &self.system())
    }

    async fn tick_one(&self, row: RolloutRow) -> Result<bool, Error> {
        let gathered = self.gather(&row).await?;
        let moved = next(&plan_of(&row)?, &state_of(&row)?, &gathered.evidence, self.now());
        let (app, scope) = (self.clone(), Scope::of(self.workspace()));
        if moved.event == Event::Held {
            return self.note_hold(row, &moved).await.map(|()| false);
        }
        self.store()
            .write("move_rollout", move |tx| {
                let by = app.system();
                app.write_move(tx, &scope, row.clone(), &moved, gathered.baseline, &by)
            })
            .await?;
        Ok(true)
    }

    /// A hold becomes history once: when what holds the step is more than its time and its rows, and
    /// is something else than before.
    async fn note_hold(&self, mut row: RolloutRow, moved: &Move) -> Result<(), Error> {
        let time_is_over = !moved.waits.iter().any(|wait| wait.starts_with("the step lasts"));
        let held: Vec<String> = moved
            .judged
            .iter()
            .filter(|judged| judged.verdict == Verdict::Unknown)
            .map(|judged| judged.condition.what.to_string())
            .collect();
        let known: Vec<String> = serde_json::from_str(&row.judged_json).unwrap_or_default();
        if !time_is_over || held.is_empty() || held == known {
            return Ok(());
        }
        let reasons: Vec<&str> = moved
            .judged
            .iter()
            .filter(|judged| judged.verdict == Verdict::Unknown)
            .map(|judged| judged.reason.as_str())
            .collect();
        let reason = reasons.join("; ");
        let evidence = serde_json::json!(moved.judged);
        row.judged_json =
            serde_json::to_string(&held).map_err(|e| Fault::caused("write what holds", e))?;
        let (app, scope) = (self.clone(), Scope::of(self.workspace()));
        self.store()
            .write("note_hold", move |tx| -> Result<(), Error> {
                rollout::update(tx, &scope, &row)?;
                let by = app.system();
                app.tell_rollout(tx, &scope, &row, (Event::Held, &reason), &by, &evidence)
            })
            .await
    }
}
