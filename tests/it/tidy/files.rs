//! Sizes, names and words of source files.

use std::fs;
use std::path::{Path, PathBuf};

use super::root;

/// A longer file holds two subjects.
const LINES_MAX: usize = 700;
const NAMES_REFUSED: [&str; 4] = ["utils", "helpers", "common", "misc"];

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in ["crates", "tests/it", "xtask"] {
        collect(&root().join(folder), &mut found);
    }
    assert!(found.len() > 20, "where are the sources?");
    found
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path.strip_prefix(root()).unwrap().to_path_buf(), text));
        }
    }
}

#[test]
fn files_are_short() {
    let long: Vec<String> = sources()
        .iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(path, lines)| format!("{} has {lines}", path.display()))
        .collect();
    assert!(long.is_empty(), "over {LINES_MAX} lines: {long:?}");
}

#[test]
fn files_are_named_by_what_they_do() {
    for (path, _) in sources() {
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or("").to_owned();
        assert!(!NAMES_REFUSED.contains(&stem.as_str()), "{}: say what it does", path.display());
    }
}

#[test]
fn open_work_is_in_the_tracker() {
    // Why in two parts: this file must not refuse itself.
    let marks = [["TO", "DO"].concat(), ["FIX", "ME"].concat()];
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            let found = line.contains("//") && marks.iter().any(|mark| line.contains(mark));
            assert!(!found, "{}:{}: {line}", path.display(), number + 1);
        }
    }
}

#[test]
fn suppressions_say_why() {
    for (path, text) in sources() {
        for word in ["allow", "expect"] {
            let mark = format!("#[{word}(");
            for (at, _) in text.match_indices(&mark) {
                let whole = text[at..].split(")]").next().unwrap_or("");
                assert!(whole.contains("reason"), "{}: {whole}: give a reason", path.display());
            }
        }
    }
}
