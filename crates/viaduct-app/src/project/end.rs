//! Shelves or retires a project, with a cause.

use serde_json::json;
use viaduct_base::{Error, Kind, Refusal};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_domain::stage::{Event, ShelveCause, next};
use viaduct_store::schedule;

use super::load;
use crate::App;
use crate::audit::Deed;
use crate::gate::end_open_review;

/// How a project ends.
#[derive(Debug, Clone, Copy)]
pub enum End {
    /// Put away, for this cause.
    Shelve(ShelveCause),
    /// Its life is over.
    Retire,
}

impl App {
    /// Ends a project. An open review closes with it; the endpoint answers business as usual.
    ///
    /// # Errors
    /// `stage-forbids` where the state machine does not allow it; a note shorter than a sentence.
    pub async fn end_project(
        &self,
        caller: &Caller,
        name: &str,
        end: End,
        note: String,
    ) -> Result<(), Error> {
        let scope = self.authorise(caller, Operation::ShelveProject)?;
        if note.trim().len() < 12 {
            let detail = "the note must say in a sentence why, for those who read this in a year";
            return Err(Refusal::new(Kind::InvalidInput, detail).into());
        }
        let (app, caller, name, now) = (self.clone(), caller.clone(), name.to_owned(), self.now());
        self.store()
            .write("end_project", move |tx| -> Result<(), Error> {
                let found = load(tx, &scope, &name)?;
                let (event, action) = match end {
                    End::Shelve(cause) => (Event::Shelved(cause), "project.shelved"),
                    End::Retire => (Event::Retired, "project.retired"),
                };
                let to = next(found.standing, event, now)?;
                end_open_review(tx, &scope, found.id, now)?;
                found.write_standing(tx, &scope, to, Some(note.clone()), now)?;
                schedule::delete_by_project(tx, found.id)?;
                let deed = Deed {
                    action,
                    object_kind: "project",
                    object_id: &found.id.to_string(),
                    project: Some(found.id),
                    detail: json!({ "cause": to.stage.cause().map(|c| c.as_str()), "note": note }),
                };
                app.record(tx, &caller, now, &deed)?;
                app.enqueue(tx, "bind_models", &json!({}), "bind_models")?;
                Ok(())
            })
            .await?;
        self.ring();
        Ok(())
    }
}
