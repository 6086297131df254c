//! What people ask of a rollout: advance, pause, resume, roll back.

use viaduct_base::{Error, Kind, Refusal, RolloutId};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_domain::rollout::{Command, Phase, command};
use viaduct_store::rollout::{self, RolloutRow};
use viaduct_store::{Scope, binding, endpoint};

use super::view::RolloutView;
use super::{plan_of, state_of};
use crate::App;
use crate::endpoint::no_endpoint;

/// What may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// End the step now.
    Advance,
    /// Stop here for now.
    Pause,
    /// Go on.
    Resume,
    /// Back to the champion.
    Rollback,
}

impl App {
    /// Moves a rollout by a person's word; when this answers, it is in service.
    ///
    /// # Errors
    /// `not-found`; `conflict` when it has ended, is not paused, or a condition does not let the step
    /// pass.
    pub async fn move_rollout(
        &self,
        caller: &Caller,
        id: RolloutId,
        verb: Verb,
        reason: Option<String>,
    ) -> Result<RolloutView, Error> {
        self.authorise(caller, Operation::ControlRollout)?;
        let row = self.rollout_row(id).await?;
        self.refuse_stale_rollback(&row, verb).await?;
        let gathered = self.gather(&row).await?;
        let (plan, state) = (plan_of(&row)?, state_of(&row)?);
        let said = reason.map(|r| r.trim().to_owned()).filter(|r| !r.is_empty());
        let reason = said.unwrap_or_else(|| format!("`{}` asked for it", caller.actor()));
        let asked = match verb {
            Verb::Advance => Command::Advance,
            Verb::Pause => Command::Pause { reason },
            Verb::Resume => Command::Resume,
            Verb::Rollback => Command::RollBack { reason },
        };
        let moved = command(&plan, &state, asked, &gathered.evidence, self.now())?;
        let (app, by, scope) = (self.clone(), caller.clone(), Scope::of(self.workspace()));
        self.store()
            .write("move_rollout", move |tx| {
                app.write_move(tx, &scope, row.clone(), &moved, gathered.baseline, &by)
            })
            .await?;
        self.publish_snapshot().await?;
        self.get_rollout(caller, id).await
    }

    /// The rollout that a text names: its id, or an endpoint's latest one.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn find_rollout(&self, caller: &Caller, text: &str) -> Result<RolloutId, Error> {
        let scope = self.authorise(caller, Operation::ReadEndpoint)?;
        if let Ok(id) = text.parse::<RolloutId>() {
            return Ok(id);
        }
        let name = text.to_owned();
        self.store()
            .read("find_rollout", move |tx| -> Result<RolloutId, Error> {
                let row = endpoint::find_by_name(tx, &scope, &name)?;
                let row = row.ok_or_else(|| no_endpoint(&name))?;
                let latest = rollout::latest(tx, &scope, row.id)?;
                latest.map(|latest| latest.id).ok_or_else(|| {
                    let detail = format!(
                        "`{name}` has had no rollout yet: `viaduct rollout start {name} --to VERSION`"
                    );
                    Refusal::new(Kind::NotFound, detail).into()
                })
            })
            .await
    }

    pub(super) async fn rollout_row(&self, id: RolloutId) -> Result<RolloutRow, Error> {
        let scope = Scope::of(self.workspace());
        let found = self.store().read("find_rollout", move |tx| rollout::find(tx, &scope, id));
        found.await.map_err(Error::from)?.ok_or_else(|| {
            Refusal::new(Kind::NotFound, format!("there is no rollout `{id}`")).into()
        })
    }

    /// A full rollout can be taken back only while its version still stands behind the endpoint.
    async fn refuse_stale_rollback(&self, row: &RolloutRow, verb: Verb) -> Result<(), Error> {
        if verb != Verb::Rollback || row.phase != Phase::Full.as_str() {
            return Ok(());
        }
        let (scope, endpoint, wanted) =
            (Scope::of(self.workspace()), row.endpoint_id, row.to_version);
        let bound =
            self.store().read("find_binding", move |tx| binding::find(tx, &scope, endpoint));
        if bound.await.map_err(Error::from)?.is_some_and(|b| b.version == wanted) {
            return Ok(());
        }
        let detail = format!(
            "version {wanted} no longer stands behind the endpoint: there is nothing to take back"
        );
        Err(Refusal::new(Kind::Conflict, detail).into())
    }
}
