//! What of the inputs the decision log keeps.

use std::sync::Arc;

use viaduct_base::Digest;
use viaduct_domain::columns::{Cells, Column, Columns};

use crate::snapshot::{EndpointSnapshot, InputRetention};

/// Parts of an ODCS classification that mean: about a person.
const PERSONAL: [&str; 5] = ["personal", "pii", "phi", "sensitive", "special category"];

/// The columns as they are logged: the contract's fields, personal ones as keyed hashes; without a
/// contract all but those with a place of their own. Columns without a value are left out.
///
/// Why only the contract's fields: others may be anybody's secret.
pub(crate) fn logged(
    spec: &EndpointSnapshot,
    salt: &str,
    columns: Columns,
    hidden: [Option<&str>; 2],
) -> Columns {
    let rows = columns.rows;
    if spec.retention == InputRetention::None {
        return Columns { rows, columns: Vec::new() };
    }
    let contract = spec.contract.as_ref();
    let kept = columns.columns.into_iter().filter_map(|(name, column)| {
        let is_hidden = contract.is_none() && hidden.contains(&Some(&*name));
        let is_empty = column.nulls.as_ref().is_some_and(|nulls| !nulls.contains(&false));
        if is_hidden || is_empty {
            return None;
        }
        let field = contract.and_then(|contract| contract.field(&name));
        let is_personal = field.is_some_and(|field| is_personal(field.classification.as_deref()));
        let column = match spec.retention == InputRetention::Hashed || is_personal {
            true => hashed(salt, &name, &column, rows),
            false => column,
        };
        Some((name, column))
    });
    Columns { rows, columns: kept.collect() }
}

/// Whether a classification says that the field is about a person.
pub(crate) fn is_personal(classification: Option<&str>) -> bool {
    let word = classification.unwrap_or_default().to_lowercase();
    PERSONAL.iter().any(|part| word.contains(part))
}

/// Why with the field's name: the same value in two fields must not look the same.
fn hashed(salt: &str, name: &Arc<str>, column: &Column, rows: usize) -> Column {
    let cells = (0..rows)
        .map(|row| {
            let value = column.json(row);
            let digest = Digest::of(format!("{salt}\u{1f}{name}\u{1f}{value}").as_bytes());
            format!("#{}", &digest.as_str()[..32])
        })
        .collect();
    Column { cells: Cells::Text(cells), nulls: column.nulls.clone() }
}

/// The workspace's hash of an entity: without the salt nobody can try names out.
pub(crate) fn hash_entity(salt: &str, entity: &str) -> String {
    Digest::of(format!("{salt}\u{1f}{entity}").as_bytes()).as_str()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classifications() {
        for word in ["PII", "personal", "Personal-Data", "sensitive", "phi"] {
            assert!(is_personal(Some(word)), "{word}");
        }
        for word in ["confidential", "internal", "public", "restricted"] {
            assert!(!is_personal(Some(word)), "{word}");
        }
        assert!(!is_personal(None));
    }
}
