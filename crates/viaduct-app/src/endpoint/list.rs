//! Lists endpoints and shows one.

use serde::Serialize;
use viaduct_base::{EndpointId, Error, Kind, ProjectId, Refusal, RolloutId, Timestamp};
use viaduct_decisions::DayCount;
use viaduct_domain::permission::{Caller, Operation};
use viaduct_gateway::{EndpointSnapshot, Killed, Mode, VariantCounts};
use viaduct_store::binding::{self, BindingRow};
use viaduct_store::consumer::{self, ConsumerRow};
use viaduct_store::endpoint::{self, EndpointRow};
use viaduct_store::rollout;
use viaduct_store::serving;
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
    /// Whether no project owns it: its decisions are evidence for no gate.
    pub unowned: bool,
    /// What is answered when the model cannot.
    pub fallback: String,
    /// The thrown kill switch.
    pub killed: Option<Killed>,
    /// The rollout under way.
    pub rollout: Option<RolloutId>,
    /// The contract in force: version and origin, `inferred`, `owned` or `project`.
    pub contract: Option<ContractName>,
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

/// Which contract is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContractName {
    /// Its version, from 1.
    pub version: i64,
    /// `inferred`, `owned` or `project`.
    pub origin: String,
    /// The document's hash.
    pub hash: String,
}

/// A version that stood behind an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionView {
    /// The registered model.
    pub model: String,
    /// Its version.
    pub version: i64,
    /// Since when.
    pub bound_at: Timestamp,
    /// Why.
    pub reason: String,
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

/// An endpoint's row and what stands around it.
struct Rows {
    row: EndpointRow,
    bound: Option<BindingRow>,
    consumers: Vec<ConsumerRow>,
    rollout: Option<RolloutId>,
    contract: Option<ContractName>,
}

fn around(tx: &mut Tx, scope: &Scope, row: EndpointRow) -> Result<Rows, Error> {
    let newest = super::contract::contracts(tx, scope, &row)?.into_iter().next();
    Ok(Rows {
        bound: binding::find(tx, scope, row.id)?,
        consumers: consumer::list(tx, scope, row.id)?,
        rollout: rollout::find_open(tx, scope, row.id)?.map(|open| open.id),
        contract: newest.map(|c| ContractName {
            version: c.version,
            origin: c.origin,
            hash: c.hash,
        }),
        row,
    })
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

    /// What each variant of an endpoint did since it came into service here.
    ///
    /// # Errors
    /// `not-found`.
    pub fn endpoint_counts(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<Vec<VariantCounts>, Error> {
        self.authorise(caller, Operation::ReadEndpoint)?;
        Ok(self.gateway().counts(name)?)
    }

    /// The versions that stood behind an endpoint, latest first.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn endpoint_versions(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<Vec<VersionView>, Error> {
        let scope = self.authorise(caller, Operation::ReadEndpoint)?;
        let name = name.to_owned();
        self.store()
            .read("endpoint_versions", move |tx| -> Result<Vec<VersionView>, Error> {
                let row = endpoint::find_by_name(tx, &scope, &name)?;
                let row = row.ok_or_else(|| no_endpoint(&name))?;
                let rows = serving::versions(tx, &scope, row.id, 200)?;
                let view = |row: serving::EndpointVersionRow| VersionView {
                    model: row.model_name,
                    version: row.version,
                    bound_at: row.bound_at,
                    reason: row.reason,
                };
                Ok(rows.into_iter().map(view).collect())
            })
            .await
    }

    fn endpoint_view(&self, rows: Rows) -> EndpointView {
        let Rows { row, bound, consumers, rollout, contract } = rows;
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
            unowned: row.project_id.is_none(),
            fallback: serving
                .as_ref()
                .map_or("error", |s| super::kill::word(&s.fallback))
                .to_owned(),
            killed: serving.as_ref().and_then(|s| s.killed.clone()),
            rollout,
            contract,
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
