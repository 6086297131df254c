//! Deletes a project that is still a concept; its evidence and its audit trail stay.

use serde_json::json;
use viaduct_base::{Error, Kind, Refusal};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_domain::stage::Stage;
use viaduct_store::{endpoint, project, schedule};

use super::load;
use crate::App;
use crate::audit::Deed;

impl App {
    /// Deletes a concept. Later stages are shelved or retired instead, so that history stays whole.
    ///
    /// # Errors
    /// `stage-forbids` beyond the concept; `not-found`.
    pub async fn delete_project(&self, caller: &Caller, name: &str) -> Result<(), Error> {
        let scope = self.authorise(caller, Operation::DeleteProject)?;
        let (app, caller, name, now) = (self.clone(), caller.clone(), name.to_owned(), self.now());
        self.store()
            .write("delete_project", move |tx| -> Result<(), Error> {
                let found = load(tx, &scope, &name)?;
                if found.standing.stage != Stage::Concept {
                    let detail = format!(
                        "`{name}` is in stage `{}`: shelve or retire it, its history must stay",
                        found.standing.stage
                    );
                    return Err(Refusal::new(Kind::StageForbids, detail).into());
                }
                for mut row in endpoint::list_by_project(tx, &scope, found.id)? {
                    row.removed_at = Some(now);
                    row.updated_at = now;
                    endpoint::update(tx, &scope, &row)?;
                }
                schedule::delete_by_project(tx, found.id)?;
                project::remove(tx, &scope, found.at(), now)?;
                let deed = Deed {
                    action: "project.deleted",
                    object_kind: "project",
                    object_id: &found.id.to_string(),
                    project: Some(found.id),
                    detail: json!({ "name": name }),
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
