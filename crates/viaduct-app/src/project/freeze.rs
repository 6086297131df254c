//! Freezes a project: its endpoint answers business as usual at once. And thaws it.

use serde_json::json;
use viaduct_base::{Error, Kind, Refusal};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_domain::stage::{Event, State, next};

use super::load;
use crate::App;
use crate::audit::Deed;
use crate::gate::end_open_review;

impl App {
    /// Freezes or thaws. Freezing withdraws an open review: what was signed no longer holds.
    ///
    /// # Errors
    /// `stage-forbids` where the state machine does not allow it; a note shorter than a sentence.
    pub async fn set_frozen(
        &self,
        caller: &Caller,
        name: &str,
        to: State,
        note: String,
    ) -> Result<(), Error> {
        let scope = self.authorise(caller, Operation::FreezeProject)?;
        if note.trim().len() < 12 {
            let detail = "the note must say in a sentence why, for those who are paged";
            return Err(Refusal::new(Kind::InvalidInput, detail).into());
        }
        let (app, caller, name, now) = (self.clone(), caller.clone(), name.to_owned(), self.now());
        self.store()
            .write("set_frozen", move |tx| -> Result<(), Error> {
                let found = load(tx, &scope, &name)?;
                let (event, action) = match to {
                    State::Frozen => (Event::Frozen, "project.frozen"),
                    State::Clear | State::UnderReview => (Event::Thawed, "project.thawed"),
                };
                let standing = next(found.standing, event, now)?;
                end_open_review(tx, &scope, found.id, now)?;
                found.write_standing(tx, &scope, standing, Some(note.clone()), now)?;
                let deed = Deed {
                    action,
                    object_kind: "project",
                    object_id: &found.id.to_string(),
                    project: Some(found.id),
                    detail: json!({ "note": note }),
                };
                app.record(tx, &caller, now, &deed)?;
                // Why besides: should the publication below fail, the queue makes up for it.
                app.enqueue(tx, "bind_models", &json!({}), "bind_models")?;
                Ok(())
            })
            .await?;
        // Why not by a job: a freeze must work within moments, also when the queue is long.
        self.publish_snapshot().await
    }
}
