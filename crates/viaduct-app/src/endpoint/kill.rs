//! The kill switch: thrown in the gateway first, written down afterwards.

use serde::Serialize;
use serde_json::json;
use viaduct_base::{Error, Kind, Refusal, Timestamp};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_gateway::{Report, ReportEvent};
use viaduct_store::endpoint;
use viaduct_store::serving::{self, KillRow};
use viaduct_store::{Scope, Tx};

use crate::App;
use crate::audit::Deed;

/// What the switch did.
#[derive(Debug, Clone, Serialize)]
pub struct Switched {
    /// The endpoint.
    pub endpoint: String,
    /// Whether it is killed now.
    pub killed: bool,
    /// When.
    pub at: Timestamp,
    /// What is answered while it is killed.
    pub fallback: &'static str,
    /// Whether the database has it; if not, the gateway keeps it and it is written when the database
    /// is back.
    pub recorded: bool,
}

impl App {
    /// Throws an endpoint's kill switch: from the next request on no model is asked and the fallback
    /// is answered. Works while the database is away.
    ///
    /// # Errors
    /// `not-found`; an empty reason.
    pub async fn kill_endpoint(
        &self,
        caller: &Caller,
        name: &str,
        reason: &str,
    ) -> Result<Switched, Error> {
        self.authorise(caller, Operation::KillEndpoint)?;
        let reason = reason.trim();
        if reason.is_empty() {
            let detail = "`reason` is empty: say why, it is kept in the audit trail";
            return Err(Refusal::new(Kind::InvalidInput, detail).into());
        }
        self.gateway().kill(name, caller.actor(), reason)?;
        self.switched(caller, name, true).await
    }

    /// Takes the kill switch back.
    ///
    /// # Errors
    /// `not-found`; `conflict` for an endpoint that is not killed.
    pub async fn revive_endpoint(&self, caller: &Caller, name: &str) -> Result<Switched, Error> {
        self.authorise(caller, Operation::KillEndpoint)?;
        let is_killed = self.serving(name).is_some_and(|spec| spec.killed.is_some());
        if self.serving(name).is_some() && !is_killed {
            let detail = format!("`{name}` is not killed: its model answers");
            return Err(Refusal::new(Kind::Conflict, detail).into());
        }
        self.gateway().revive(name, caller.actor())?;
        self.switched(caller, name, false).await
    }

    async fn switched(&self, caller: &Caller, name: &str, killed: bool) -> Result<Switched, Error> {
        let at = self.now();
        let recorded = match self.take_over_reports(caller).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(endpoint = name, %error, "the kill switch is not written down yet");
                false
            }
        };
        let fallback = self.serving(name).map_or("error", |spec| word(&spec.fallback));
        Ok(Switched { endpoint: name.to_owned(), killed, at, fallback, recorded })
    }

    /// What is in service under a name.
    pub(crate) fn serving(&self, name: &str) -> Option<viaduct_gateway::EndpointSnapshot> {
        let all = self.gateway().snapshot()?;
        all.endpoints.into_iter().find(|spec| spec.name.as_str() == name)
    }

    /// Writes down one report of a thrown or taken back switch.
    pub(crate) fn write_switch(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        report: &Report,
        caller: &Caller,
    ) -> Result<(), Error> {
        let Some(row) = endpoint::find(tx, scope, report.endpoint)? else { return Ok(()) };
        let (action, detail) = match &report.event {
            ReportEvent::Killed { by, reason } => {
                let kill = KillRow {
                    endpoint_id: row.id,
                    workspace_id: scope.workspace,
                    killed_at: report.at,
                    killed_by: by.clone(),
                    reason: reason.clone(),
                };
                serving::put_kill(tx, &kill)?;
                ("endpoint.killed", json!({ "endpoint": row.name, "by": by, "reason": reason }))
            }
            ReportEvent::Revived { by } => {
                serving::delete_kill(tx, scope, row.id)?;
                ("endpoint.revived", json!({ "endpoint": row.name, "by": by }))
            }
            ReportEvent::RolledBack { .. } => return Ok(()),
        };
        let deed = Deed {
            action,
            object_kind: "endpoint",
            object_id: &row.id.to_string(),
            project: row.project_id,
            detail,
        };
        Ok(self.record(tx, caller, report.at, &deed)?)
    }
}

/// The word for a fallback.
pub(crate) fn word(fallback: &viaduct_gateway::Fallback) -> &'static str {
    use viaduct_gateway::Fallback;
    match fallback {
        Fallback::Error => "error",
        Fallback::BusinessAsUsual => "business_as_usual",
        Fallback::Constant { .. } => "constant",
        Fallback::Previous => "previous",
    }
}
