//! One check: which fact counts, and how it compares.

use viaduct_base::Span;

use super::{CheckResult, Distance, EvaluationInput, FactsByName, Status, words};
use crate::fact::{Fact, FactName, FactValue, SubjectKind};
use crate::policy::{Check, Criterion, Operator, Threshold};

/// Windows are cut at days, so a fact's window may differ from the asked one by this much.
const WINDOW_SLACK: Span = Span::days(1);

/// What a look at the facts found.
struct Finding {
    status: Status,
    sentence: String,
    distance: Option<Distance>,
}

impl Finding {
    fn because(status: Status, sentence: String) -> Self {
        Self { status, sentence, distance: None }
    }

    fn no_data(sentence: String) -> Self {
        Self::because(Status::NotEnoughData, sentence)
    }

    fn stale(sentence: String) -> Self {
        Self::because(Status::Stale, sentence)
    }
}

pub(super) fn assess(
    row: &Criterion,
    check: &Check,
    applies: bool,
    input: &EvaluationInput,
    facts: &FactsByName<'_>,
) -> CheckResult {
    let margin = shadow_margin(input);
    let threshold = check.op.text(&check.threshold, check.fact.unit(), margin);
    let (fact, finding) = if !applies {
        (None, does_not_apply(&row.when.to_string()))
    } else if !check.when.holds(input.tier, &input.purposes) {
        (None, does_not_apply(&check.when.to_string()))
    } else {
        look(row, check, input, facts)
    };
    let sound = fact.filter(|fact| fact.value.is_sound());
    CheckResult {
        fact: check.fact,
        status: finding.status,
        threshold,
        value: sound.map(|fact| fact.value),
        value_text: sound.map(Fact::value_text),
        n: fact.and_then(|fact| fact.n),
        min_n: check.min_n,
        window: fact.and_then(|fact| fact.window),
        window_asked: check.window,
        producer: check.fact.producer(),
        observed_at: fact.map(|fact| fact.observed_at),
        provenance: fact.map(|fact| fact.provenance),
        fact_id: fact.map(|fact| fact.id),
        note: fact.and_then(|fact| fact.note.clone()),
        distance: finding.distance,
        sentence: words::capital(&finding.sentence),
    }
}

/// Why clamped: a negative margin would be stricter than the policy says, and NaN compares with
/// nothing.
fn shadow_margin(input: &EvaluationInput) -> f64 {
    if input.shadow_margin.is_finite() { input.shadow_margin.max(0.0) } else { 0.0 }
}

fn does_not_apply(when: &str) -> Finding {
    Finding::because(Status::NotApplicable, format!("does not apply here: asked only when {when}"))
}

/// Finds the fact that counts and compares it.
fn look<'a>(
    row: &Criterion,
    check: &Check,
    input: &EvaluationInput,
    facts: &FactsByName<'a>,
) -> (Option<&'a Fact>, Finding) {
    let name = check.fact;
    let label = name.label();
    if name.producer().is_none() {
        let sentence = format!("{label}: nothing in this release measures it yet");
        return (None, Finding::no_data(sentence));
    }
    let kind = words::kind(name.subject_kind());
    let Some(current) = input.subjects.get(&name.subject_kind()) else {
        return (None, Finding::no_data(format!("{label}: the project has no {kind} yet")));
    };
    let known = facts.get(&name).map(Vec::as_slice).unwrap_or_default();
    let is_current =
        |fact: &&&Fact| fact.subject.kind == name.subject_kind() && fact.subject.id == current.id;
    let latest = |fact: &&&Fact| (fact.observed_at, fact.id);
    let Some(fact) = known.iter().filter(is_current).max_by_key(latest).copied() else {
        let Some(other) = known.iter().max_by_key(latest).copied() else {
            return (None, Finding::no_data(format!("{label}: not measured yet")));
        };
        let (was, is) = (&other.subject.id, &current.id);
        let sentence =
            format!("{label}: measured on {kind} `{was}`, and the current one is `{is}`");
        return (Some(other), Finding::stale(sentence));
    };
    let finding = unusable(row, check, fact, input).unwrap_or_else(|| compare(check, fact, input));
    (Some(fact), finding)
}

/// Why a fact about the right thing does not count; `None` when it does.
fn unusable(
    row: &Criterion,
    check: &Check,
    fact: &Fact,
    input: &EvaluationInput,
) -> Option<Finding> {
    let name = check.fact;
    let label = name.label();
    if Some(fact.producer) != name.producer() {
        let sentence = format!("{label}: made by `{}`, which does not make it", fact.producer);
        return Some(Finding::no_data(sentence));
    }
    if fact.observed_at > input.now {
        return Some(Finding::stale(format!("{label}: dated in the future")));
    }
    if let Some(kind) = changed_since(name, fact, input) {
        let (kind, day) = (words::kind(kind), fact.observed_at.day());
        return Some(Finding::stale(format!(
            "{label}: measured on {day}, and the {kind} has changed since"
        )));
    }
    let age = input.now.since(fact.observed_at);
    let max_age = row.max_age_at(input.tier, check);
    if age > max_age {
        let (age, max_age) = (words::length(age), words::length(max_age));
        return Some(Finding::stale(format!(
            "{label}: {age} old, and at most {max_age} are allowed"
        )));
    }
    if fact.value.shape() != name.shape() || !fact.value.is_sound() {
        return Some(Finding::no_data(format!(
            "{label}: the measured value is not a usable number"
        )));
    }
    too_thin(check, fact, label)
}

/// A thing the fact depends on that became current after the fact was made.
fn changed_since(name: FactName, fact: &Fact, input: &EvaluationInput) -> Option<SubjectKind> {
    let own = [name.subject_kind()];
    let mut kinds = own.iter().chain(name.also_depends_on());
    kinds.find(|kind| input.subjects.get(kind).is_some_and(|s| s.since > fact.observed_at)).copied()
}

/// Too few cases, too little confidence, or another length of time than the one asked for.
fn too_thin(check: &Check, fact: &Fact, label: &str) -> Option<Finding> {
    if let Some(min_n) = check.min_n {
        let n = fact.n.unwrap_or(0);
        if n < min_n {
            let missing = min_n - n;
            let distance =
                Distance { amount: missing as f64, sentence: format!("{missing} more cases") };
            let sentence =
                format!("{label}: {n} of at least {min_n} cases; {missing} more are needed");
            return Some(Finding { distance: Some(distance), ..Finding::no_data(sentence) });
        }
    }
    if let (Some(asked), FactValue::Interval { level, .. }) = (check.level, fact.value)
        && level < asked - 1e-9
    {
        let sentence = format!(
            "{label}: a {:.0} % interval, and {:.0} % is asked",
            level * 100.0,
            asked * 100.0
        );
        return Some(Finding::no_data(sentence));
    }
    if let Some(asked) = check.window {
        let covered = fact.window.map_or(Span::ZERO, |window| window.length());
        let off = covered.as_micros().abs_diff(asked.as_micros());
        if off > WINDOW_SLACK.as_micros().unsigned_abs() {
            let (covered, asked) = (words::length(covered), words::length(asked));
            let sentence = format!("{label}: covers {covered}, and {asked} are asked");
            return Some(Finding::no_data(sentence));
        }
    }
    None
}

fn compare(check: &Check, fact: &Fact, input: &EvaluationInput) -> Finding {
    let label = check.fact.label();
    let asked = check.op.text(&check.threshold, check.fact.unit(), shadow_margin(input));
    let value = fact.value_text();
    let Some(verdict) = verdict(check.op, &check.threshold, fact.value, shadow_margin(input))
    else {
        return Finding::no_data(format!("{label}: {value} cannot be compared with {asked}"));
    };
    match verdict {
        Verdict::Holds => {
            let asked = words::asked(check.op, &asked);
            Finding::because(Status::Pass, format!("{label}: {value}{asked}"))
        }
        Verdict::IsNotSo => Finding::because(Status::Fail, format!("{label}: {value}")),
        Verdict::Misses(amount) => {
            let short = words::short(check.op, check.fact.unit(), amount, &fact.unit);
            let sentence = format!("{label}: {value} (asked: {asked}; {short})");
            let distance = Some(Distance { amount, sentence: short });
            Finding { distance, ..Finding::because(Status::Fail, sentence) }
        }
    }
}

enum Verdict {
    Holds,
    /// A flag that is down has no distance.
    IsNotSo,
    /// By how much, zero where the edge itself does not pass.
    Misses(f64),
}

/// Compares; `None` when operator, threshold and value do not go together, or a number is NaN.
///
/// Why every comparison asks for the passing side: NaN is on no side, so it can never hold.
fn verdict(op: Operator, threshold: &Threshold, value: FactValue, margin: f64) -> Option<Verdict> {
    let judge = |holds: bool, gap: f64| {
        let verdict = if holds { Verdict::Holds } else { Verdict::Misses(gap.max(0.0)) };
        (holds || !gap.is_nan()).then_some(verdict)
    };
    match (op, value) {
        (Operator::Exists, _) => value.is_sound().then_some(Verdict::Holds),
        (Operator::IsTrue, FactValue::Flag { value }) => {
            Some(if value { Verdict::Holds } else { Verdict::IsNotSo })
        }
        (Operator::In, FactValue::Scalar { value }) => {
            let Threshold::OneOf(numbers) = threshold else { return None };
            let gap = numbers.iter().map(|n| (value - n).abs()).fold(f64::INFINITY, f64::min);
            judge(gap == 0.0, gap)
        }
        (Operator::Inside, FactValue::Interval { lower, upper, .. }) => {
            let Threshold::Band(low, high) = threshold else { return None };
            judge(lower >= *low && upper <= *high, (low - lower).max(upper - high))
        }
        (_, FactValue::Scalar { value }) => {
            let wanted = threshold.number(margin)?;
            match op {
                Operator::AtLeast | Operator::CountAtLeast => {
                    judge(value >= wanted, wanted - value)
                }
                Operator::AtMost => judge(value <= wanted, value - wanted),
                Operator::MoreThan => judge(value > wanted, wanted - value),
                Operator::LessThan => judge(value < wanted, value - wanted),
                Operator::Equal => judge(value == wanted, (value - wanted).abs()),
                _ => None,
            }
        }
        (_, FactValue::Interval { lower, upper, .. }) => {
            let wanted = threshold.number(margin)?;
            match op {
                Operator::LowerAbove => judge(lower > wanted, wanted - lower),
                Operator::LowerAtLeast => judge(lower >= wanted, wanted - lower),
                Operator::UpperBelow => judge(upper < wanted, upper - wanted),
                _ => None,
            }
        }
        (_, FactValue::Flag { .. }) => None,
    }
}
