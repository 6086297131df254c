//! Reads what follows from a prediction: `spec.rule`, `spec.trial` and `spec.costs`.

use serde_json::Value;
use viaduct_base::Span;

use super::read::{currency, span, whole};
use super::reader::{Reader, Section};
use super::{Costs, GuardrailSpec, Mde, TrialSpec};
use crate::rule::{Comparison, Condition, Mode, Queue, Rule, Threshold};

pub(super) fn rule<'a>(reader: &mut Reader<'a>, spec: &Section<'a>) -> Option<Rule> {
    let modes = [("shadow", Mode::Shadow), ("advise", Mode::Advise), ("auto", Mode::Auto)];
    let at =
        reader.child(spec, "rule", &["name", "when", "action", "otherwise", "queue", "mode"])?;
    let name = reader.needed(&at, "name", "the rule's name", |r| r.parsed(&at, "name"));
    let hint = "`{field: probability, op: \">=\", threshold: 0.5}`";
    let when = reader.needed(&at, "when", hint, |reader| condition(reader, &at));
    let action = reader.needed_text(&at, "action", "what is done when `when` holds");
    let otherwise = reader.needed_text(&at, "otherwise", "what is done when it does not");
    let queue = reader.child(&at, "queue", &["name", "daily_capacity"]).and_then(|queue| {
        let name = reader.needed(&queue, "name", "the queue's name", |r| r.parsed(&queue, "name"));
        let hint = "how many actions a day the team can do";
        let capacity = reader.needed(&queue, "daily_capacity", hint, |reader| {
            whole(reader, &queue, "daily_capacity", 1.0)
        });
        Some(Queue { name: name?, daily_capacity: capacity? as u64 })
    });
    let mode =
        reader.needed(&at, "mode", "`shadow`, `advise` or `auto`", |r| r.word(&at, "mode", &modes));
    let (action, otherwise) = (action?, otherwise?);
    if action == otherwise {
        reader.say(
            &at.pointer("otherwise"),
            format!(
                "`action` and `otherwise` are both `{action}`: a rule decides between two actions"
            ),
        );
    }
    Some(Rule { name: name?, when: when?, action, otherwise, queue, mode: mode? })
}

fn condition<'a>(reader: &mut Reader<'a>, rule: &Section<'a>) -> Option<Condition> {
    let at = reader.child(rule, "when", &["field", "op", "threshold"])?;
    let field = reader.needed_text(&at, "field", "`probability`, `value` or `label`");
    let op = reader.needed(&at, "op", "an operator in quotes, such as `\">=\"`", |reader| {
        reader.word(&at, "op", &Comparison::SIGNS)
    });
    let threshold = match at.get("threshold") {
        None => {
            reader.lacks(&at, "threshold", "the number to compare with");
            None
        }
        Some(Value::String(text)) => Some(Threshold::Text(text.clone())),
        Some(Value::Number(number)) => number.as_f64().map(Threshold::Number),
        Some(_) => {
            reader.say(
                &at.pointer("threshold"),
                "`threshold` must be a number, or a text for a label",
            );
            None
        }
    };
    Some(Condition { field: field?, op: op?, threshold: threshold? })
}

pub(super) fn trial<'a>(reader: &mut Reader<'a>, spec: &Section<'a>) -> Option<TrialSpec> {
    let keys = ["name", "kpi", "holdout", "duration", "mde", "alpha", "power", "guardrails"];
    let at = reader.child(spec, "trial", &keys)?;
    let name = reader.needed(&at, "name", "the trial's name", |r| r.parsed(&at, "name"));
    let kpi = reader.needed(&at, "kpi", "the KPI that decides", |r| r.parsed(&at, "kpi"));
    let holdout =
        reader.needed(&at, "holdout", "the share without the model, such as `0.5`", |r| {
            r.number(&at, "holdout", "between 0.01 and 0.99", |n| (0.01..=0.99).contains(&n))
        });
    let duration =
        reader.needed(&at, "duration", "how long cases are taken, such as `P42D`", |r| {
            span(r, &at, "duration", Span::micros(1))
        });
    let mde = match at.get("mde") {
        None => Some(Mde::BreakEven),
        Some(Value::String(word)) if word == "break_even" => Some(Mde::BreakEven),
        Some(_) => reader
            .number(&at, "mde", "`break_even` or a number above 0", |n| n > 0.0)
            .map(Mde::Amount),
    };
    let mut share = |key: &str, usual: f64, low: f64, high: f64| match at.get(key) {
        None => Some(usual),
        Some(_) => reader
            .number(&at, key, &format!("between {low} and {high}"), |n| (low..=high).contains(&n)),
    };
    let (alpha, power) = (share("alpha", 0.05, 0.001, 0.2), share("power", 0.8, 0.5, 0.99));
    let mut guardrails = Vec::new();
    for (item, pointer) in reader.items(&at, "guardrails") {
        let Some(section) = reader.section(item, &pointer, "a guardrail", &["kpi", "margin"])
        else {
            continue;
        };
        let kpi = reader.needed(&section, "kpi", "the KPI's name", |r| r.parsed(&section, "kpi"));
        let hint = "how much worse it may get, relative, such as `0.1`";
        let margin = reader.needed(&section, "margin", hint, |reader| {
            reader.number(&section, "margin", "between 0 and 1", |n| (0.0..=1.0).contains(&n))
        });
        if let (Some(kpi), Some(margin)) = (kpi, margin) {
            guardrails.push(GuardrailSpec { kpi, margin });
        }
    }
    Some(TrialSpec {
        name: name?,
        kpi: kpi?,
        holdout: holdout?,
        duration: duration?,
        mde: mde?,
        alpha: alpha?,
        power: power?,
        guardrails,
    })
}

pub(super) fn costs<'a>(reader: &mut Reader<'a>, spec: &Section<'a>) -> Option<Costs> {
    let at = reader.child(spec, "costs", &["run_per_month", "per_action", "build", "currency"])?;
    let mut amount = |key: &str| match at.get(key) {
        None => Some(0.0),
        Some(_) => reader.number(&at, key, "a number of at least 0", |n| n >= 0.0),
    };
    let (run, action, build) = (amount("run_per_month"), amount("per_action"), amount("build"));
    let currency = currency(reader, &at);
    Some(Costs { run_per_month: run?, per_action: action?, build: build?, currency: currency? })
}
