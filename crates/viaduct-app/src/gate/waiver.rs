//! Waivers: asked for, approved from outside the project, listed with the debt that they are.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::json;
use viaduct_base::{Error, Kind, Name, Refusal, WaiverId};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_domain::stage::GateName;
use viaduct_domain::waiver::{Debt, Waiver, WaiverRequest, debts};
use viaduct_store::waiver::{self, WaiverRow};

use super::request::named;
use super::stored;
use crate::App;
use crate::audit::Deed;
use crate::project::{Project, load};

/// A waiver to be asked for.
#[derive(Debug, Clone)]
pub struct AskWaiver {
    /// The criterion, the reason, the compensation, the end.
    pub request: WaiverRequest,
    /// Of which gate; the one above the project's stage when not said.
    pub gate: Option<GateName>,
}

/// A waiver as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct WaiverView {
    /// The waiver.
    #[serde(flatten)]
    pub waiver: Waiver,
    /// Whether it stands in for its criterion now.
    pub is_active: bool,
}

/// Everybody whom the charter names.
fn insiders(project: &Project) -> BTreeSet<Name> {
    project.spec.charter.people().map(|(_, name)| name.clone()).collect()
}

impl App {
    /// Asks for a waiver. It stands in for nothing until somebody outside the project approves it.
    ///
    /// # Errors
    /// An unknown criterion, one that cannot be waived, an end too far away.
    pub async fn request_waiver(
        &self,
        caller: &Caller,
        name: &str,
        ask: AskWaiver,
    ) -> Result<WaiverView, Error> {
        let scope = self.authorise(caller, Operation::RequestWaiver)?;
        let by = named(caller)?;
        let (app, caller, name, now) = (self.clone(), caller.clone(), name.to_owned(), self.now());
        self.store()
            .write("request_waiver", move |tx| -> Result<WaiverView, Error> {
                let project = load(tx, &scope, &name)?;
                let gate = match ask.gate {
                    Some(gate) => app.gate_named(gate)?,
                    None => app.gate_above(&project)?,
                };
                let id = WaiverId::new(now);
                let asked = Waiver::request(id, gate, ask.request.clone(), by.clone(), now)?;
                let row = WaiverRow {
                    id,
                    project_id: project.id,
                    criterion: asked.criterion.clone(),
                    reason: asked.reason.clone(),
                    compensation: asked.compensation.clone(),
                    requested_by: by.to_string(),
                    requested_at: now,
                    expires_at: asked.expires_at,
                    approved_by: None,
                    approved_at: None,
                    ended_at: None,
                    revision: 1,
                };
                waiver::insert(tx, &scope, &row)?;
                let deed = Deed {
                    action: "waiver.requested",
                    object_kind: "waiver",
                    object_id: &id.to_string(),
                    project: Some(project.id),
                    detail: json!({ "criterion": asked.criterion, "expires_at": asked.expires_at }),
                };
                app.record(tx, &caller, now, &deed)?;
                Ok(WaiverView { is_active: asked.is_active(now), waiver: asked })
            })
            .await
    }

    /// Approves a waiver; the approver is outside the project.
    ///
    /// # Errors
    /// An insider, the asker, a waiver that is over or approved.
    pub async fn approve_waiver(&self, caller: &Caller, id: WaiverId) -> Result<WaiverView, Error> {
        let scope = self.authorise(caller, Operation::ApproveWaiver)?;
        let by = named(caller)?;
        let (app, caller, now) = (self.clone(), caller.clone(), self.now());
        self.store()
            .write("approve_waiver", move |tx| -> Result<WaiverView, Error> {
                let none = || Refusal::new(Kind::NotFound, format!("there is no waiver `{id}`"));
                let row = waiver::find(tx, &scope, id)?.ok_or_else(none)?;
                let mut found = stored::waiver(&row, app.policy())?.ok_or_else(none)?;
                let project = load(tx, &scope, &row.project_id.to_string())?;
                found.approve(by.clone(), &insiders(&project), now)?;
                waiver::approve(tx, &scope, id, row.revision, by.as_str(), now)?;
                let deed = Deed {
                    action: "waiver.approved",
                    object_kind: "waiver",
                    object_id: &id.to_string(),
                    project: Some(project.id),
                    detail: json!({ "criterion": found.criterion }),
                };
                app.record(tx, &caller, now, &deed)?;
                Ok(WaiverView { is_active: found.is_active(now), waiver: found })
            })
            .await
    }

    /// A project's waivers, and the debt that they are.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn list_waivers(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<(Vec<WaiverView>, Vec<Debt>), Error> {
        let scope = self.authorise(caller, Operation::ReadProject)?;
        let (app, name, now) = (self.clone(), name.to_owned(), self.now());
        self.store()
            .read("list_waivers", move |tx| {
                let project = load(tx, &scope, &name)?;
                let mut found = Vec::new();
                for row in waiver::list(tx, &scope, project.id)? {
                    found.extend(stored::waiver(&row, app.policy())?);
                }
                let latest = match project.standing.stage.next_gate() {
                    Some(_) => vec![app.evaluation_now(tx, &scope, &project)?],
                    None => Vec::new(),
                };
                let debt = debts(&found, &latest, now);
                let views = found
                    .into_iter()
                    .map(|waiver| WaiverView { is_active: waiver.is_active(now), waiver })
                    .collect();
                Ok((views, debt))
            })
            .await
    }
}
