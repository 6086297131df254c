//! Decisions, read from the log, with what became of them.

mod erase;
mod expire;
mod export;
mod replay;

pub use erase::Erasure;
pub(crate) use expire::DecisionRetentionCell;
pub use expire::{DecisionRetention, Expired, ExpiryReport, ExpiryRequest};
pub use export::Export;
pub use replay::Replay;

use viaduct_base::{DecisionId, Error, Fault, Kind, Refusal};
use viaduct_decisions::DecisionRow;
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::outcome::{self, OutcomeRow};

use crate::App;

impl App {
    /// A decision with every report about it, by arrival.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn get_decision(
        &self,
        caller: &Caller,
        id: DecisionId,
    ) -> Result<(DecisionRow, Vec<OutcomeRow>), Error> {
        let scope = self.authorise(caller, Operation::ReadDecision)?;
        let log = self.decisions().clone();
        let read = tokio::task::spawn_blocking(move || log.get(id));
        let found = read
            .await
            .map_err(|e| Fault::caused("read the decision log", e))?
            .map_err(|e| Fault::caused("read the decision log", e))?;
        let row = found
            .filter(|row| row.workspace == caller.workspace)
            .ok_or_else(|| Refusal::new(Kind::NotFound, format!("there is no decision `{id}`")))?;
        let history =
            self.store().read("outcome_history", move |tx| outcome::history(tx, &scope, id)).await;
        Ok((row, history.map_err(Error::from)?))
    }

    /// The latest decisions of an endpoint, newest first, each with its latest outcome.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn recent_decisions(
        &self,
        caller: &Caller,
        endpoint: &str,
        limit: usize,
    ) -> Result<Vec<(DecisionRow, Option<OutcomeRow>)>, Error> {
        let scope = self.authorise(caller, Operation::ReadDecision)?;
        let id = self.get_endpoint(caller, endpoint).await?.id;
        let log = self.decisions().clone();
        let read = tokio::task::spawn_blocking(move || log.recent(id, limit));
        let rows = read
            .await
            .map_err(|e| Fault::caused("read the decision log", e))?
            .map_err(|e| Fault::caused("read the decision log", e))?;
        let ids: Vec<DecisionId> = rows.iter().map(|row| row.id).collect();
        let mut latest = self
            .store()
            .read("latest_outcomes", move |tx| outcome::latest_by_decisions(tx, &scope, &ids))
            .await
            .map_err(Error::from)?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let outcome = latest.remove(&row.id);
                (row, outcome)
            })
            .collect())
    }
}
