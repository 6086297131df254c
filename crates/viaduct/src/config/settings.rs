//! Raw settings: one value and one origin a key, before anything is checked.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use viaduct_base::nearest;

use super::keys::{self, KEYS, Key};
use super::{ConfigError, file};

/// What was said for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// A text, number or boolean, as written.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

impl Value {
    /// The one text; a list is joined with commas.
    pub(crate) fn text(&self) -> String {
        match self {
            Value::Text(text) => text.clone(),
            Value::List(items) => items.join(","),
        }
    }

    /// The items; a text is split at commas.
    pub(crate) fn items(&self) -> Vec<String> {
        let split = |text: &str| {
            text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
        };
        match self {
            Value::Text(text) => split(text),
            Value::List(items) => items.clone(),
        }
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody said anything.
    BuiltIn,
    /// A line of a file.
    File {
        /// The file as it was found.
        path: PathBuf,
        /// 1-based.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// A flag of the command.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::BuiltIn => f.write_str("built in"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Variable(name) => write!(f, "environment {name}"),
            Origin::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A value with its origin.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    /// What was said.
    pub value: Value,
    /// By whom.
    pub origin: Origin,
}

/// What the command line and the environment say.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    /// `--config`.
    pub config_file: Option<PathBuf>,
    /// Flags: key path, flag name, value.
    pub flags: Vec<(&'static str, &'static str, String)>,
    /// The environment, or the part of it that starts with `VIADUCT__`.
    pub environment: Vec<(String, String)>,
    /// Where relative paths of flags and variables start.
    pub directory: PathBuf,
}

/// Every key with its value.
#[derive(Debug)]
pub(crate) struct Settings {
    values: BTreeMap<&'static str, Setting>,
    /// Where relative paths of flags and variables start.
    pub(crate) directory: PathBuf,
}

impl Settings {
    /// Collects the layers.
    ///
    /// # Errors
    /// A file that cannot be read, a text that is no TOML, and keys that do not exist.
    pub(crate) fn load(inputs: &Inputs) -> Result<Self, ConfigError> {
        let mut values: BTreeMap<&'static str, Setting> = KEYS
            .iter()
            .map(|key| (key.path, Setting { value: key.default_value(), origin: Origin::BuiltIn }))
            .collect();
        let above = said_above(inputs)?;
        for (key, setting) in file_layer(inputs, &above)? {
            values.insert(key, setting);
        }
        for (key, setting) in above {
            values.insert(key, setting);
        }
        Ok(Self { values, directory: inputs.directory.clone() })
    }

    /// The setting of a key of the list.
    pub(crate) fn get(&self, key: &'static Key) -> Setting {
        self.values
            .get(key.path)
            .cloned()
            .unwrap_or_else(|| Setting { value: key.default_value(), origin: Origin::BuiltIn })
    }

    /// Where relative paths said by `origin` start: a file's own folder, or the working directory.
    pub(crate) fn base_of(&self, origin: &Origin) -> PathBuf {
        match origin {
            Origin::File { path, .. } => {
                let folder = path.parent().unwrap_or(Path::new(""));
                self.directory.join(folder)
            }
            Origin::BuiltIn | Origin::Variable(_) | Origin::Flag(_) => self.directory.clone(),
        }
    }
}

/// The environment and above it the flags.
fn said_above(inputs: &Inputs) -> Result<BTreeMap<&'static str, Setting>, ConfigError> {
    let mut above = BTreeMap::new();
    for (name, value) in &inputs.environment {
        let Some(rest) = name.strip_prefix("VIADUCT__") else { continue };
        let origin = Origin::Variable(name.clone());
        let key = KEYS.iter().find(|key| key.variable() == *name).ok_or_else(|| {
            let names: Vec<String> = KEYS.iter().map(Key::variable).collect();
            unknown(&origin, "variable", name, rest, names.iter().map(String::as_str))
        })?;
        above.insert(key.path, Setting { value: Value::Text(value.clone()), origin });
    }
    for (path, flag, value) in &inputs.flags {
        if let Some(key) = keys::find(path) {
            let setting = Setting { value: Value::Text(value.clone()), origin: Origin::Flag(flag) };
            above.insert(key.path, setting);
        }
    }
    Ok(above)
}

fn file_layer(
    inputs: &Inputs,
    above: &BTreeMap<&'static str, Setting>,
) -> Result<Vec<(&'static str, Setting)>, ConfigError> {
    if let Some(named) = &inputs.config_file {
        return file::read(&inputs.directory, named);
    }
    let data_dir = above.get("server.data_dir").map(|s| s.value.text());
    let default_dir = keys::find("server.data_dir").map_or("", |key| key.default);
    let in_data_dir = Path::new(data_dir.as_deref().unwrap_or(default_dir)).join("viaduct.toml");
    for candidate in [PathBuf::from("viaduct.toml"), in_data_dir] {
        if inputs.directory.join(&candidate).is_file() {
            return file::read(&inputs.directory, &candidate);
        }
    }
    Ok(Vec::new())
}

/// The refusal of a word that is not in the list, with the nearest that is.
pub(super) fn unknown<'a>(
    origin: &Origin,
    what: &'static str,
    shown: &str,
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> ConfigError {
    let known: Vec<&str> = known.into_iter().collect();
    let near =
        nearest(shown, known.iter().copied()).or_else(|| nearest(word, known.iter().copied()));
    let hint = match near {
        Some(near) => format!(": did you mean `{near}`?"),
        None => format!(": known are {}", known.join(", ")),
    };
    ConfigError::Unknown { place: origin.to_string(), what, key: shown.to_owned(), hint }
}
