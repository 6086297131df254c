//! Typed access to a mapping's keys that collects every mistake with its place.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde_json::{Map, Value};
use viaduct_base::{FieldError, Name, nearest};

use super::escape;
use super::located::{End, Located};

/// What was found wrong so far.
pub(super) struct Reader<'a> {
    document: &'a Located,
    errors: Vec<FieldError>,
}

/// A mapping of the file, its pointer, and its name for messages.
#[derive(Clone)]
pub(super) struct Section<'a> {
    map: &'a Map<String, Value>,
    pub(super) at: String,
    label: String,
}

impl<'a> Reader<'a> {
    pub(super) fn new(document: &'a Located) -> Self {
        Self { document, errors: Vec::new() }
    }

    /// The errors in order of their place; ends the reading.
    pub(super) fn finish(mut self) -> Vec<FieldError> {
        self.errors.sort_by_key(|error| (error.line, error.column));
        self.errors
    }

    pub(super) fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }

    pub(super) fn say(&mut self, pointer: &str, detail: impl Into<String>) {
        self.say_at(pointer, End::Value, detail);
    }

    fn say_at(&mut self, pointer: &str, end: End, detail: impl Into<String>) {
        self.errors.push(error(self.document, pointer, end, detail.into()));
    }

    /// Says something about another document.
    pub(super) fn say_elsewhere(&mut self, document: &Located, pointer: &str, detail: &str) {
        self.errors.push(error(document, pointer, End::Value, detail.to_owned()));
    }

    /// One error about this reader's document.
    pub(super) fn one(&self, pointer: &str, detail: &str) -> FieldError {
        error(self.document, pointer, End::Value, detail.to_owned())
    }

    /// Takes errors whose pointers begin below `at`.
    pub(super) fn adopt(&mut self, at: &str, errors: Vec<FieldError>) {
        for error in errors {
            self.say(&format!("{at}{}", error.pointer), error.detail);
        }
    }

    /// A mapping; keys that are not in `known` are said, with the nearest one that is.
    pub(super) fn section(
        &mut self,
        value: &'a Value,
        at: &str,
        label: &str,
        known: &[&str],
    ) -> Option<Section<'a>> {
        let Some(map) = value.as_object() else {
            let keys = known.join("`, `");
            self.say(at, format!("{label} must be a mapping with `{keys}`"));
            return None;
        };
        for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
            let pointer = format!("{at}/{}", escape(key));
            let detail = match nearest(key, known.iter().copied()) {
                Some(meant) => {
                    format!("`{key}` is not a key of {label}: did you mean `{meant}`?")
                }
                None => {
                    let keys = known.join("`, `");
                    format!("`{key}` is not a key of {label}: its keys are `{keys}`")
                }
            };
            self.say_at(&pointer, End::Key, detail);
        }
        Some(Section { map, at: at.to_owned(), label: label.to_owned() })
    }

    /// The mapping under `key`; absent or null is `None` without an error.
    pub(super) fn child(
        &mut self,
        parent: &Section<'a>,
        key: &str,
        known: &[&str],
    ) -> Option<Section<'a>> {
        let value = parent.get(key)?;
        self.section(value, &parent.pointer(key), &format!("`{key}`"), known)
    }

    /// Says that `key` is missing.
    pub(super) fn lacks(&mut self, section: &Section<'_>, key: &str, hint: &str) {
        let label = &section.label;
        self.say(&section.at, format!("{label} needs `{key}`: {hint}"));
    }

    /// A text that is not blank.
    pub(super) fn text(&mut self, section: &Section<'a>, key: &str) -> Option<String> {
        let value = section.get(key)?;
        match value {
            Value::String(text) if !text.trim().is_empty() => return Some(text.clone()),
            Value::String(_) => self.say(
                &section.pointer(key),
                format!("`{key}` is empty: write something, or leave it out"),
            ),
            Value::Number(_) | Value::Bool(_) => self.say(
                &section.pointer(key),
                format!("`{key}` must be text: put quotes around it, `\"{value}\"`"),
            ),
            _ => self.say(&section.pointer(key), format!("`{key}` must be text")),
        }
        None
    }

    /// A text that must be there.
    pub(super) fn needed_text(
        &mut self,
        section: &Section<'a>,
        key: &str,
        hint: &str,
    ) -> Option<String> {
        self.needed(section, key, hint, |reader| reader.text(section, key))
    }

    /// Something that must be there, read by `read`.
    pub(super) fn needed<T>(
        &mut self,
        section: &Section<'a>,
        key: &str,
        hint: &str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        if section.get(key).is_none() {
            self.lacks(section, key, hint);
            return None;
        }
        read(self)
    }

    /// A text with a rule of its own: a name, a span.
    pub(super) fn parsed<T>(&mut self, section: &Section<'a>, key: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let text = self.text(section, key)?;
        match text.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.say(&section.pointer(key), error.to_string());
                None
            }
        }
    }

    /// A number within a range, which `wanted` puts into words.
    pub(super) fn number(
        &mut self,
        section: &Section<'a>,
        key: &str,
        wanted: &str,
        fits: impl FnOnce(f64) -> bool,
    ) -> Option<f64> {
        let value = section.get(key)?;
        let number = value.as_f64().filter(|number| fits(*number));
        if number.is_none() {
            self.say(
                &section.pointer(key),
                format!("`{key}` is {}: it must be {wanted}", brief(value)),
            );
        }
        number
    }

    /// One word of a closed list.
    pub(super) fn word<T: Copy>(
        &mut self,
        section: &Section<'a>,
        key: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(section, key)?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*meaning);
        }
        let all = words.iter().map(|(word, _)| *word);
        // Why not for one or two characters: every other operator is near to a mistyped one.
        let meant = nearest(&text, all.clone()).filter(|_| text.len() > 2);
        let detail = match meant {
            Some(meant) => format!("`{key}` is `{text}`: did you mean `{meant}`?"),
            None => {
                let all = all.collect::<Vec<_>>().join("`, `");
                format!("`{key}` is `{text}`: use one of `{all}`")
            }
        };
        self.say(&section.pointer(key), detail);
        None
    }

    /// The items of a list with their pointers; absent is empty.
    pub(super) fn items(&mut self, section: &Section<'a>, key: &str) -> Vec<(&'a Value, String)> {
        match section.get(key) {
            None => Vec::new(),
            Some(Value::Array(items)) => {
                let at = section.pointer(key);
                items.iter().enumerate().map(|(n, item)| (item, format!("{at}/{n}"))).collect()
            }
            Some(_) => {
                self.say(
                    &section.pointer(key),
                    format!("`{key}` must be a list, such as `[a, b]`"),
                );
                Vec::new()
            }
        }
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, section: &Section<'a>, key: &str) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        for (item, at) in self.items(section, key) {
            match item.as_str().filter(|text| !text.trim().is_empty()) {
                Some(text) => texts.push((text.to_owned(), at)),
                None => self
                    .say(&at, format!("`{key}` must be a list of texts; {} is none", brief(item))),
            }
        }
        texts
    }

    /// A list of names, none twice.
    pub(super) fn names(&mut self, section: &Section<'a>, key: &str) -> Vec<Name> {
        let (mut names, mut seen) = (Vec::new(), BTreeSet::new());
        for (text, at) in self.texts(section, key) {
            match text.parse::<Name>() {
                Ok(name) if !seen.insert(name.clone()) => {
                    self.say(&at, format!("`{name}` comes twice in `{key}`"));
                }
                Ok(name) => names.push(name),
                Err(error) => self.say(&at, error.to_string()),
            }
        }
        names
    }
}

impl<'a> Section<'a> {
    /// The value of a key; null counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn pointer(&self, key: &str) -> String {
        format!("{}/{}", self.at, escape(key))
    }
}

fn error(document: &Located, pointer: &str, end: End, detail: String) -> FieldError {
    let place = document.place(pointer, end);
    FieldError {
        pointer: pointer.to_owned(),
        detail,
        line: place.map(|(line, _)| line),
        column: place.map(|(_, column)| column),
    }
}

/// A value for a message: short, whatever it is.
fn brief(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
        other => {
            let text = other.to_string();
            let cut: String = text.chars().take(40).collect();
            if cut.len() < text.len() { format!("`{cut}…`") } else { format!("`{text}`") }
        }
    }
}
