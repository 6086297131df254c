//! Aliases: the pointer from a name such as `champion` to a version.

use serde_json::json;
use viaduct_base::Error;
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::mlflow::registry::{self, AliasRow};

use super::change::{self, Note};
use super::model_version::{self, VersionView};
use super::webhook::{self, Happened};
use super::{invalid, limits, missing, registered_model};
use crate::App;
use crate::audit::Deed;

impl App {
    /// Points an alias at a version; endpoints that follow it are bound anew.
    ///
    /// # Errors
    /// `not-found` for the version; `invalid-input` for a reserved or odd alias.
    pub async fn set_model_alias(
        &self,
        caller: &Caller,
        name: &str,
        alias: &str,
        version: &str,
    ) -> Result<(), Error> {
        let scope = self.authorise(caller, Operation::WriteRegistry)?;
        limits::model_name(name)?;
        limits::new_alias(alias)?;
        let version = limits::version(version)?;
        let (app, caller, now) = (self.told(), caller.clone(), self.now());
        let (name, alias) = (name.to_owned(), alias.to_owned());
        let model = name.clone();
        self.store()
            .write("set_model_alias", move |tx| {
                model_version::find(tx, &scope, &name, version)?;
                let aliases = registry::list_aliases(tx, &scope, &name)?;
                let before = aliases.iter().find(|a| a.alias == alias).map(|a| a.version);
                if before == Some(version) {
                    return Ok(());
                }
                let row = AliasRow { alias: alias.clone(), version, set_at: now };
                registry::set_alias(tx, &scope, &name, &row)?;
                let told = Happened::alias(&name, &alias, Some(version));
                webhook::announce(&app, tx, &scope, &told)?;
                app.enqueue_bind_models(tx)?;
                let change = json!({ &alias: { "before": before, "after": version } });
                let note = Note { kind: "model", id: &name, verb: "alias.set", change };
                change::note(tx, &scope, (&caller, now), &note)?;
                let deed = Deed {
                    action: "model_alias.set",
                    object_kind: "model_alias",
                    object_id: &format!("{name}@{alias}"),
                    project: None,
                    detail: json!({ "version": version, "before": before }),
                };
                app.record(tx, &caller, now, &deed)?;
                Ok::<_, Error>(())
            })
            .await?;
        self.ring();
        self.settle_followers(&model).await;
        Ok(())
    }

    /// Deletes an alias; one that is not there is no error, as in MLflow.
    ///
    /// # Errors
    /// `not-found` for the model.
    pub async fn delete_model_alias(
        &self,
        caller: &Caller,
        name: &str,
        alias: &str,
    ) -> Result<(), Error> {
        let scope = self.authorise(caller, Operation::WriteRegistry)?;
        limits::alias(alias)?;
        let (app, caller, now) = (self.told(), caller.clone(), self.now());
        let (name, alias) = (name.to_owned(), alias.to_owned());
        self.store()
            .write("delete_model_alias", move |tx| {
                registered_model::find(tx, &scope, &name)?;
                let aliases = registry::list_aliases(tx, &scope, &name)?;
                let Some(row) = aliases.iter().find(|a| a.alias == alias) else { return Ok(()) };
                registry::delete_alias(tx, &scope, &name, &alias)?;
                webhook::announce(&app, tx, &scope, &Happened::alias(&name, &alias, None))?;
                app.enqueue_bind_models(tx)?;
                let change = json!({ &alias: { "before": row.version } });
                let note = Note { kind: "model", id: &name, verb: "alias.deleted", change };
                change::note(tx, &scope, (&caller, now), &note)?;
                let deed = Deed {
                    action: "model_alias.deleted",
                    object_kind: "model_alias",
                    object_id: &format!("{name}@{alias}"),
                    project: None,
                    detail: json!({ "version": row.version }),
                };
                app.record(tx, &caller, now, &deed)?;
                Ok::<_, Error>(())
            })
            .await?;
        self.ring();
        Ok(())
    }

    /// The version that an alias points at; `latest` is the one with the greatest number.
    ///
    /// # Errors
    /// `not-found` for the model or its version; `invalid-input` for an unknown alias.
    pub async fn get_version_by_alias(
        &self,
        caller: &Caller,
        name: &str,
        alias: &str,
    ) -> Result<VersionView, Error> {
        let scope = self.authorise(caller, Operation::ReadRegistry)?;
        limits::alias(alias)?;
        let (name, alias) = (name.to_owned(), alias.to_owned());
        self.store()
            .read("get_version_by_alias", move |tx| {
                registered_model::find(tx, &scope, &name)?;
                let version = if alias.eq_ignore_ascii_case("latest") {
                    let versions = registry::list_versions(tx, &scope, &name)?;
                    versions.first().map(|v| v.version).ok_or_else(|| {
                        missing(format!("Latest version not found for model {name}."))
                    })?
                } else {
                    let aliases = registry::list_aliases(tx, &scope, &name)?;
                    let row = aliases.iter().find(|a| a.alias == alias);
                    row.map(|a| a.version).ok_or_else(|| {
                        invalid(format!("Registered model alias {alias} not found."))
                    })?
                };
                let row = model_version::find(tx, &scope, &name, version)?;
                model_version::view(tx, &scope, row).map_err(Error::from)
            })
            .await
    }
}
