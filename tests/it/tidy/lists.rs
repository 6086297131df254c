//! Lists in the documentation equal what the code says.

use std::collections::BTreeSet;
use std::fs;

use viaduct_base::Kind;

use super::root;

#[test]
fn every_problem_has_a_page_and_every_page_a_problem() {
    let folder = root().join("docs/problems");
    let pages: BTreeSet<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
        .collect();
    let kinds: BTreeSet<String> = Kind::ALL.iter().map(|kind| kind.slug().to_owned()).collect();
    let missing: Vec<_> = kinds.difference(&pages).collect();
    let gone: Vec<_> = pages.difference(&kinds).collect();
    assert!(missing.is_empty() && gone.is_empty(), "missing {missing:?}, gone {gone:?}");
    for kind in Kind::ALL {
        let text = fs::read_to_string(folder.join(format!("{}.md", kind.slug()))).unwrap();
        let head = format!("# {}\n\n`{}` · HTTP {}\n", kind.title(), kind.slug(), kind.status());
        assert!(
            text.starts_with(&head),
            "docs/problems/{}.md must start with\n{head}",
            kind.slug()
        );
        for part in ["## Likely causes", "## What to do"] {
            assert!(text.contains(part), "docs/problems/{}.md lacks `{part}`", kind.slug());
        }
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut pages = vec![];
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"] {
        pages.push(root().join(name));
    }
    for folder in ["docs/guides", "docs/operations", "docs/problems"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            pages.push(entry.unwrap().path());
        }
    }
    for page in pages.iter().filter(|page| page.extension().is_some_and(|e| e == "md")) {
        let text = fs::read_to_string(page).unwrap();
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split(')').next().unwrap_or("");
            let target = target.split('#').next().unwrap_or("");
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let place = page.parent().unwrap().join(target);
            assert!(place.exists(), "{}: `{target}` leads nowhere", page.display());
        }
    }
}
