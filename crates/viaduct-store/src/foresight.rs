//! What a command will ask first, so that the questions of a whole group travel together.
//!
//! Why: on PostgreSQL every question is a round trip, and the commands of a group stand behind
//! each other on one connection. Most of them begin with a question that is known before.

use std::collections::HashSet;

use crate::engine::Text;
use crate::{Statement, Value};

/// A question with its values.
#[derive(Debug, Clone)]
pub struct Question {
    asked: Asked,
    values: Vec<Value>,
}

#[derive(Debug, Clone)]
enum Asked {
    Known(&'static Statement),
    Compiled(String),
}

impl Question {
    /// A registered statement's.
    pub fn new(statement: &'static Statement, values: impl Into<Vec<Value>>) -> Self {
        Self { asked: Asked::Known(statement), values: values.into() }
    }

    /// One of a text that was compiled at run time.
    ///
    /// Invariant: as [`crate::Tx::query_compiled`].
    pub fn compiled(sql: String, values: Vec<Value>) -> Self {
        Self { asked: Asked::Compiled(sql), values }
    }

    pub(crate) fn text(&self) -> Text<'_> {
        match &self.asked {
            Asked::Known(statement) => Text::Known(statement),
            Asked::Compiled(sql) => Text::Compiled(sql),
        }
    }

    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }
}

impl PartialEq for Question {
    fn eq(&self, other: &Self) -> bool {
        self.text().sql() == other.text().sql() && self.values == other.values
    }
}

/// Whose rows a command changes, and what it asks before it changes any.
///
/// Invariant: a command that has one changes nothing but rows of its owner, and its questions are
/// about those, or about rows that only commands without a foresight change.
#[derive(Debug, Clone)]
pub struct Foresight {
    owner: String,
    questions: Vec<Question>,
}

impl Foresight {
    /// The owner is anything that tells one from another, such as a run's id.
    pub fn new(owner: impl Into<String>, questions: impl Into<Vec<Question>>) -> Self {
        Self { owner: owner.into(), questions: questions.into() }
    }

    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }
}

/// Of each command of a group the questions that may be answered before any of them runs: those
/// before which nobody changes what they ask about.
pub(crate) fn answerable<'a>(
    group: impl Iterator<Item = Option<&'a Foresight>>,
) -> Vec<&'a [Question]> {
    let mut owners = HashSet::new();
    // Why not beyond the first without: it may change anything.
    group
        .map_while(|foresight| foresight)
        .map(|known| if owners.insert(known.owner.as_str()) { &known.questions[..] } else { &[] })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reach;

    #[test]
    fn nobody_is_told_what_another_may_change() {
        static ONE: Statement = Statement::new("test::ONE", Reach::Platform, "SELECT 1");
        let of = |owner: &str| Foresight::new(owner, [Question::new(&ONE, [])]);
        let (a, b) = (of("a"), of("b"));
        let group = [Some(&a), Some(&b), Some(&a), None, Some(&b)];
        let told: Vec<usize> = answerable(group.into_iter()).iter().map(|q| q.len()).collect();
        assert_eq!(told, [1, 1, 0]);
    }
}
