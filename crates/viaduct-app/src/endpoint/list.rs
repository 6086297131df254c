//! Lists endpoints and shows one.

use serde::Serialize;
use viaduct_base::{EndpointId, Error, Kind, ProjectId, Refusal, Timestamp};
use viaduct_decisions::DayCount;
use viaduct_domain::permission::{Caller, Operation};
use viaduct_gateway::{EndpointSnapshot, Mode};
use viaduct_store::binding::{self, BindingRow};
use viaduct_store::consumer::{self, ConsumerRow};
use viaduct_store::endpoint::{self, EndpointRow};
use viaduct_store::{Scope, Tx};

use crate::App;

/// An endpoint as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct EndpointView {
    /// Its id.
    pub id: EndpointId,
    /// Its stable name.
    pub name: String,
    /// The project it belongs to.
    pub project: Option<ProjectId>,
    /// What it should serve: `name@alias` or `name/version`.
    pub model: String,
    /// What it serves: the version's number.
    pub version: Option<i64>,
    /// Since when.
    pub bound_at: Option<Timestamp>,
    /// The registered end of this version's shadow time.
    pub shadow_until: Option<Timestamp>,
    /// Who gets what.
    pub mode: Option<Mode>,
    /// Its consumers' names.
    pub consumers: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Decisions and refused requests by day.
    pub days: Vec<Day>,
    /// What is in service, for pages.
    #[serde(skip)]
    pub serving: Option<EndpointSnapshot>,
}

/// One day of traffic.
#[derive(Debug, Clone, Serialize)]
pub struct Day {
    /// The day.
    pub day: viaduct_base::Day,
    /// Decisions.
    pub decisions: u64,
    /// Refused requests.
    pub refused: u64,
}

/// The refusal for a name that no endpoint has.
pub(crate) fn no_endpoint(name: &str) -> Refusal {
    Refusal::new(
        Kind::NotFound,
        format!("there is no endpoint `{name}`: `viaduct get endpoints` shows which there are"),
    )
}

type Rows = (EndpointRow, Option<BindingRow>, Vec<ConsumerRow>);

fn around(tx: &mut Tx, scope: &Scope, row: EndpointRow) -> Result<Rows, Error> {
    let bound = binding::find(tx, scope, row.id)?;
    let consumers = consumer::list(tx, scope, row.id)?;
    Ok((row, bound, consumers))
}

impl App {
    /// Every endpoint by name.
    ///
    /// # Errors
    /// The table's refusal; a database that does not answer.
    pub async fn list_endpoints(&self, caller: &Caller) -> Result<Vec<EndpointView>, Error> {
        let scope = self.authorise(caller, Operation::ReadEndpoint)?;
        let rows = self
            .store()
            .read("list_endpoints", move |tx| -> Result<Vec<Rows>, Error> {
                let rows = endpoint::list(tx, &scope)?;
                rows.into_iter().map(|row| around(tx, &scope, row)).collect()
            })
            .await?;
        Ok(rows.into_iter().map(|rows| self.endpoint_view(rows)).collect())
    }

    /// One endpoint by name.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn get_endpoint(&self, caller: &Caller, name: &str) -> Result<EndpointView, Error> {
        let scope = self.authorise(caller, Operation::ReadEndpoint)?;
        let name = name.to_owned();
        let rows = self
            .store()
            .read("get_endpoint", move |tx| -> Result<Rows, Error> {
                let row = endpoint::find_by_name(tx, &scope, &name)?;
                around(tx, &scope, row.ok_or_else(|| no_endpoint(&name))?)
            })
            .await?;
        Ok(self.endpoint_view(rows))
    }

    fn endpoint_view(&self, (row, bound, consumers): Rows) -> EndpointView {
        let serving = self
            .gateway()
            .snapshot()
            .and_then(|all| all.endpoints.into_iter().find(|e| e.id == row.id));
        let separator = if row.model_alias.bytes().all(|b| b.is_ascii_digit()) { '/' } else { '@' };
        let day = |(day, count): (viaduct_base::Day, DayCount)| Day {
            day,
            decisions: count.decisions,
            refused: count.refused,
        };
        EndpointView {
            id: row.id,
            project: row.project_id,
            model: format!("{}{separator}{}", row.model_name, row.model_alias),
            version: bound.as_ref().map(|b| b.version),
            bound_at: bound.as_ref().map(|b| b.bound_at),
            shadow_until: bound.as_ref().map(|b| b.shadow_until),
            mode: serving.as_ref().map(|s| s.mode.clone()),
            consumers: consumers
                .into_iter()
                .filter(|c| c.revoked_at.is_none())
                .map(|c| c.name)
                .collect(),
            created_at: row.created_at,
            days: self.decisions().counts_per_day(row.id).into_iter().map(day).collect(),
            serving,
            name: row.name,
        }
    }
}
