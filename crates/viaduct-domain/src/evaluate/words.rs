//! Sentences of an evaluation.

use viaduct_base::Span;

use super::Names;
use crate::fact::{SubjectKind, Unit};
use crate::policy::Operator;

/// A kind of subject inside a sentence.
pub(super) fn kind(kind: SubjectKind) -> &'static str {
    match kind {
        SubjectKind::Project => "project",
        SubjectKind::Charter => "charter",
        SubjectKind::Kpi => "KPI",
        SubjectKind::Plan => "trial plan",
        SubjectKind::Contract => "contract",
        SubjectKind::ModelVersion => "model version behind its endpoint",
        SubjectKind::Endpoint => "endpoint",
        SubjectKind::Rule => "rule",
        SubjectKind::Trial => "registered trial",
        SubjectKind::Department => "department",
    }
}

/// A length of time: days from two days on, else hours or minutes.
pub(super) fn length(span: Span) -> String {
    let count = |n: f64, word: &str| {
        let n = n.floor();
        format!("{n} {word}{}", if n == 1.0 { "" } else { "s" })
    };
    let days = span.as_days();
    if days >= 1.0 {
        count(days, "day")
    } else if days * 24.0 >= 1.0 {
        count(days * 24.0, "hour")
    } else {
        count(days * 24.0 * 60.0, "minute")
    }
}

/// What was asked, after a value that passes; a flag and `exists` need no such words.
pub(super) fn asked(op: Operator, asked: &str) -> String {
    match op {
        Operator::Exists | Operator::IsTrue => String::new(),
        _ => format!(" (asked: {asked})"),
    }
}

/// By how much a value misses: `8 percentage points short`.
pub(super) fn short(op: Operator, unit: Unit, amount: f64, unit_text: &str) -> String {
    if amount == 0.0 {
        return "just at the edge".into();
    }
    if !amount.is_finite() {
        return "the interval has no end on that side".into();
    }
    let gap = unit.gap_text(amount, unit_text);
    match op {
        Operator::AtMost | Operator::LessThan | Operator::UpperBelow => format!("{gap} too much"),
        Operator::Equal | Operator::In => format!("{gap} off"),
        Operator::Inside => format!("{gap} outside"),
        Operator::AtLeast
        | Operator::MoreThan
        | Operator::CountAtLeast
        | Operator::LowerAbove
        | Operator::LowerAtLeast
        | Operator::Exists
        | Operator::IsTrue => format!("{gap} short"),
    }
}

/// The sentence with its first letter as a capital.
pub(super) fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// A fix with its names filled in; what does not exist yet stays as `<endpoint>`.
pub(super) fn fill(fix: &str, names: &Names) -> String {
    let or = |name: &Option<String>, kind: &str| match name {
        Some(name) => name.clone(),
        None => format!("<{kind}>"),
    };
    fix.replace("{project}", &names.project)
        .replace("{endpoint}", &or(&names.endpoint, "endpoint"))
        .replace("{model}", &or(&names.model, "model"))
        .replace("{kpi}", &or(&names.kpi, "kpi"))
}
