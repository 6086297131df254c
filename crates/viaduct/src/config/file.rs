//! Reads `viaduct.toml` into settings, keeping the line of each value.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ConfigError;
use super::keys::{self, KEYS, Key};
use super::settings::{Origin, Setting, Value, unknown};

/// The settings that the file says.
pub(super) fn read(
    directory: &Path,
    path: &Path,
) -> Result<Vec<(&'static str, Setting)>, ConfigError> {
    let text = std::fs::read_to_string(directory.join(path))
        .map_err(|source| ConfigError::Unreadable { path: path.display().to_string(), source })?;
    parse(path, &text)
}

pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<(&'static str, Setting)>, ConfigError> {
    let table = DeTable::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let (line, column) = place(text, start);
        let message = error.message().to_owned();
        ConfigError::NotToml { path: path.display().to_string(), line, column, message }
    })?;
    let mut found = Vec::new();
    for (section, inner) in table.get_ref() {
        let origin = origin_at(path, text, section);
        let name: &str = section.get_ref();
        if !keys::sections().contains(&name) {
            return Err(unknown_section(&origin, name));
        }
        let Some(inner) = inner.get_ref().as_table() else {
            return Err(ConfigError::Shape {
                place: origin.to_string(),
                key: name.to_owned(),
                wanted: "a section, as in `[server]`",
            });
        };
        for (word, value) in inner {
            let origin = origin_at(path, text, word);
            let path_of_key = format!("{name}.{}", word.get_ref());
            let key = keys::find(&path_of_key)
                .ok_or_else(|| unknown_key(&origin, name, &path_of_key, word.get_ref()))?;
            let value = value_of(value, &origin, key)?;
            found.push((key.path, Setting { value, origin }));
        }
    }
    Ok(found)
}

fn unknown_section(origin: &Origin, name: &str) -> ConfigError {
    // Why keys too: `listen = …` outside a section is the usual slip.
    if let Some(key) = KEYS.iter().find(|key| key.name() == name) {
        return ConfigError::Unknown {
            place: origin.to_string(),
            what: "section",
            key: name.to_owned(),
            hint: format!(": write `{name}` under `[{}]`", key.section()),
        };
    }
    unknown(origin, "section", name, name, keys::sections())
}

fn unknown_key(origin: &Origin, section: &str, path: &str, word: &str) -> ConfigError {
    let all = KEYS.iter().map(|key| key.path);
    let same: Vec<&str> =
        KEYS.iter().filter(|key| key.section() == section).map(Key::name).collect();
    if let Some(near) = viaduct_base::nearest(word, same.iter().copied()) {
        return ConfigError::Unknown {
            place: origin.to_string(),
            what: "key",
            key: path.to_owned(),
            hint: format!(": did you mean `{section}.{near}`?"),
        };
    }
    unknown(origin, "key", path, path, all)
}

fn value_of(
    value: &Spanned<DeValue<'_>>,
    origin: &Origin,
    key: &Key,
) -> Result<Value, ConfigError> {
    let shape = || ConfigError::Shape {
        place: origin.to_string(),
        key: key.path.to_owned(),
        wanted: "a text, a number or a list of texts",
    };
    if let Some(array) = value.get_ref().as_array() {
        let items: Option<Vec<String>> =
            array.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect();
        return items.map(Value::List).ok_or_else(shape);
    }
    scalar(value.get_ref()).map(Value::Text).ok_or_else(shape)
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    value
        .as_str()
        .map(str::to_owned)
        .or_else(|| value.as_integer().map(|number| number.as_str().to_owned()))
        .or_else(|| value.as_float().map(|number| number.as_str().to_owned()))
        .or_else(|| value.as_bool().map(|flag| flag.to_string()))
        .or_else(|| value.as_datetime().map(|time| time.to_string()))
}

fn origin_at<T>(path: &Path, text: &str, word: &Spanned<T>) -> Origin {
    let (line, _) = place(text, word.span().start);
    Origin::File { path: path.to_path_buf(), line }
}

/// 1-based line and column of a byte offset.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}
