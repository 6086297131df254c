//! Access to a contract document's keys that collects every mistake with its pointer.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use viaduct_base::{FieldError, nearest};

use crate::manifest::escape;

/// Collects errors under pointers.
pub(super) struct Reader {
    pub(super) errors: Vec<FieldError>,
}

impl Reader {
    pub(super) fn say(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        let (pointer, detail) = (pointer.into(), detail.into());
        self.errors.push(FieldError { pointer, detail, line: None, column: None });
    }

    /// Refuses a key that is nearly a known one: a mistyped `required` must not go unseen.
    pub(super) fn misspelt(&mut self, map: &Map<String, Value>, at: &str, known: &[&str]) {
        for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
            if let Some(meant) = nearest(key, known.iter().copied()) {
                let pointer = format!("{at}/{}", escape(key));
                self.say(pointer, format!(
                    "`{key}` is not an ODCS key: did you mean `{meant}`? Keys of your own go into \
                     `customProperties`"));
            }
        }
    }

    pub(super) fn text(&mut self, map: &Map<String, Value>, at: &str, key: &str) -> Option<String> {
        match map.get(key) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => {
                self.say(
                    format!("{at}/{key}"),
                    format!("`{key}` must be text: put quotes around it, `\"{number}\"`"),
                );
                None
            }
            Some(_) => {
                self.say(format!("{at}/{key}"), format!("`{key}` must be text"));
                None
            }
        }
    }

    pub(super) fn needed(&mut self, map: &Map<String, Value>, at: &str, key: &str) -> String {
        let before = self.errors.len();
        let text = self.text(map, at, key).filter(|text| !text.trim().is_empty());
        if text.is_none() && self.errors.len() == before {
            self.say(at, format!("`{key}` is missing: an ODCS document needs it"));
        }
        text.unwrap_or_default()
    }

    pub(super) fn flag(&mut self, map: &Map<String, Value>, at: &str, key: &str) -> Option<bool> {
        match map.get(key) {
            None | Some(Value::Null) => None,
            Some(Value::Bool(flag)) => Some(*flag),
            Some(_) => {
                self.say(format!("{at}/{key}"), format!("`{key}` must be `true` or `false`"));
                None
            }
        }
    }

    pub(super) fn list<'a>(
        &mut self,
        map: &'a Map<String, Value>,
        at: &str,
        key: &str,
    ) -> &'a [Value] {
        match map.get(key) {
            None | Some(Value::Null) => &[],
            Some(Value::Array(items)) => items,
            Some(_) => {
                self.say(format!("{at}/{key}"), format!("`{key}` must be a list"));
                &[]
            }
        }
    }

    /// The `viaduct.*` custom properties and their pointers; other people's are left alone.
    pub(super) fn own<'a>(
        &mut self,
        map: &'a Map<String, Value>,
        at: &str,
        known: &[&str],
    ) -> BTreeMap<&'a str, (&'a Value, String)> {
        let mut own = BTreeMap::new();
        let items = self.list(map, at, "customProperties");
        for (n, item) in items.iter().enumerate() {
            let here = format!("{at}/customProperties/{n}");
            let Some(property) = item.get("property").and_then(Value::as_str) else {
                self.say(here, "a custom property is `{property: name, value: …}`");
                continue;
            };
            if !property.starts_with("viaduct.") {
                continue;
            }
            if !known.contains(&property) {
                let all = known.join("`, `");
                let pointer = format!("{here}/property");
                match nearest(property, known.iter().copied()) {
                    Some(meant) => self.say(
                        pointer,
                        format!("`{property}` is not known: did you mean `{meant}`?"),
                    ),
                    None => {
                        self.say(pointer, format!("`{property}` is not known here: use `{all}`"))
                    }
                }
                continue;
            }
            own.insert(
                property,
                (item.get("value").unwrap_or(&Value::Null), format!("{here}/value")),
            );
        }
        own
    }
}
