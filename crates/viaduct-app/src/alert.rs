//! Alerts: what happened, who acts, what to do. The same thing again is the same open alert.

use serde_json::json;
use viaduct_base::{AlertId, Error, Kind, Refusal};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::endpoint::EndpointRow;
use viaduct_store::serving::{self, AlertRow};
use viaduct_store::{Scope, Tx};

use crate::App;
use crate::audit::Deed;

/// Alerts in a list.
const LIST_MAX: i64 = 200;

/// An alert to be raised.
pub(crate) struct NewAlert {
    /// What kind: `schema_change`, `rolled_back`.
    pub(crate) kind: &'static str,
    /// What it is about, within its kind.
    pub(crate) subject: String,
    /// What happened.
    pub(crate) detail: String,
    /// What to do.
    pub(crate) advice: String,
    /// Who acts.
    pub(crate) for_whom: String,
    /// Whether a drill raised it.
    pub(crate) is_drill: bool,
    /// How often it was seen.
    pub(crate) count: i64,
}

impl App {
    /// Raises an alert about an endpoint, with its event.
    pub(crate) fn raise_alert(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        endpoint: &EndpointRow,
        new: NewAlert,
    ) -> Result<(), Error> {
        let now = self.now();
        let known = serving::open_alerts(tx, scope, endpoint.id)?;
        let is_new = !known
            .iter()
            .any(|a| a.kind == new.kind && a.subject == new.subject && a.is_drill == new.is_drill);
        let row = AlertRow {
            id: AlertId::new(now),
            workspace_id: scope.workspace,
            project_id: endpoint.project_id,
            endpoint_id: Some(endpoint.id),
            kind: new.kind.to_owned(),
            subject: new.subject,
            detail: new.detail,
            advice: new.advice,
            for_whom: new.for_whom,
            is_drill: new.is_drill,
            raised_at: now,
            seen_at: now,
            seen_count: new.count,
            closed_at: None,
        };
        serving::raise(tx, &row)?;
        if !is_new {
            return Ok(());
        }
        let deed = Deed {
            action: "alert.raised",
            object_kind: "alert",
            object_id: &row.id.to_string(),
            project: endpoint.project_id,
            detail: json!({ "kind": row.kind, "endpoint": endpoint.name, "subject": row.subject,
                "detail": row.detail, "for": row.for_whom, "drill": row.is_drill }),
        };
        Ok(self.record(tx, &self.system(), now, &deed)?)
    }

    /// The latest alerts.
    ///
    /// # Errors
    /// The table's refusal; a database that does not answer.
    pub async fn list_alerts(&self, caller: &Caller) -> Result<Vec<AlertRow>, Error> {
        let scope = self.authorise(caller, Operation::ReadEndpoint)?;
        let rows =
            self.store().read("list_alerts", move |tx| serving::alerts(tx, &scope, LIST_MAX));
        rows.await.map_err(Error::from)
    }

    /// Closes an alert: somebody has dealt with it.
    ///
    /// # Errors
    /// `not-found` for one that is not open.
    pub async fn close_alert(&self, caller: &Caller, id: AlertId) -> Result<(), Error> {
        let scope = self.authorise(caller, Operation::CloseAlert)?;
        let (app, by, now) = (self.clone(), caller.clone(), self.now());
        self.store()
            .write("close_alert", move |tx| -> Result<(), Error> {
                if !serving::close_alert(tx, &scope, id, now)? {
                    let detail = format!("there is no open alert `{id}`");
                    return Err(Refusal::new(Kind::NotFound, detail).into());
                }
                let deed = Deed {
                    action: "alert.closed",
                    object_kind: "alert",
                    object_id: &id.to_string(),
                    project: None,
                    detail: json!({}),
                };
                Ok(app.record(tx, &by, now, &deed)?)
            })
            .await
    }
}
