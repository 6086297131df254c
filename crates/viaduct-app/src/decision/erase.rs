//! Erasure of an entity: what the decision log knows about it goes, that something was decided stays.

use serde::Serialize;
use serde_json::json;
use viaduct_base::{Error, Fault, Kind, Refusal, Timestamp};
use viaduct_domain::permission::{Caller, Operation};

use crate::App;
use crate::audit::Deed;

/// What an erasure did.
#[derive(Debug, Clone, Serialize)]
pub struct Erasure {
    /// The endpoint.
    pub endpoint: String,
    /// Decisions whose inputs, keys, entity and incumbent were taken out.
    pub decisions: u64,
    /// Segments of the log that were written again.
    pub segments: u64,
    /// Damaged places whose bytes could not be read and were left out of the new segments.
    pub damaged: Vec<String>,
    /// When.
    pub at: Timestamp,
}

impl App {
    /// Takes an entity out of an endpoint's decisions. Ids, times, variants, outputs and actions
    /// stay; the entity itself is named nowhere, not in the audit trail either. Asking again
    /// changes nothing, and ends an erasure that was cut off.
    ///
    /// # Errors
    /// `not-found`; an empty entity; a disk without the room of one segment.
    pub async fn erase_entity(
        &self,
        caller: &Caller,
        endpoint: &str,
        entity: &str,
    ) -> Result<Erasure, Error> {
        self.authorise(caller, Operation::EraseEntity)?;
        if entity.is_empty() {
            let detail = "`entity` is empty: name the entity as the callers do";
            return Err(Refusal::new(Kind::InvalidInput, detail).into());
        }
        let found = self.get_endpoint(caller, endpoint).await?;
        let (id, hash) = (found.id, self.gateway().entity_hash(entity)?);
        let log = self.decisions().clone();
        let task = tokio::task::spawn_blocking(move || log.erase(id, &hash));
        let done = task.await.map_err(|e| Fault::caused("erase an entity", e))??;
        let erasure = Erasure {
            endpoint: endpoint.to_owned(),
            decisions: done.stripped,
            segments: done.segments,
            damaged: done.damaged.iter().map(ToString::to_string).collect(),
            at: self.now(),
        };
        let (app, caller, at) = (self.clone(), caller.clone(), erasure.at);
        let detail = json!({ "endpoint": endpoint, "decisions": erasure.decisions,
                             "segments": erasure.segments, "damaged": erasure.damaged });
        self.store()
            .write("entity_erased", move |tx| -> Result<(), Error> {
                let deed = Deed {
                    action: "entity.erased",
                    object_kind: "endpoint",
                    object_id: &id.to_string(),
                    project: None,
                    detail: detail.clone(),
                };
                Ok(app.record(tx, &caller, at, &deed)?)
            })
            .await?;
        Ok(erasure)
    }
}
