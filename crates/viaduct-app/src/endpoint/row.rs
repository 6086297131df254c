//! The row of an endpoint, as a project's file or a deployment writes it.

use viaduct_base::{EndpointId, Error, Fault, ProjectId, Timestamp};
use viaduct_domain::manifest::{EndpointSpec, Pick};
use viaduct_store::Scope;
use viaduct_store::endpoint::EndpointRow;

/// A row that is not stored yet and says nothing of a model.
pub(crate) fn fresh_row(
    scope: &Scope,
    project: Option<ProjectId>,
    name: &str,
    now: Timestamp,
) -> EndpointRow {
    EndpointRow {
        id: EndpointId::new(now),
        workspace_id: scope.workspace,
        project_id: project,
        name: name.to_owned(),
        spec_json: String::new(),
        model_name: String::new(),
        model_alias: String::new(),
        contract_id: None,
        created_at: now,
        updated_at: now,
        removed_at: None,
        revision: 1,
    }
}

/// Takes what the file says into the row; true when its text is another than before.
///
/// # Errors
/// When the specification is no JSON.
pub(crate) fn write_spec(
    row: &mut EndpointRow,
    spec: &EndpointSpec,
    now: Timestamp,
) -> Result<bool, Error> {
    let text =
        serde_json::to_string(spec).map_err(|e| Fault::caused("write an endpoint as JSON", e))?;
    let changed = row.spec_json != text;
    row.spec_json = text;
    row.model_name = spec.model.name.clone();
    row.model_alias = match &spec.model.pick {
        Pick::Alias(alias) => alias.clone(),
        Pick::Version(version) => version.to_string(),
    };
    row.updated_at = now;
    Ok(changed)
}
