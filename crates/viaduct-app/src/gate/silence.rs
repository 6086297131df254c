//! Reviews past their due date: silence proceeds where the policy's tier allows it, else escalates.

use serde_json::json;
use viaduct_base::Error;
use viaduct_domain::review::Readiness;
use viaduct_store::{Scope, review};

use super::request::read;
use super::stored;
use crate::App;
use crate::audit::Deed;

impl App {
    /// Looks at every review that is due. Done by the platform itself, daily.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn conclude_due_reviews(&self) -> Result<(), Error> {
        let now = self.now();
        let due = self
            .store()
            .read("list_due_reviews", move |tx| review::list_due(tx, now))
            .await
            .map_err(Error::from)?;
        for row in due {
            let (app, system) = (self.clone(), self.system());
            let done = self
                .store()
                .write("conclude_due_review", move |tx| -> Result<(), Error> {
                    let scope = Scope::of(row.workspace_id);
                    let Some(mut row) = review::find(tx, &scope, row.id)? else { return Ok(()) };
                    let mut open = read(tx, &scope, &row)?;
                    match open.readiness(now) {
                        Readiness::Silence | Readiness::Signed => {
                            app.conclude_review(tx, (&scope, &system), &mut row, &mut open, now)
                        }
                        Readiness::Overdue(missing) => {
                            if !open.escalate(now) {
                                return Ok(());
                            }
                            stored::update_review(&mut row, &open)?;
                            review::update(tx, &scope, &row)?;
                            let waits: Vec<&str> =
                                missing.iter().map(|slot| slot.role.as_str()).collect();
                            let deed = Deed {
                                action: "review.escalated",
                                object_kind: "review",
                                object_id: &open.id.to_string(),
                                project: Some(open.project),
                                detail: json!({ "waits_for": waits }),
                            };
                            Ok(app.record(tx, &system, now, &deed)?)
                        }
                        Readiness::Waiting(_) | Readiness::Over => Ok(()),
                    }
                })
                .await;
            if let Err(error) = done {
                tracing::warn!(%error, "a due review was not concluded");
            }
        }
        self.ring();
        Ok(())
    }
}
