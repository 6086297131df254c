//! What changed between two project files.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ProjectSpec;

/// One changed place. `before` or `after` is null when the place is new or gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The place: `kpis[margin-per-lead].maturity`.
    pub path: String,
    /// What stood there.
    pub before: Value,
    /// What stands there now.
    pub after: Value,
}

/// The changed places in order of path. Lists of named things are compared by name, so moving an
/// item is no change; other lists are compared whole.
pub fn diff(old: &ProjectSpec, new: &ProjectSpec) -> Vec<Change> {
    let value = |spec| serde_json::to_value(spec).unwrap_or_default();
    let mut changes = Vec::new();
    compare("", &value(old), &value(new), &mut changes);
    changes
}

/// A new project's sections as changes from nothing.
pub fn created(spec: &ProjectSpec) -> Vec<Change> {
    let mut changes = Vec::new();
    let nothing = Value::Object(Map::new());
    compare("", &nothing, &serde_json::to_value(spec).unwrap_or_default(), &mut changes);
    changes
}

/// The changed places between any two things that become JSON.
pub fn diff_of<T: Serialize>(old: Option<&T>, new: &T) -> Vec<Change> {
    let before = match old {
        Some(old) => serde_json::to_value(old).unwrap_or_default(),
        None => Value::Object(Map::new()),
    };
    let mut changes = Vec::new();
    compare("", &before, &serde_json::to_value(new).unwrap_or_default(), &mut changes);
    changes
}

fn compare(path: &str, before: &Value, after: &Value, changes: &mut Vec<Change>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for key in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let side = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                compare(&path, &side(old), &side(new), changes);
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            let (Some(old), Some(new)) = (by_name(old), by_name(new)) else {
                changes.push(change(path, before, after));
                return;
            };
            let names: BTreeSet<&str> = old.iter().chain(&new).map(|(name, _)| *name).collect();
            for name in names {
                let side = |list: &[(&str, &Value)]| {
                    list.iter().find(|(n, _)| *n == name).map_or(Value::Null, |(_, v)| (*v).clone())
                };
                compare(&format!("{path}[{name}]"), &side(&old), &side(&new), changes);
            }
        }
        _ => changes.push(change(path, before, after)),
    }
}

fn change(path: &str, before: &Value, after: &Value) -> Change {
    Change { path: path.to_owned(), before: before.clone(), after: after.clone() }
}

/// The items of a list with their names; `None` when one has none, or two share one.
fn by_name(items: &[Value]) -> Option<Vec<(&str, &Value)>> {
    let name = |item| ["name", "property", "kpi"].iter().find_map(|key| Value::get(item, *key));
    let named: Vec<(&str, &Value)> =
        items.iter().map(|item| Some((name(item)?.as_str()?, item))).collect::<Option<_>>()?;
    let names: BTreeSet<&str> = named.iter().map(|(name, _)| *name).collect();
    (names.len() == named.len()).then_some(named)
}
