//! Checks that look at several sections at once; they run when every section can be read.

use viaduct_base::{Currency, Name, nearest};

use super::reader::Reader;
use super::{ProjectSpec, Task, TrialSpec};
use crate::kpi::Source;
use crate::rule::{Comparison, Rule, Threshold};

pub(super) fn whole(reader: &mut Reader<'_>, spec: &ProjectSpec) {
    if let Some(rule) = &spec.rule {
        rule_field(reader, rule, spec.charter.task);
    }
    if let Some(trial) = &spec.trial {
        trial_kpis(reader, spec, trial);
    }
    currencies(reader, spec);
}

/// The field must be one that the task's models have.
fn rule_field(reader: &mut Reader<'_>, rule: &Rule, task: Task) {
    let field = rule.when.field.as_str();
    let (known, form): (&[&str], &str) = match task {
        Task::BinaryClassification => (&["probability", "label"], "probabilities."),
        Task::Regression => (&["value"], "value"),
    };
    let has_tail = |prefix: &str| field.strip_prefix(prefix).is_some_and(|tail| !tail.is_empty());
    if !known.contains(&field) && !has_tail(form) && !has_tail("output.") {
        let detail = match nearest(field, known.iter().copied()) {
            Some(meant) => format!("`field` is `{field}`: did you mean `{meant}`?"),
            None => format!(
                "`field` is `{field}`, which a model of this task does not answer: use `{}`, \
                     or `output.<name>` for an output of its own",
                known.join("`, `")
            ),
        };
        reader.say("/spec/rule/when/field", detail);
        return;
    }
    let is_share = field == "probability" || field.starts_with("probabilities.");
    match &rule.when.threshold {
        Threshold::Number(number) if is_share && !(0.0..=1.0).contains(number) => {
            reader.say(
                "/spec/rule/when/threshold",
                format!("`threshold` is `{number}`: a probability lies between 0 and 1"),
            );
        }
        Threshold::Text(text) if field != "label" && !field.starts_with("output.") => {
            reader.say(
                "/spec/rule/when/threshold",
                format!(
                    "`threshold` is the text `{text}`: `{field}` is a number, take the quotes away"
                ),
            );
        }
        Threshold::Text(_) if !matches!(rule.when.op, Comparison::Equal | Comparison::NotEqual) => {
            reader.say("/spec/rule/when/op", "a text is compared by `==` or `!=`");
        }
        _ => {}
    }
}

fn trial_kpis(reader: &mut Reader<'_>, spec: &ProjectSpec, trial: &TrialSpec) {
    known_kpi(reader, spec, &trial.kpi, "/spec/trial/kpi");
    if spec.kpi(&trial.kpi).is_some_and(|kpi| kpi.source == Source::Csv) {
        reader.say(
            "/spec/trial/kpi",
            format!(
                "the KPI `{}` reads a CSV: arms can be compared only on `source: decisions`",
                trial.kpi
            ),
        );
    }
    for (n, guardrail) in trial.guardrails.iter().enumerate() {
        let pointer = format!("/spec/trial/guardrails/{n}/kpi");
        known_kpi(reader, spec, &guardrail.kpi, &pointer);
        if guardrail.kpi == trial.kpi {
            reader.say(
                &pointer,
                format!("`{}` decides the trial, so it cannot guard it too", trial.kpi),
            );
        }
        if spec.kpi(&guardrail.kpi).is_some_and(|kpi| kpi.source == Source::Csv) {
            reader.say(
                &pointer,
                format!(
                    "the KPI `{}` reads a CSV: arms can be compared only on `source: decisions`",
                    guardrail.kpi
                ),
            );
        }
    }
    let Some(endpoint) = &spec.endpoint else {
        reader.say("/spec/trial", "a trial compares decisions: add `spec.endpoint`");
        return;
    };
    if endpoint.entity.is_none() {
        reader.say(
            "/spec/endpoint",
            "`endpoint` needs `entity`: the trial assigns by it; name the row field that \
             holds the business entity",
        );
    }
    if spec.rule.is_none() {
        reader.say("/spec/trial", "a trial compares actions: add `spec.rule`");
    }
}

fn known_kpi(reader: &mut Reader<'_>, spec: &ProjectSpec, name: &Name, pointer: &str) {
    if spec.kpi(name).is_some() {
        return;
    }
    let names = spec.kpis.iter().map(|kpi| kpi.name.as_str());
    let detail = match nearest(name.as_str(), names.clone()) {
        Some(meant) => format!("there is no KPI `{name}`: did you mean `{meant}`?"),
        None => {
            let all = names.collect::<Vec<_>>().join("`, `");
            format!("there is no KPI `{name}`: `spec.kpis` has `{all}`")
        }
    };
    reader.say(pointer, detail);
}

/// Costs and values are subtracted from each other, so they need one currency.
fn currencies(reader: &mut Reader<'_>, spec: &ProjectSpec) {
    let mut first: Option<&Currency> = None;
    let costs =
        spec.costs.as_ref().map(|costs| (&costs.currency, "/spec/costs/currency".to_owned()));
    let tier = spec.tier.as_ref().map(|tier| (&tier.currency, "/spec/tier/currency".to_owned()));
    let values = spec.kpis.iter().enumerate().filter_map(|(n, kpi)| {
        let value = kpi.unit_value.as_ref()?;
        Some((&value.currency, format!("/spec/kpis/{n}/unit_value/currency")))
    });
    for (currency, pointer) in values.chain(costs).chain(tier) {
        match first {
            None => first = Some(currency),
            Some(other) if other != currency => {
                reader.say(&pointer, format!(
                    "`currency` is `{currency}` here and `{other}` before: a project counts in one \
                     currency"));
            }
            Some(_) => {}
        }
    }
}
