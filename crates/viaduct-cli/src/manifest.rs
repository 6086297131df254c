//! A project file with the files it names: the contract is put in, histories are found.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Failure;
use crate::problem::Source;

/// A project file, ready to send.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// As the person wrote it, for error messages.
    pub source: Source,
    /// What is sent: same lines, with the contract in place.
    pub text: String,
    /// KPI histories that the file names.
    pub histories: Vec<History>,
    /// What the person should know.
    pub warnings: Vec<String>,
    /// The project's name, as far as it can be read.
    pub project: Option<String>,
}

/// The history of one KPI.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct History {
    /// The KPI's name.
    pub kpi: String,
    /// Where the CSV is.
    pub path: PathBuf,
}

/// Reads a project file (`-` is standard input).
pub(crate) fn read(path: &Path) -> Result<Manifest, Failure> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|e| Failure::Usage(format!("standard input cannot be read: {e}")))?;
        return prepare("<stdin>", text, Path::new(""));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::Usage(format!("`{}` cannot be read: {e}", path.display())))?;
    prepare(&path.display().to_string(), text, path.parent().unwrap_or(Path::new("")))
}

fn prepare(name: &str, text: String, folder: &Path) -> Result<Manifest, Failure> {
    let source = Source { name: name.to_owned(), text: text.clone() };
    // A text that is no YAML goes as it is: the server names line and column.
    let Ok(document) = serde_saphyr::from_str::<Value>(&text) else {
        return Ok(Manifest {
            source,
            text,
            histories: Vec::new(),
            warnings: Vec::new(),
            project: None,
        });
    };
    let sent = match document.pointer("/spec/contract/file").and_then(Value::as_str) {
        Some(file) => put_contract_in(name, &text, &document, &folder.join(file))?,
        None => text,
    };
    let (histories, warnings) = histories(&document, folder);
    let project = document.pointer("/metadata/name").and_then(Value::as_str).map(str::to_owned);
    Ok(Manifest { source, text: sent, histories, warnings, project })
}

fn histories(document: &Value, folder: &Path) -> (Vec<History>, Vec<String>) {
    let mut found = Vec::new();
    let mut warnings = Vec::new();
    for kpi in document.pointer("/spec/kpis").and_then(Value::as_array).into_iter().flatten() {
        let name = kpi.get("name").and_then(Value::as_str);
        let file = kpi.pointer("/baseline/file").and_then(Value::as_str);
        let (Some(name), Some(file)) = (name, file) else { continue };
        let path = folder.join(file);
        if path.is_file() {
            found.push(History { kpi: name.to_owned(), path });
        } else {
            warnings.push(format!(
                "history `{}` of KPI `{name}` does not exist yet; apply again when it does, or use `viaduct kpi history`",
                path.display()
            ));
        }
    }
    (found, warnings)
}

/// Replaces `contract: {file: …}` by the document itself, as JSON on one line (which is YAML),
/// and keeps the number of lines, so that the server's line numbers stay those of the file.
fn put_contract_in(
    name: &str,
    text: &str,
    document: &Value,
    path: &Path,
) -> Result<String, Failure> {
    let contract_text = std::fs::read_to_string(path).map_err(|e| {
        Failure::Usage(format!("{name}: the contract `{}` cannot be read: {e}", path.display()))
    })?;
    let contract: Value = serde_saphyr::from_str(&contract_text).map_err(|e| {
        Failure::Usage(format!("the contract `{}` is not YAML: {e}", path.display()))
    })?;
    let replaced = replace_block(text, &contract.to_string());
    let mut wanted = document.clone();
    if let Some(place) = wanted.pointer_mut("/spec/contract") {
        *place = contract;
    }
    // The replacement works on text; it counts only when the result means what was wanted.
    let fits = replaced.as_ref().is_some_and(|text| {
        serde_saphyr::from_str::<Value>(text).is_ok_and(|parsed| parsed == wanted)
    });
    match replaced {
        Some(text) if fits => Ok(text),
        _ => Ok(wanted.to_string()),
    }
}

/// The text with the block under `contract:` replaced by `json` on that line.
fn replace_block(text: &str, json: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let first = lines
        .iter()
        .position(|line| indent(line) > 0 && line.trim_start().starts_with("contract:"))?;
    let depth = indent(lines[first]);
    let mut end = first + 1;
    while end < lines.len() && (blank(lines[end]) || indent(lines[end]) > depth) {
        end += 1;
    }
    let mut out: Vec<String> = lines[..first].iter().map(|l| (*l).to_owned()).collect();
    out.push(format!("{}contract: {json}", " ".repeat(depth)));
    out.extend(std::iter::repeat_n(String::new(), end - first - 1));
    out.extend(lines[end..].iter().map(|l| (*l).to_owned()));
    Some(out.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_contract(manifest: &str) -> (tempfile::TempDir, Result<Manifest, Failure>) {
        let dir = tempfile::tempdir().unwrap();
        let contract = "apiVersion: v3.1.0\nname: \"a: b\"\nschema:\n  - name: x\n";
        std::fs::write(dir.path().join("c.odcs.yaml"), contract).unwrap();
        std::fs::write(dir.path().join("viaduct.yaml"), manifest).unwrap();
        let read = read(&dir.path().join("viaduct.yaml"));
        (dir, read)
    }

    #[test]
    fn the_contract_is_put_in_and_lines_stay() {
        for block in
            ["contract: {file: c.odcs.yaml}", "contract:\n    # ours\n    file: c.odcs.yaml"]
        {
            let text = format!("metadata: {{name: p}}\nspec:\n  {block}\n  rule: {{name: r}}\n");
            let (_dir, read) = with_contract(&text);
            let manifest = read.unwrap();
            let sent: Value = serde_saphyr::from_str(&manifest.text).unwrap();
            assert_eq!(sent.pointer("/spec/contract/name"), Some(&Value::from("a: b")));
            assert_eq!(sent.pointer("/spec/rule/name"), Some(&Value::from("r")));
            let line = |t: &str| t.lines().position(|l| l.contains("rule:"));
            assert_eq!(line(&manifest.text), line(&text));
            assert_eq!(manifest.source.text, text);
            assert_eq!(manifest.project.as_deref(), Some("p"));
        }
    }

    #[test]
    fn a_place_that_cannot_be_edited_as_text_is_sent_as_json() {
        let (_dir, read) = with_contract("spec: {contract: {file: c.odcs.yaml}, title: t}\n");
        let sent: Value = serde_json::from_str(&read.unwrap().text).unwrap();
        assert_eq!(sent.pointer("/spec/contract/schema/0/name"), Some(&Value::from("x")));
        assert_eq!(sent.pointer("/spec/title"), Some(&Value::from("t")));
    }

    #[test]
    fn a_missing_contract_is_named() {
        let (_dir, read) = with_contract("spec:\n  contract: {file: absent.yaml}\n");
        let error = read.unwrap_err().to_string();
        assert!(error.contains("absent.yaml` cannot be read"), "{error}");
    }

    #[test]
    fn histories_that_exist_are_found_and_others_warned_about() {
        let text = "spec:\n  kpis:\n    - {name: a, baseline: {file: c.odcs.yaml}}\n    - {name: b, baseline: {file: data/none.csv}}\n    - {name: c}\n";
        let (_dir, read) = with_contract(text);
        let manifest = read.unwrap();
        assert_eq!(manifest.histories.len(), 1);
        assert_eq!(manifest.histories[0].kpi, "a");
        assert!(manifest.warnings[0].contains("KPI `b` does not exist yet"));
    }

    #[test]
    fn a_text_that_is_no_yaml_goes_as_it_is() {
        let (_dir, read) = with_contract("spec: [\n");
        assert_eq!(read.unwrap().text, "spec: [\n");
    }
}
