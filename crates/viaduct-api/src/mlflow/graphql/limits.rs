//! How much one document may ask for: MLflow's own bounds, so that a hundred aliases of the
//! dearest field (CVE-2025-0453) are refused before anything is looked up.

use std::collections::{BTreeSet, VecDeque};

use graphql_parser::query::{Field, Selection, SelectionSet};

use super::Document;

const DEPTH_MAX: usize = 10;
const SELECTIONS_MAX: usize = 1000;
const ROOTS_MAX: usize = 10;
const ALIASES_MAX: usize = 10;

/// Fields on one level, through fragments, and how many of them have an alias.
fn level<'a>(
    document: &Document<'a>,
    set: &'a SelectionSet<'a, String>,
) -> Vec<&'a Field<'a, String>> {
    let mut fields = Vec::new();
    let mut spread = BTreeSet::new();
    let mut open: VecDeque<&SelectionSet<'a, String>> = VecDeque::from([set]);
    while let Some(set) = open.pop_front() {
        for selection in &set.items {
            match selection {
                Selection::Field(field) => fields.push(field),
                Selection::InlineFragment(inline) => open.push_back(&inline.selection_set),
                Selection::FragmentSpread(named) => {
                    if spread.insert(named.fragment_name.as_str())
                        && let Some(fragment) = document.fragments.get(named.fragment_name.as_str())
                    {
                        open.push_back(&fragment.selection_set);
                    }
                }
            }
        }
    }
    fields
}

/// Holds the whole document against the bounds, without recursion.
///
/// # Errors
/// What is too much, in MLflow's words.
pub(super) fn check(document: &Document<'_>) -> Result<(), String> {
    let (mut roots, mut aliases, mut selections) = (0, 0, 0);
    for operation in &document.operations {
        let mut open = vec![(operation.set, 1)];
        while let Some((set, depth)) = open.pop() {
            if depth > DEPTH_MAX {
                return Err(format!("Query exceeds maximum depth of {DEPTH_MAX}"));
            }
            let fields = level(document, set);
            aliases = aliases.max(fields.iter().filter(|field| field.alias.is_some()).count());
            for field in fields {
                roots += usize::from(depth == 1);
                selections += 1;
                if selections > SELECTIONS_MAX {
                    let said = "Query exceeds maximum total selections of";
                    return Err(format!("{said} {SELECTIONS_MAX}"));
                }
                if !field.selection_set.items.is_empty() {
                    open.push((&field.selection_set, depth + 1));
                }
            }
        }
    }
    for (what, most, got) in [("root fields", ROOTS_MAX, roots), ("aliases", ALIASES_MAX, aliases)]
    {
        if got > most {
            return Err(format!(
                "GraphQL queries should have at most {most} {what}, got {got} {what}."
            ));
        }
    }
    Ok(())
}
