//! Alerts: what happened, who acts, what to do. The same thing again is the same open alert.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;
use viaduct_base::{AlertId, EndpointId, Error, Fault, Kind, Refusal, Span, Timestamp};
use viaduct_decisions::Record;
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::consumer;
use viaduct_store::endpoint::{self, EndpointRow};
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

/// A refused request is in the log this long after it began.
const LAG: Span = Span::seconds(1);
/// An endpoint whose counter moved is looked at for so long.
const LOOKS: Span = Span::seconds(4);

/// Which violations were told already.
pub struct Watcher {
    counted: HashMap<EndpointId, u64>,
    dirty: HashMap<EndpointId, Timestamp>,
    since: Timestamp,
}

impl Watcher {
    /// Nothing before now is news.
    pub fn new(app: &App) -> Self {
        Self { counted: HashMap::new(), dirty: HashMap::new(), since: app.now() - LAG }
    }
}

/// Requests that a field did not let through.
#[derive(Debug, Default)]
struct Refused {
    detail: String,
    count: i64,
    consumers: Vec<viaduct_base::ConsumerId>,
}

impl App {
    /// Names a caller's change of schema to the caller and the owner: an alert for each field that
    /// refused requests since the last look.
    ///
    /// # Errors
    /// When the database does not answer; the next look does it.
    pub async fn tick_violations(&self, watcher: &mut Watcher) -> Result<(), Error> {
        let Some(snapshot) = self.gateway().snapshot() else { return Ok(()) };
        let now = self.now();
        // Why late by a moment: a request is counted before it is in the log.
        let (from, to) = (watcher.since, now - LAG);
        if to <= from {
            return Ok(());
        }
        for spec in snapshot.endpoints {
            let counts = self.gateway().counts(spec.name.as_str()).unwrap_or_default();
            let count: u64 = counts.iter().map(|c| c.violations).sum();
            if watcher.counted.insert(spec.id, count).unwrap_or_default() != count {
                watcher.dirty.insert(spec.id, now + LOOKS);
            }
        }
        let dirty: Vec<EndpointId> = watcher.dirty.keys().copied().collect();
        for id in dirty {
            self.alert_of_violations(id, (from, to), false).await?;
        }
        watcher.dirty.retain(|_, until| *until > now);
        watcher.since = to;
        Ok(())
    }

    /// Raises an alert for each field that refused requests in a window; answers the alerts' fields.
    /// Replayed requests are a drill's, and the other way round.
    pub(crate) async fn alert_of_violations(
        &self,
        id: EndpointId,
        (from, to): (Timestamp, Timestamp),
        is_drill: bool,
    ) -> Result<Vec<String>, Error> {
        let log = self.decisions().clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut fields: BTreeMap<String, Refused> = BTreeMap::new();
            for record in log.scan(Some(id), from, to).flatten() {
                let Record::Refused(row) = record else { continue };
                if row.replayed != is_drill {
                    continue;
                }
                for error in row.errors {
                    let field = error.pointer.rsplit('/').next().unwrap_or_default().to_owned();
                    let seen = fields.entry(field).or_default();
                    seen.count += 1;
                    seen.detail = error.detail;
                    seen.consumers.extend(row.consumer);
                }
            }
            fields
        });
        let fields = read.await.map_err(|e| Fault::caused("read the decision log", e))?;
        if fields.is_empty() {
            return Ok(Vec::new());
        }
        let told: Vec<String> = fields.keys().cloned().collect();
        let (app, scope) = (self.clone(), Scope::of(self.workspace()));
        self.store()
            .write("raise_violations", move |tx| -> Result<(), Error> {
                let Some(row) = endpoint::find(tx, &scope, id)? else { return Ok(()) };
                for (field, seen) in &fields {
                    let alert = app.schema_alert(tx, &scope, &row, (field, seen), is_drill)?;
                    app.raise_alert(tx, &scope, &row, alert)?;
                }
                Ok(())
            })
            .await?;
        Ok(told)
    }

    fn schema_alert(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        row: &EndpointRow,
        (field, seen): (&String, &Refused),
        is_drill: bool,
    ) -> Result<NewAlert, Error> {
        let known = consumer::list(tx, scope, row.id)?;
        let mut callers: Vec<&str> = known
            .iter()
            .filter(|consumer| seen.consumers.contains(&consumer.id))
            .map(|consumer| consumer.name.as_str())
            .collect();
        if callers.is_empty() {
            callers.push("a caller without a key");
        }
        let owner = match row.project_id {
            Some(id) => {
                let project = crate::project::load(tx, scope, &id.to_string())?;
                project.spec.charter.technical_owner.map(|name| name.to_string())
            }
            None => None,
        };
        let callers = callers.join(", ");
        Ok(NewAlert {
            kind: "schema_change",
            subject: field.clone(),
            detail: format!("{}: {}, sent by {callers}", row.name, seen.detail),
            advice: format!(
                "{callers}: send `{field}` as the contract says (`viaduct describe endpoint {}`); owner: change the contract when the new form is meant",
                row.name
            ),
            for_whom: match owner {
                Some(owner) => format!("{callers}; {owner}"),
                None => callers,
            },
            is_drill,
            count: seen.count,
        })
    }
}
