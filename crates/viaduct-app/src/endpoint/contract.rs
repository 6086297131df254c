//! Contracts of endpoints: inferred once, then owned; every version is kept.

use serde::Serialize;
use serde_json::{Value, json};
use viaduct_base::{Error, Fault, Kind, Refusal, Timestamp};
use viaduct_domain::contract::Contract;
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::endpoint::{self, EndpointRow};
use viaduct_store::serving::{self, EndpointContractRow};
use viaduct_store::{Scope, Tx};

use super::infer_contract::infer;
use super::list::no_endpoint;
use crate::App;
use crate::audit::Deed;
use crate::mlflow::resolve::ResolvedVersion;
use crate::project::load;

/// An endpoint's contract as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct ContractView {
    /// Its version, from 1.
    pub version: i64,
    /// `inferred` from the model's signature, `owned`, or `project` for the project file's.
    pub origin: String,
    /// The document's hash; decisions carry it.
    pub hash: String,
    /// When it came into force.
    pub created_at: Timestamp,
    /// Who brought it.
    pub created_by: Option<String>,
    /// The whole document.
    pub document: Value,
}

/// The contract in force of an endpoint that no project owns.
pub(super) fn in_force(
    tx: &mut Tx,
    scope: &Scope,
    row: &EndpointRow,
) -> Result<Option<Contract>, Error> {
    let Some(stored) = serving::latest_contract(tx, scope, row.id)? else { return Ok(None) };
    let damaged = |e| Fault::caused(format!("the contract of endpoint `{}`", row.name), e);
    Ok(Some(serde_json::from_str(&stored.document_json).map_err(damaged)?))
}

impl App {
    /// Gives an unowned endpoint its first contract, when its model's signature says one.
    pub(super) fn infer_contract(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        row: &EndpointRow,
        version: &ResolvedVersion,
    ) -> Result<(), Error> {
        if row.project_id.is_some() || serving::latest_contract(tx, scope, row.id)?.is_some() {
            return Ok(());
        }
        let Some(contract) = infer(self.blobs(), version, &row.name) else { return Ok(()) };
        self.put_contract(tx, scope, row, &contract, ("inferred", &self.system()))
    }

    /// Stores a contract as the next version; one that is in force already changes nothing.
    pub(super) fn put_contract(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        row: &EndpointRow,
        contract: &Contract,
        (origin, caller): (&str, &Caller),
    ) -> Result<(), Error> {
        let latest = serving::latest_contract(tx, scope, row.id)?;
        if latest.as_ref().is_some_and(|known| known.hash == contract.hash().as_str()) {
            return Ok(());
        }
        let now = self.now();
        let stored = EndpointContractRow {
            endpoint_id: row.id,
            version: latest.map_or(1, |known| known.version + 1),
            workspace_id: scope.workspace,
            origin: origin.to_owned(),
            document_json: contract.document().to_string(),
            hash: contract.hash().to_string(),
            created_at: now,
            created_by: caller.actor().to_owned(),
        };
        serving::put_contract(tx, &stored)?;
        let deed = Deed {
            action: "endpoint.contract_changed",
            object_kind: "endpoint",
            object_id: &row.id.to_string(),
            project: row.project_id,
            detail: json!({ "endpoint": row.name, "version": stored.version, "origin": origin,
                "hash": stored.hash }),
        };
        Ok(self.record(tx, caller, now, &deed)?)
    }

    /// The contracts of an endpoint, newest first.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn list_endpoint_contracts(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<Vec<ContractView>, Error> {
        let scope = self.authorise(caller, Operation::ReadEndpoint)?;
        let name = name.to_owned();
        self.store()
            .read("list_endpoint_contracts", move |tx| {
                let row = endpoint::find_by_name(tx, &scope, &name)?;
                let row = row.ok_or_else(|| no_endpoint(&name))?;
                contracts(tx, &scope, &row)
            })
            .await
    }

    /// Puts a contract of its owner's in force on an unowned endpoint; it is in service when this
    /// answers.
    ///
    /// # Errors
    /// `invalid-input` with every bad place; `stage-forbids` for an endpoint of a project, whose file
    /// holds the contract.
    pub async fn own_endpoint_contract(
        &self,
        caller: &Caller,
        name: &str,
        document: Value,
    ) -> Result<Vec<ContractView>, Error> {
        let scope = self.authorise(caller, Operation::DeployEndpoint)?;
        let contract = Contract::from_value(document).map_err(|errors| {
            let first = errors.first().map_or_else(String::new, |error| error.detail.clone());
            let detail = format!("the contract is not valid: {first}");
            Refusal::new(Kind::InvalidInput, detail).with_errors(errors)
        })?;
        let (app, by, name) = (self.clone(), caller.clone(), name.to_owned());
        let views = self
            .store()
            .write("own_endpoint_contract", move |tx| -> Result<Vec<ContractView>, Error> {
                let row = endpoint::find_by_name(tx, &scope, &name)?;
                let row = row.ok_or_else(|| no_endpoint(&name))?;
                if row.project_id.is_some() {
                    let detail = format!(
                        "`{name}` belongs to a project: its contract stands in the project file, `viaduct apply`"
                    );
                    return Err(Refusal::new(Kind::StageForbids, detail).into());
                }
                app.put_contract(tx, &scope, &row, &contract, ("owned", &by))?;
                contracts(tx, &scope, &row)
            })
            .await?;
        self.publish_snapshot().await?;
        Ok(views)
    }
}

/// The contracts of an endpoint, newest first; a project's endpoint has the one of its file.
pub(super) fn contracts(
    tx: &mut Tx,
    scope: &Scope,
    row: &EndpointRow,
) -> Result<Vec<ContractView>, Error> {
    let Some(project) = row.project_id else {
        let rows = serving::contracts(tx, scope, row.id)?;
        let view = |row: EndpointContractRow| ContractView {
            version: row.version,
            origin: row.origin,
            hash: row.hash,
            created_at: row.created_at,
            created_by: Some(row.created_by),
            document: serde_json::from_str(&row.document_json).unwrap_or_default(),
        };
        return Ok(rows.into_iter().map(view).collect());
    };
    let project = load(tx, scope, &project.to_string())?;
    let Some(contract) = &project.spec.contract else { return Ok(Vec::new()) };
    let rows = viaduct_store::contract::list(tx, scope, project.id, contract.id())?;
    let view = |row: viaduct_store::contract::ContractRow| ContractView {
        version: row.version,
        origin: "project".to_owned(),
        hash: row.hash,
        created_at: row.created_at,
        created_by: row.created_by,
        document: serde_json::from_str(&row.document_json).unwrap_or_default(),
    };
    Ok(rows.into_iter().map(view).collect())
}
