//! Many rows by one statement, and the parts of many things by one.

use std::collections::HashMap;

use super::Pair;
use crate::{Cells, Dialect, Question, Scope, StoreError, Tx, Value};

/// Rows of one insert: few texts, so that each is prepared once.
const ROWS: [usize; 3] = [64, 8, 1];
/// In SQLite nothing travels, and a statement of several rows has to keep what each page was, in
/// case that a later row fails: more work than the statements it saves.
const ROWS_SQLITE: [usize; 1] = [1];
/// Things asked for in one statement: both engines take more placeholders, none gains by it.
pub(super) const OWNERS: usize = 500;

/// Puts `items` in a few statements: `text` says how one of so many rows reads, `put` runs it.
pub(super) fn put<T>(
    tx: &mut Tx,
    items: &[T],
    text: impl Fn(usize) -> String,
    mut put: impl FnMut(&mut Tx, &str, &[T]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let lengths: &[usize] = match tx.dialect() {
        Dialect::Sqlite => &ROWS_SQLITE,
        Dialect::Postgres => &ROWS,
    };
    let (mut rows, mut sql) = (0, String::new());
    for piece in pieces(items, lengths) {
        if piece.len() != rows {
            (rows, sql) = (piece.len(), text(piece.len()));
        }
        put(tx, &sql, piece)?;
    }
    Ok(())
}

/// Cuts `items` into pieces of these lengths, the longest first.
fn pieces<'a, T>(mut items: &'a [T], lengths: &'a [usize]) -> impl Iterator<Item = &'a [T]> {
    std::iter::from_fn(move || {
        let length = lengths.iter().copied().find(|length| *length <= items.len())?;
        let (piece, rest) = items.split_at(length);
        items = rest;
        Some(piece)
    })
}

/// `($1, $2, $3), ($1, $2, $4)`: places of `rows` rows of `columns` each, the first two shared.
pub(super) fn places(rows: usize, columns: usize) -> String {
    let own = columns - 2;
    let row = |row: usize| {
        let own: Vec<String> = (0..own).map(|i| format!("${}", 3 + row * own + i)).collect();
        format!("($1, $2, {})", own.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// Keys and texts of many owners, in the order of `owners`. `table` and `owner` are names of the
/// schema, `only` a condition beside them.
pub(super) fn pairs(
    tx: &mut Tx,
    scope: &Scope,
    (table, owner, only): (&'static str, &'static str, &'static str),
    owners: &[String],
) -> Result<Vec<Vec<Pair>>, StoreError> {
    let mut all = vec![Vec::new(); owners.len()];
    let what = format!("{owner}, key, value FROM {table}");
    rows(tx, scope, (&what, owner, only, "key"), owners, |at, cells| {
        let pair = Pair { key: text(cells, 1)?, value: text(cells, 2)? };
        if let Some(pairs) = all.get_mut(at) {
            Vec::push(pairs, pair);
        }
        Ok(())
    })?;
    Ok(all)
}

/// Rows of many owners with the place of the owner in `owners`. The first column of `what` is the
/// owner.
pub(super) fn rows(
    tx: &mut Tx,
    scope: &Scope,
    what: (&str, &str, &str, &str),
    owners: &[String],
    mut add: impl FnMut(usize, &dyn Cells) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let places = places_of(owners);
    tx.visit_all(&asking(scope, what, owners), |_, cells| {
        let id = cells.text(0)?.unwrap_or_default();
        places.get(id).map_or(Ok(()), |at| add(*at, cells))
    })
}

/// Where each owner stands.
pub(super) fn places_of(owners: &[String]) -> HashMap<&str, usize> {
    owners.iter().enumerate().map(|(at, id)| (id.as_str(), at)).collect()
}

/// What is asked for the rows of many owners.
pub(super) fn asking(
    scope: &Scope,
    (what, owner, only, order): (&str, &str, &str, &str),
    owners: &[String],
) -> Vec<Question> {
    let of_chunk = |ids: &[String]| {
        let mut values = vec![scope.bind()];
        values.extend(ids.iter().map(Value::from));
        let names: Vec<String> = (2..=values.len()).map(|n| format!("${n}")).collect();
        let sql = format!(
            "SELECT {what} WHERE workspace_id = $1 AND {owner} IN ({}){only} \
             ORDER BY {owner}, {order}",
            names.join(", ")
        );
        Question::compiled(sql, values)
    };
    owners.chunks(OWNERS).map(of_chunk).collect()
}

pub(super) fn text(cells: &dyn Cells, at: usize) -> Result<String, StoreError> {
    cells.text(at).map(|text| text.unwrap_or_default().to_owned())
}

pub(super) fn opt_text(cells: &dyn Cells, at: usize) -> Result<Option<String>, StoreError> {
    cells.text(at).map(|text| text.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_texts_for_any_number() {
        let items: Vec<usize> = (0..140).collect();
        let lengths: Vec<usize> = pieces(&items, &ROWS).map(<[usize]>::len).collect();
        assert_eq!(lengths, [64, 64, 8, 1, 1, 1, 1]);
        assert_eq!(pieces(&items, &ROWS).flatten().copied().collect::<Vec<_>>(), items);
        assert_eq!(places(2, 4), "($1, $2, $3, $4), ($1, $2, $5, $6)");
    }
}
