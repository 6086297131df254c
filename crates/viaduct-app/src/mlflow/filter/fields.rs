//! Which fields there are, and what can be asked of them: MLflow's tables of them.

use viaduct_base::Error;
use viaduct_store::mlflow::search::Field;

use super::lexer::shown;
use crate::mlflow::invalid;

/// What is searched; it decides which fields there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mlflow) enum Subject {
    Runs,
    Experiments,
    LoggedModels,
    RegisteredModels,
    ModelVersions,
}

/// What kind of thing a field is, in MLflow's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entity {
    Metric,
    Param,
    Tag,
    Attribute,
    Dataset,
}

impl Entity {
    pub(super) fn word(self) -> &'static str {
        match self {
            Entity::Metric => "metric",
            Entity::Param => "parameter",
            Entity::Tag => "tag",
            Entity::Attribute => "attribute",
            Entity::Dataset => "dataset",
        }
    }
}

/// A field that was named.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Named {
    pub(super) entity: Entity,
    pub(super) key: String,
    pub(super) field: Field,
}

/// Whether a field is looked for to filter by it or to order by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Filter,
    Order,
}

impl Subject {
    /// The attributes: every spelling with what it means. Names are columns of the store.
    fn attributes(self, used: Use) -> &'static [(&'static str, Field)] {
        use Field::{Digits, Moment, Number, Text};
        match (self, used) {
            (Subject::Runs, _) => &[
                ("artifact_uri", Text("artifact_uri")),
                ("created", Moment("started_at")),
                ("Created", Moment("started_at")),
                ("end_time", Moment("ended_at")),
                ("run_id", Text("run_id")),
                ("run_name", Text("name")),
                ("run name", Text("name")),
                ("Run name", Text("name")),
                ("Run Name", Text("name")),
                ("start_time", Moment("started_at")),
                ("status", Text("status")),
                ("user_id", Text("user_name")),
            ],
            (Subject::Experiments, _) => &[
                ("creation_time", Moment("created_at")),
                ("experiment_id", Digits("experiment_id")),
                ("last_update_time", Moment("updated_at")),
                ("name", Text("name")),
            ],
            (Subject::LoggedModels, _) => &[
                ("artifact_location", Text("artifact_uri")),
                ("creation_time", Moment("created_at")),
                ("creation_timestamp", Moment("created_at")),
                ("creation_timestamp_ms", Moment("created_at")),
                ("experiment_id", Text("experiment_id")),
                ("last_updated_time", Moment("updated_at")),
                ("last_updated_timestamp", Moment("updated_at")),
                ("last_updated_timestamp_ms", Moment("updated_at")),
                ("model_id", Text("model_id")),
                ("model_type", Text("model_type")),
                ("name", Text("name")),
                ("source_run_id", Text("source_run_id")),
                ("status", Text("status")),
            ],
            (Subject::RegisteredModels, Use::Filter) => &[("name", Text("name"))],
            (Subject::RegisteredModels, Use::Order) => &[
                ("creation_timestamp", Moment("created_at")),
                ("last_updated_timestamp", Moment("updated_at")),
                ("name", Text("name")),
                ("timestamp", Moment("updated_at")),
            ],
            (Subject::ModelVersions, Use::Filter) => &[
                ("name", Text("name")),
                ("run_id", Text("run_id")),
                ("source_path", Text("source")),
                ("version_number", Number("version")),
            ],
            (Subject::ModelVersions, Use::Order) => &[
                ("creation_timestamp", Moment("created_at")),
                ("last_updated_timestamp", Moment("updated_at")),
                ("name", Text("name")),
                ("version_number", Number("version")),
            ],
        }
    }

    /// The attributes that can be compared with a list.
    pub(super) fn listed(self) -> &'static [&'static str] {
        match self {
            Subject::Runs => &["run_id"],
            Subject::Experiments => &["experiment_id"],
            Subject::RegisteredModels => &["name"],
            Subject::ModelVersions => &["name", "run_id"],
            Subject::LoggedModels => &[
                "artifact_location",
                "experiment_id",
                "model_id",
                "model_type",
                "name",
                "source_run_id",
                "status",
            ],
        }
    }

    fn entity(self, word: &str) -> Result<Entity, Error> {
        let word = word.trim_matches('`');
        let is_tracking = matches!(self, Subject::Runs | Subject::LoggedModels);
        match word {
            "attribute" | "attributes" => Ok(Entity::Attribute),
            "tag" | "tags" => Ok(Entity::Tag),
            "attr" | "run" if self == Subject::Runs => Ok(Entity::Attribute),
            "dataset" | "datasets" if self == Subject::Runs => Ok(Entity::Dataset),
            "metric" | "metrics" if is_tracking => Ok(Entity::Metric),
            "param" | "params" | "parameter" | "parameters" if is_tracking => Ok(Entity::Param),
            _ => Err(invalid(match self {
                Subject::Runs => format!(
                    "Invalid entity type '{}'. Valid values are ['metric', 'parameter', 'tag', \
                     'attribute', 'dataset']",
                    shown(word)
                ),
                Subject::LoggedModels => format!(
                    "Invalid entity type: '{}'. Expected one of ['attributes', 'metrics', \
                     'params', 'tags'].",
                    shown(word)
                ),
                _ => format!(
                    "Invalid entity type '{}'. Valid entity types are ('attribute', 'tag', 'tags')",
                    shown(word)
                ),
            })),
        }
    }

    /// The field that a word names: `metrics.acc`, `` tags.`mlflow.user` ``, `start_time`.
    pub(super) fn field(self, text: &str, used: Use) -> Result<Named, Error> {
        let (entity, key) = match divided(text) {
            Some((entity, key)) => (self.entity(entity)?, bare(key)),
            None => (Entity::Attribute, bare(text)),
        };
        let field = match entity {
            Entity::Metric => Field::Metric(key.clone()),
            Entity::Param => Field::Param(key.clone()),
            Entity::Tag => Field::Tag(key.clone()),
            Entity::Dataset => {
                let known = ["context", "digest", "name"].into_iter().find(|k| *k == key);
                let unknown = || {
                    invalid(format!(
                        "Invalid dataset key '{}' specified. Valid keys are \
                         '{{'context', 'digest', 'name'}}'",
                        shown(&key)
                    ))
                };
                Field::Dataset(known.ok_or_else(unknown)?)
            }
            Entity::Attribute => {
                let all = self.attributes(used);
                let found = all.iter().find(|(name, _)| *name == key);
                found.map(|(_, field)| field.clone()).ok_or_else(|| {
                    let names: Vec<String> = all.iter().map(|(n, _)| format!("'{n}'")).collect();
                    let names = names.join(", ");
                    invalid(format!(
                        "Invalid attribute key '{}' specified. Valid keys are '{{{names}}}'",
                        shown(&key)
                    ))
                })?
            }
        };
        Ok(Named { entity, key, field })
    }
}

/// What stands before the first dot and behind it; a dot within quotes divides nothing.
fn divided(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '`' | '"') => quote = Some(c),
            None if c == '.' => return Some((text.get(..at)?, text.get(at + 1..)?)),
            None => {}
        }
    }
    None
}

/// A key without the quotes around it.
fn bare(text: &str) -> String {
    let unquoted =
        ['"', '\'', '`'].into_iter().find_map(|quote| super::lexer::unquote(text, quote));
    unquoted.unwrap_or_else(|| text.to_owned())
}
