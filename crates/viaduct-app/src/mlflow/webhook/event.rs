//! What webhooks can tell of, and what they say then: MLflow's words.

use serde_json::{Value, json};
use viaduct_base::Error;

use crate::mlflow::{VersionView, invalid};

/// An event that a webhook can be told of: `model_version.created`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookEvent {
    /// What it happened to: `model_version`.
    pub entity: &'static str,
    /// What happened: `created`.
    pub action: &'static str,
}

const fn event(entity: &'static str, action: &'static str) -> WebhookEvent {
    WebhookEvent { entity, action }
}

/// Every event that MLflow knows. Budgets are never exceeded here; who asks is told of nothing.
const EVENTS: [WebhookEvent; 15] = [
    event("registered_model", "created"),
    event("model_version", "created"),
    event("model_version_tag", "set"),
    event("model_version_tag", "deleted"),
    event("model_version_alias", "created"),
    event("model_version_alias", "deleted"),
    event("prompt", "created"),
    event("prompt_version", "created"),
    event("prompt_tag", "set"),
    event("prompt_tag", "deleted"),
    event("prompt_version_tag", "set"),
    event("prompt_version_tag", "deleted"),
    event("prompt_alias", "created"),
    event("prompt_alias", "deleted"),
    event("budget_policy", "exceeded"),
];

impl WebhookEvent {
    /// The event of two words, in whatever case.
    ///
    /// # Errors
    /// `invalid-input` when there is no such event.
    pub fn parse(entity: &str, action: &str) -> Result<Self, Error> {
        let same = |known: &&WebhookEvent| {
            known.entity.eq_ignore_ascii_case(entity) && known.action.eq_ignore_ascii_case(action)
        };
        EVENTS.iter().find(same).copied().ok_or_else(|| {
            let valid: Vec<&str> = EVENTS
                .iter()
                .filter(|known| known.entity.eq_ignore_ascii_case(entity))
                .map(|known| known.action)
                .collect();
            invalid(format!(
                "Invalid action '{}' for entity '{}'. Valid actions are: {valid:?}",
                action.to_ascii_lowercase(),
                entity.to_ascii_lowercase()
            ))
        })
    }

    /// `entity.action`, as it is kept.
    pub fn word(self) -> String {
        format!("{}.{}", self.entity, self.action)
    }

    pub(super) fn of_word(word: &str) -> Option<Self> {
        let (entity, action) = word.split_once('.')?;
        EVENTS.into_iter().find(|known| known.entity == entity && known.action == action)
    }

    /// What a test delivery of this event says: MLflow's own examples.
    pub(super) fn example(self) -> Value {
        let is_prompt = self.entity.starts_with("prompt");
        let name = if is_prompt { "example_prompt" } else { "example_model" };
        let tags = json!({ "example_key": "example_value" });
        let mut data = json!({ "name": name });
        match (self.entity, self.action) {
            ("registered_model" | "prompt", _) => {
                data["tags"] = tags;
                data["description"] =
                    if is_prompt { "An example prompt" } else { "An example registered model" }
                        .into();
            }
            ("model_version" | "prompt_version", _) => {
                data["version"] = "1".into();
                data["tags"] = tags;
                if is_prompt {
                    data["template"] = "Hello {{name}}!".into();
                    data["description"] = "An example prompt version".into();
                } else {
                    data["source"] = "models:/123".into();
                    data["run_id"] = "abcd1234abcd5678".into();
                    data["description"] = "An example model version".into();
                }
            }
            ("model_version_alias" | "prompt_alias", action) => {
                data["alias"] = "example_alias".into();
                if action == "created" {
                    data["version"] = "1".into();
                }
            }
            ("budget_policy", _) => {
                return json!({
                    "budget_policy_id": "bp-abc123", "budget_unit": "USD", "budget_amount": 100.0,
                    "current_spend": 105.5, "duration_unit": "MONTHS", "duration_value": 1,
                    "target_scope": "ENDPOINT", "workspace": "default",
                    "target_value": "ep-abc123", "window_start": 1_704_067_200_000_i64,
                });
            }
            (entity, action) => {
                data["key"] = "example_key".into();
                if entity != "prompt_tag" {
                    data["version"] = "1".into();
                }
                if action == "set" {
                    data["value"] = "example_value".into();
                }
            }
        }
        data
    }
}

/// What happened to a registered model, or to a prompt, which is one too.
#[derive(Debug, Clone)]
pub(in crate::mlflow) struct Happened {
    /// The event of a model; none where MLflow tells of prompts alone.
    pub(super) of_model: Option<&'static str>,
    /// The event of a prompt.
    pub(super) of_prompt: &'static str,
    /// The registered model.
    pub(super) name: String,
    /// What is said beside the name.
    pub(super) data: Value,
}

impl Happened {
    fn new(
        (of_model, of_prompt): (Option<&'static str>, &'static str),
        name: &str,
        data: Value,
    ) -> Self {
        Self { of_model, of_prompt, name: name.to_owned(), data }
    }

    /// A registered model was made.
    pub(in crate::mlflow) fn model_created(name: &str, description: Option<&str>) -> Self {
        let words = (Some("registered_model.created"), "prompt.created");
        Self::new(words, name, json!({ "description": description }))
    }

    /// A tag of a registered model was set, or deleted without a value.
    pub(in crate::mlflow) fn model_tag(name: &str, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => {
                Self::new((None, "prompt_tag.set"), name, json!({ "key": key, "value": value }))
            }
            None => Self::new((None, "prompt_tag.deleted"), name, json!({ "key": key })),
        }
    }

    /// A version was made.
    pub(in crate::mlflow) fn version_created(seen: &VersionView) -> Self {
        let row = &seen.row;
        let tags: Value = seen.tags.iter().map(|t| (t.key.clone(), t.value.clone())).collect();
        let data = json!({
            "version": row.version.to_string(), "source": row.source, "run_id": row.run_id,
            "tags": tags, "description": row.description,
        });
        Self::new((Some("model_version.created"), "prompt_version.created"), &row.name, data)
    }

    /// A tag of a version was set, or deleted without a value.
    pub(in crate::mlflow) fn version_tag(
        (name, version): (&str, i64),
        key: &str,
        value: Option<&str>,
    ) -> Self {
        let version = version.to_string();
        match value {
            Some(value) => Self::new(
                (Some("model_version_tag.set"), "prompt_version_tag.set"),
                name,
                json!({ "version": version, "key": key, "value": value }),
            ),
            None => Self::new(
                (Some("model_version_tag.deleted"), "prompt_version_tag.deleted"),
                name,
                json!({ "version": version, "key": key }),
            ),
        }
    }

    /// An alias was set to a version, or deleted without one.
    pub(in crate::mlflow) fn alias(name: &str, alias: &str, version: Option<i64>) -> Self {
        match version {
            Some(version) => Self::new(
                (Some("model_version_alias.created"), "prompt_alias.created"),
                name,
                json!({ "alias": alias, "version": version.to_string() }),
            ),
            None => Self::new(
                (Some("model_version_alias.deleted"), "prompt_alias.deleted"),
                name,
                json!({ "alias": alias }),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_examples() {
        for known in EVENTS {
            assert_eq!(WebhookEvent::of_word(&known.word()), Some(known));
            let upper = (known.entity.to_uppercase(), known.action.to_uppercase());
            assert_eq!(WebhookEvent::parse(&upper.0, &upper.1).unwrap(), known);
            assert!(known.example().as_object().is_some_and(|data| data.len() > 1), "{known:?}");
        }
        let said = WebhookEvent::parse("REGISTERED_MODEL", "DELETED").unwrap_err().to_string();
        assert!(said.contains("Invalid action 'deleted' for entity 'registered_model'"), "{said}");
    }
}
