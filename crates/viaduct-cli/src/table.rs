//! Aligned columns and `name: value` lines out of the server's JSON.

use serde_json::{Map, Value};

use crate::printer::Paint;

/// Longer cells are cut; `-o json` shows all.
const CELL_CHARS_MAX: usize = 60;
/// Longer texts, such as a whole project file, are only counted.
const LINES_MAX: usize = 6;

/// The rows of a list answer: an array, or an object that holds one.
pub(crate) fn rows(answer: &Value) -> Vec<&Value> {
    match answer {
        Value::Array(items) => items.iter().collect(),
        Value::Object(map) => {
            map.values().find_map(Value::as_array).map(|a| a.iter().collect()).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// A table of a list answer. `columns` are the wished ones; those that no row has are left out,
/// and when none is there, every plain column is shown.
pub(crate) fn list(answer: &Value, columns: &[&str], empty: &str, paint: Paint) -> String {
    let rows = rows(answer);
    if rows.is_empty() {
        return empty.to_owned();
    }
    let has = |name: &str| rows.iter().any(|row| at(row, name).is_some());
    let mut names: Vec<String> =
        columns.iter().filter(|name| has(name)).map(|name| (*name).to_owned()).collect();
    if names.is_empty() {
        names = plain_names(&rows);
    }
    let mut lines = vec![names.iter().map(|n| last_part(n).to_uppercase()).collect::<Vec<_>>()];
    for row in &rows {
        lines.push(names.iter().map(|name| at(row, name).map_or("-".into(), cell)).collect());
    }
    align(&lines, paint)
}

fn plain_names(rows: &[&Value]) -> Vec<String> {
    let mut names = Vec::new();
    for row in rows {
        for (name, value) in row.as_object().into_iter().flatten() {
            let plain = !value.is_object() && !value.is_array();
            if plain && !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    names
}

fn last_part(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).replace('_', " ")
}

/// The value at a dotted path.
pub(crate) fn at<'a>(row: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(row, |value, part| value.get(part)).filter(|v| !v.is_null())
}

/// One value on one line.
pub(crate) fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => plain_number(number),
        Value::String(text) => text.replace('\n', " "),
        Value::Array(items) if items.iter().all(|i| !i.is_object() && !i.is_array()) => {
            items.iter().map(cell).collect::<Vec<_>>().join(", ")
        }
        Value::Object(map) => short_object(map).unwrap_or_else(|| value.to_string()),
        other => other.to_string(),
    };
    if text.chars().count() > CELL_CHARS_MAX {
        let short: String = text.chars().take(CELL_CHARS_MAX - 1).collect();
        format!("{short}…")
    } else {
        text
    }
}

/// At most six digits after the point, and none where there are none.
fn plain_number(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(real) if real != 0.0 && real.abs() < 1e-5 => format!("{real:.3e}"),
        Some(real) if number.is_f64() => {
            let text = format!("{real:.6}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => number.to_string(),
    }
}

/// A fact's value, or a variant that is told by its kind.
fn short_object(map: &Map<String, Value>) -> Option<String> {
    let part = |name: &str| map.get(name).map(cell);
    match map.get("shape").and_then(Value::as_str) {
        Some("interval") => {
            Some(format!("{} [{}, {}]", part("estimate")?, part("lower")?, part("upper")?))
        }
        Some(_) => part("value"),
        None => part("kind").filter(|_| map.values().all(|v| !v.is_object() && !v.is_array())),
    }
}

/// Pads the columns; the first line is the head.
pub(crate) fn align(lines: &[Vec<String>], paint: Paint) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|i| {
            lines.iter().filter_map(|l| l.get(i)).map(|c| c.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for (number, line) in lines.iter().enumerate() {
        let padded: Vec<String> =
            line.iter().zip(&widths).map(|(text, width)| format!("{text:width$}")).collect();
        let text = padded.join("  ");
        let text = text.trim_end();
        out.push_str(&if number == 0 { paint.bold(text) } else { text.to_owned() });
        out.push('\n');
    }
    out
}

/// An object as indented `name: value` lines; lists of objects become numbered blocks.
pub(crate) fn describe(value: &Value, paint: Paint) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) => describe_map(map, 0, paint, &mut out),
        other => out.push_str(&cell(other)),
    }
    out
}

fn describe_map(map: &Map<String, Value>, depth: usize, paint: Paint, out: &mut String) {
    let indent = "  ".repeat(depth);
    for (name, value) in map {
        let name = paint.bold(&name.replace('_', " "));
        match value {
            Value::Null => {}
            Value::Object(inner) if inner.is_empty() => {}
            Value::Object(inner) if short_object(inner).is_some() => {
                out.push_str(&format!("{indent}{name}: {}\n", cell(value)));
            }
            Value::Object(inner) => {
                out.push_str(&format!("{indent}{name}:\n"));
                describe_map(inner, depth + 1, paint, out);
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                out.push_str(&format!("{indent}{name}:\n"));
                for item in items {
                    describe_item(item, depth + 1, paint, out);
                }
            }
            Value::Array(items) if items.is_empty() => {}
            Value::String(text) if text.lines().count() > LINES_MAX => {
                let lines = text.lines().count();
                out.push_str(&format!("{indent}{name}: {lines} lines, shown by -o json\n"));
            }
            Value::String(text) => out.push_str(&format!("{indent}{name}: {text}\n")),
            other => out.push_str(&format!("{indent}{name}: {}\n", cell(other))),
        }
    }
}

fn describe_item(item: &Value, depth: usize, paint: Paint, out: &mut String) {
    let indent = "  ".repeat(depth);
    let Some(map) = item.as_object() else {
        out.push_str(&format!("{indent}- {}\n", cell(item)));
        return;
    };
    let mut inner = String::new();
    describe_map(map, depth + 1, paint, &mut inner);
    // The first line's indent makes room for the dash.
    let rest = inner.get((depth + 1) * 2..).unwrap_or("");
    out.push_str(&format!("{indent}- {rest}"));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_aligned_and_absent_ones_left_out() {
        let answer = json!({"projects": [
            {"name": "a", "stage": "concept", "tier": null},
            {"name": "longer", "stage": "pilot"}]});
        let text = list(&answer, &["name", "stage", "tier"], "none", Paint::Plain);
        assert_eq!(text, "NAME    STAGE\na       concept\nlonger  pilot\n");
    }

    #[test]
    fn unknown_shapes_show_their_plain_columns() {
        let text = list(&json!([{"x": 1, "y": {"z": 2}}]), &["name"], "none", Paint::Plain);
        assert_eq!(text, "X\n1\n");
        assert_eq!(list(&json!([]), &["name"], "none yet", Paint::Plain), "none yet");
    }

    #[test]
    fn long_cells_are_cut_between_characters() {
        let text = cell(&json!("é".repeat(100)));
        assert_eq!(text.chars().count(), CELL_CHARS_MAX);
        assert!(text.ends_with('…'));
    }

    #[test]
    fn values_read_as_a_person_would_write_them() {
        let cases = [
            (json!(1.0), "1"),
            (json!(0.123_456_789), "0.123457"),
            (json!(7), "7"),
            (json!(true), "yes"),
            (json!({"shape": "flag", "value": false}), "no"),
            (json!({"shape": "scalar", "value": 0.25}), "0.25"),
            (
                json!({"shape": "interval", "estimate": 1.5, "lower": 1, "upper": 2, "level": 0.95}),
                "1.5 [1, 2]",
            ),
            (json!({"kind": "shadow"}), "shadow"),
            (json!({"a": 1}), "{\"a\":1}"),
        ];
        for (value, wanted) in cases {
            assert_eq!(cell(&value), wanted);
        }
    }

    #[test]
    fn describe_nests() {
        let value = json!({"name": "a", "charter": {"owner": "bea"}, "kpis": [{"name": "k"}]});
        let text = describe(&value, Paint::Plain);
        assert_eq!(text, "charter:\n  owner: bea\nkpis:\n  - name: k\nname: a\n");
    }
}
