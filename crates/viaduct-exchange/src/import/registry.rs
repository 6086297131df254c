//! Registered models, versions, aliases, tags.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use viaduct_store::mlflow::registry::{self, AliasRow, ModelRow, Tagged, VersionRow};
use viaduct_store::mlflow::{Pair, transfer};
use viaduct_store::{Row, Scope, StoreError, Tx};

use super::Work;
use super::runs::missing;
use crate::files::Files;
use crate::source::{moment, opt_text, pair, text};
use crate::{ExchangeError, Line};

/// A registered model with everything under it.
pub(super) struct Model {
    row: ModelRow,
    tags: Vec<Pair>,
    aliases: Vec<AliasRow>,
    versions: Vec<Version>,
}

struct Version {
    row: VersionRow,
    tags: Vec<Pair>,
}

/// What a model wrote.
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    models: u64,
    versions: u64,
    aliases: u64,
}

impl Work<'_> {
    /// Reads the source's registry and refuses names that mean something else here.
    pub(super) fn read_registered_models(&mut self) -> Result<Vec<Model>, ExchangeError> {
        let mut models: BTreeMap<String, Model> = BTreeMap::new();
        let only = self.source.ours("registered_models");
        self.source.each(
            &format!(
                "SELECT name, description, creation_time, last_updated_time \
                 FROM registered_models WHERE {only}"
            ),
            &[],
            |row| {
                let name = text(&row, "name")?;
                let row = ModelRow {
                    name: name.clone(),
                    description: opt_text(&row, "description")?,
                    created_at: moment(&row, "creation_time")?,
                    updated_at: moment(&row, "last_updated_time")?,
                    next_version: 1,
                };
                let (tags, aliases, versions) = (Vec::new(), Vec::new(), Vec::new());
                models.insert(name, Model { row, tags, aliases, versions });
                Ok(())
            },
        )?;
        self.refuse_other_models(&models)?;
        let only = only.replace("registered_models.", "");
        let sql = format!("SELECT name, key, value FROM registered_model_tags WHERE {only}");
        self.source.each(&sql, &[], |row| {
            if let Some(model) = models.get_mut(&text(&row, "name")?) {
                model.tags.push(pair(&row)?);
            }
            Ok(())
        })?;
        if self.source.has("registered_model_aliases", "alias") {
            let sql = format!(
                "SELECT name, alias, CAST(version AS BIGINT) AS version \
                 FROM registered_model_aliases WHERE {only}"
            );
            self.source.each(&sql, &[], |row| {
                if let Some(model) = models.get_mut(&text(&row, "name")?) {
                    let (alias, version) = (text(&row, "alias")?, row.int("version")?);
                    model.aliases.push(AliasRow { alias, version, set_at: model.row.updated_at });
                }
                Ok(())
            })?;
        }
        self.read_versions(&only, &mut models)?;
        Ok(models.into_values().collect())
    }

    fn refuse_other_models(&self, found: &BTreeMap<String, Model>) -> Result<(), ExchangeError> {
        let scope = self.scope;
        let ours = self
            .store
            .read_blocking("list_models", move |tx| transfer::list_registered_models(tx, &scope))?;
        let clash = ours.iter().find(|here| {
            found.get(&here.name).is_some_and(|there| there.row.created_at != here.created_at)
        });
        match clash {
            None => Ok(()),
            Some(here) => Err(ExchangeError::Refused(format!(
                "the registered model `{}` is another one here: rename one of them, or import into a new `--data-dir`",
                here.name
            ))),
        }
    }

    fn read_versions(
        &mut self,
        only: &str,
        models: &mut BTreeMap<String, Model>,
    ) -> Result<(), ExchangeError> {
        let places = self.places_of_models()?;
        let storage = self.source.maybe("model_versions", "storage_location");
        let sql = format!(
            "SELECT name, CAST(version AS BIGINT) AS version, description, user_id, current_stage, \
             source, run_id, run_link, status, status_message, creation_time, last_updated_time, \
             {storage} FROM model_versions WHERE {only} ORDER BY name, version"
        );
        let (files, mut lost) = (self.files.clone(), Vec::new());
        self.source.each(&sql, &[], |row| {
            let Some(model) = models.get_mut(&text(&row, "name")?) else { return Ok(()) };
            let version = read_version(&row)?;
            // Why also of what is gone: a number is given once.
            model.row.next_version = model.row.next_version.max(version.version + 1);
            if version.current_stage == "Deleted_Internal" {
                return Ok(());
            }
            match storage_path(&files, &places, &row, &version)? {
                Some(storage_path) => {
                    let row = VersionRow { storage_path, ..version };
                    model.versions.push(Version { row, tags: Vec::new() });
                }
                None => lost.push(format!(
                    "version {} of `{}`: its source `{}` names no place that is known",
                    version.version, version.name, version.source
                )),
            }
            Ok(())
        })?;
        let sql = format!(
            "SELECT name, CAST(version AS BIGINT) AS version, key, value FROM model_version_tags \
             WHERE {only}"
        );
        self.source.each(&sql, &[], |row| {
            let number = row.int("version")?;
            let model = models.get_mut(&text(&row, "name")?);
            let version =
                model.and_then(|m| m.versions.iter_mut().find(|v| v.row.version == number));
            if let Some(version) = version {
                version.tags.push(pair(&row)?);
            }
            Ok(())
        })?;
        for lost in lost {
            self.report.note(format!("not brought: {lost}"));
        }
        Ok(())
    }

    /// Where the files of runs and logged models are that versions name as their source.
    fn places_of_models(&mut self) -> Result<HashMap<String, String>, ExchangeError> {
        let mut places = HashMap::new();
        let mut add = |row: Row| {
            places.insert(text(&row, "id")?, text(&row, "place")?);
            Ok(())
        };
        self.source.each(
            "SELECT DISTINCT r.run_uuid AS id, r.artifact_uri AS place FROM runs r \
             JOIN model_versions v ON v.run_id = r.run_uuid",
            &[],
            &mut add,
        )?;
        if self.source.has("logged_models", "model_id") {
            let sql = "SELECT model_id AS id, artifact_location AS place FROM logged_models";
            self.source.each(sql, &[], &mut add)?;
        }
        Ok(places)
    }

    pub(super) fn write_registered_models(
        &mut self,
        models: Vec<Model>,
    ) -> Result<(), ExchangeError> {
        self.watch.begin("registered models", models.len() as u64);
        let all = self.source.count("registered_models", "1 = 1")?;
        let line = |what, found| Line { what, found, ..Line::default() };
        let mut lines = [
            line("registered models", all),
            line("model versions", models.iter().map(|m| m.versions.len() as u64).sum()),
            line("aliases", models.iter().map(|m| m.aliases.len() as u64).sum()),
        ];
        lines[0].skipped = all.saturating_sub(models.len() as u64);
        for model in models {
            let (model, scope) = (Arc::new(model), self.scope);
            let written = self
                .store
                .write_blocking("import_model", move |tx| write_model(tx, &scope, &model))?;
            lines[0].brought += written.models;
            lines[1].brought += written.versions;
            lines[2].brought += written.aliases;
            self.watch.advance(1);
        }
        for mut line in lines {
            line.present = line.found - line.brought - line.skipped;
            self.report.add(line);
        }
        Ok(())
    }
}

fn read_version(row: &Row) -> Result<VersionRow, StoreError> {
    let source = text(row, "source")?;
    let model_id = source.strip_prefix("models:/").filter(|id| id.starts_with("m-"));
    Ok(VersionRow {
        name: text(row, "name")?,
        version: row.int("version")?,
        description: opt_text(row, "description")?.filter(|text| !text.is_empty()),
        user_name: text(row, "user_id")?,
        current_stage: opt_text(row, "current_stage")?.unwrap_or_else(|| "None".to_owned()),
        storage_path: String::new(),
        run_id: opt_text(row, "run_id")?.filter(|text| !text.is_empty()),
        run_link: opt_text(row, "run_link")?.filter(|text| !text.is_empty()),
        model_id: model_id.map(str::to_owned),
        status: opt_text(row, "status")?.unwrap_or_else(|| "READY".to_owned()),
        status_message: opt_text(row, "status_message")?,
        created_at: moment(row, "creation_time")?,
        updated_at: moment(row, "last_updated_time")?,
        source,
    })
}

/// Where a version's files are, as our tables say it.
fn storage_path(
    files: &Files,
    places: &HashMap<String, String>,
    row: &Row,
    version: &VersionRow,
) -> Result<Option<String>, StoreError> {
    let stored = opt_text(row, "storage_location")?.filter(|text| !text.is_empty());
    let named = stored.unwrap_or_else(|| version.source.clone());
    let place = if let Some(id) = named.strip_prefix("models:/") {
        places.get(id).cloned()
    } else if let Some(rest) = named.strip_prefix("runs:/") {
        let (run_id, path) = rest.split_once('/').unwrap_or((rest, ""));
        places.get(run_id).map(|place| format!("{place}/{path}"))
    } else {
        Some(named)
    };
    Ok(place.and_then(|place| Files::storage_path(&files.uri(place.trim_end_matches('/')))))
}

fn write_model(tx: &mut Tx, scope: &Scope, model: &Model) -> Result<Written, StoreError> {
    let mut written = Written::default();
    let name = model.row.name.as_str();
    if registry::find_model(tx, scope, name)?.is_none() {
        registry::insert_model(tx, scope, &model.row)?;
        written.models = 1;
    }
    transfer::raise_next_version(tx, scope, name, model.row.next_version)?;
    for tag in missing(&model.tags, &registry::list_tags(tx, scope, Tagged::Model(name))?) {
        registry::set_tag(tx, scope, Tagged::Model(name), &tag)?;
    }
    for version in &model.versions {
        let number = (name, version.row.version);
        if registry::find_version(tx, scope, number)?.is_none() {
            registry::insert_version(tx, scope, &version.row)?;
            written.versions += 1;
        }
        let tagged = Tagged::Version(name, version.row.version);
        for tag in missing(&version.tags, &registry::list_tags(tx, scope, tagged)?) {
            registry::set_tag(tx, scope, tagged, &tag)?;
        }
    }
    let here = registry::list_aliases(tx, scope, name)?;
    for alias in &model.aliases {
        if here.iter().all(|h| h.alias != alias.alias) {
            registry::set_alias(tx, scope, name, alias)?;
            written.aliases += 1;
        }
    }
    Ok(written)
}
