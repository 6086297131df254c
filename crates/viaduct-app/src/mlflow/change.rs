//! Who changed what: one row a call, written in its transaction, and read back.

use serde_json::{Value, json};
use viaduct_base::{Error, Timestamp};
use viaduct_domain::permission::{Caller, Operation, Who};
use viaduct_store::mlflow::Pair;
use viaduct_store::mlflow::change::{self, ChangeRow};
use viaduct_store::{Scope, StoreError, Tx};

use super::{invalid, page::Page};
use crate::App;

/// Changes on a page, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1000;
/// Longest text that a change repeats: a whole description says no more than its beginning.
const SHOWN_MAX: usize = 1000;
/// What a subject can be.
const SUBJECTS: [&str; 4] = ["run", "experiment", "logged_model", "model"];

/// A change that a verb makes.
pub(super) struct Note<'a> {
    /// The kind of thing.
    pub(super) kind: &'static str,
    /// Its id or name.
    pub(super) id: &'a str,
    /// What was done: `tags.set`.
    pub(super) verb: &'static str,
    /// What it was before and what it is after.
    pub(super) change: Value,
}

/// Writes a change down.
pub(super) fn note(
    tx: &mut Tx,
    scope: &Scope,
    (caller, now): (&Caller, Timestamp),
    note: &Note<'_>,
) -> Result<(), StoreError> {
    let actor_kind = match &caller.who {
        Who::Anonymous => "anonymous",
        Who::User { .. } => "user",
        Who::System => "system",
    };
    let row = ChangeRow {
        id: uuid::Uuid::now_v7().simple().to_string(),
        subject: format!("{}:{}", note.kind, note.id),
        at: now,
        actor_kind: actor_kind.to_owned(),
        actor_name: caller.actor().to_owned(),
        verb: note.verb.to_owned(),
        change_json: note.change.to_string(),
    };
    change::insert(tx, scope, &row)
}

/// The beginning of a text.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN_MAX).collect()
}

/// What pairs were and are: `{"key": {"before": …, "after": …}}`, those that changed alone. `None`
/// when none did.
pub(super) fn of_pairs(before: &[Pair], after: &[Pair]) -> Option<Value> {
    let mut changed = serde_json::Map::new();
    for pair in after {
        let old = before.iter().find(|old| old.key == pair.key).map(|old| &old.value);
        if old != Some(&pair.value) {
            let (old, new) = (old.map(|text| shown(text)), shown(&pair.value));
            changed.insert(pair.key.clone(), json!({ "before": old, "after": new }));
        }
    }
    (!changed.is_empty()).then_some(Value::Object(changed))
}

impl App {
    /// The changes of a subject (`run:<id>`, `model:<name>`, …), newest first; `before` is the id
    /// of the last change of the page before.
    ///
    /// # Errors
    /// `invalid-input` for a subject that is none.
    pub async fn list_changes(
        &self,
        caller: &Caller,
        subject: &str,
        (before, limit): (Option<&str>, Option<usize>),
    ) -> Result<Page<ChangeRow>, Error> {
        let kind = subject.split_once(':').map_or("", |(kind, _)| kind);
        if !SUBJECTS.contains(&kind) {
            return Err(invalid(format!(
                "`{subject}` is no subject: use `run:<id>`, `experiment:<id>`, \
                 `logged_model:<id>` or `model:<name>`"
            )));
        }
        let operation =
            if kind == "model" { Operation::ReadRegistry } else { Operation::ReadTracking };
        let scope = self.authorise(caller, operation)?;
        let limit = limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
        let (subject, before) = (subject.to_owned(), before.map(str::to_owned));
        self.store()
            .read("list_changes", move |tx| {
                let part = (subject.as_str(), before.as_deref());
                let mut items = change::list(tx, &scope, part, limit as i64 + 1)?;
                let more = items.len() > limit;
                items.truncate(limit);
                let next = items.last().filter(|_| more).map(|row| row.id.clone());
                Ok(Page { items, next })
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed() {
        let pair = |key: &str, value: &str| Pair { key: key.into(), value: value.into() };
        let before = [pair("a", "1"), pair("b", "2")];
        let after = [pair("a", "1"), pair("b", "3"), pair("c", "4")];
        let expected = json!({
            "b": { "before": "2", "after": "3" },
            "c": { "before": null, "after": "4" },
        });
        assert_eq!(of_pairs(&before, &after), Some(expected));
        assert_eq!(of_pairs(&before, &before), None);
    }
}
