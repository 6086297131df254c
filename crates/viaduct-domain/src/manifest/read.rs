//! Values to [`ProjectSpec`]: one function a section, each says all that it finds wrong.

use serde_json::Value;
use viaduct_base::{Currency, FieldError, Name, Span};

use super::located::Located;
use super::reader::{Reader, Section};
use super::{
    BusinessAsUsual, Charter, Costs, Department, EndpointSpec, GuardrailSpec, Mde, ProjectSpec,
    Task, TrialSpec, check,
};
use crate::contract::Contract;
use crate::kpi::{Baseline, BenefitKind, Direction, KpiSpec, KpiType, NotActed, Source, UnitValue};
use crate::rule::{Comparison, Condition, Mode, Queue, Rule, Threshold};
use crate::tier::{TierInputs, tier};

const API_VERSION: &str = "viaduct/v1";
const SPEC_KEYS: &[&str] = &[
    "title",
    "charter",
    "departments",
    "tier",
    "kpis",
    "endpoint",
    "contract",
    "rule",
    "trial",
    "costs",
];

/// Reads the project from the first document; the second is the contract when `file` names one.
pub(super) fn project(documents: &[Located]) -> Result<ProjectSpec, Vec<FieldError>> {
    let Some(first) = documents.first() else {
        let detail = "the file is empty: begin with `apiVersion: viaduct/v1`, `kind: Project`, `metadata` and `spec`";
        return Err(vec![FieldError {
            pointer: String::new(),
            detail: detail.to_owned(),
            line: Some(1),
            column: Some(1),
        }]);
    };
    let mut reader = Reader::new(first);
    let (spec, below) = document(&mut reader, &first.value, documents.get(1));
    if let Some(extra) = documents.get(2) {
        reader.say_elsewhere(
            extra,
            "",
            "a project file has at most two documents: the project and its contract",
        );
    }
    match spec {
        Some(spec) if reader.is_clean() && below.is_empty() => {
            check::whole(&mut reader, &spec);
            if reader.is_clean() { Ok(spec) } else { Err(reader.finish()) }
        }
        _ => Err([reader.finish(), below].concat()),
    }
}

/// The project, and the errors of the second document.
fn document<'a>(
    reader: &mut Reader<'a>,
    value: &'a Value,
    second: Option<&'a Located>,
) -> (Option<ProjectSpec>, Vec<FieldError>) {
    let mut below = Vec::new();
    let Some(root) =
        reader.section(value, "", "the file", &["apiVersion", "kind", "metadata", "spec"])
    else {
        return (None, below);
    };
    fixed(reader, &root, "apiVersion", API_VERSION);
    fixed(reader, &root, "kind", "Project");
    let name = metadata(reader, &root);
    let spec = reader.needed(&root, "spec", "what the project is", |reader| {
        reader.child(&root, "spec", SPEC_KEYS)
    });
    let Some(spec) = spec else { return (None, below) };
    let title = reader.needed_text(&spec, "title", "one line for people");
    let charter = charter(reader, &spec);
    let departments = departments(reader, &spec);
    let tier = tier_inputs(reader, &spec);
    let kpis = kpis(reader, &spec);
    let endpoint = endpoint(reader, &spec);
    let (contract, contract_file) = contract(reader, &spec, second, &mut below);
    let rule = rule(reader, &spec);
    let trial = trial(reader, &spec);
    let costs = costs(reader, &spec);
    let all = (|| {
        let (name, workspace) = name?;
        Some(ProjectSpec {
            name,
            workspace,
            title: title?,
            charter: charter?,
            departments,
            tier,
            kpis,
            endpoint,
            contract,
            contract_file,
            rule,
            trial,
            costs,
        })
    })();
    (all, below)
}

fn fixed<'a>(reader: &mut Reader<'a>, root: &Section<'a>, key: &str, wanted: &str) {
    let found = reader.needed_text(root, key, &format!("write `{key}: {wanted}`"));
    if let Some(found) = found.filter(|found| found != wanted) {
        reader
            .say(&root.pointer(key), format!("`{key}` is `{found}`: this server reads `{wanted}`"));
    }
}

fn metadata<'a>(reader: &mut Reader<'a>, root: &Section<'a>) -> Option<(Name, Name)> {
    let metadata = reader.needed(root, "metadata", "`{name: …}`", |reader| {
        reader.child(root, "metadata", &["name", "workspace"])
    })?;
    let name =
        reader.needed(&metadata, "name", "the project's name, such as `term-deposit`", |r| {
            r.parsed(&metadata, "name")
        });
    let workspace = match metadata.get("workspace") {
        Some(_) => reader.parsed(&metadata, "workspace"),
        None => "default".parse().ok(),
    };
    Some((name?, workspace?))
}

fn charter<'a>(reader: &mut Reader<'a>, spec: &Section<'a>) -> Option<Charter> {
    let keys = [
        "problem",
        "purpose",
        "task",
        "business_owner",
        "technical_owner",
        "successor",
        "data_owners",
        "risk_partner",
        "members",
        "consumers",
    ];
    let at =
        reader.needed(spec, "charter", "the problem, the purpose and the people", |reader| {
            reader.child(spec, "charter", &keys)
        })?;
    let tasks =
        [("binary_classification", Task::BinaryClassification), ("regression", Task::Regression)];
    let problem = reader.needed_text(&at, "problem", "the question that is answered");
    let purpose =
        reader.needed_text(&at, "purpose", "what the data may be used for, such as `marketing`");
    let task = reader.needed(&at, "task", "`binary_classification` or `regression`", |reader| {
        reader.word(&at, "task", &tasks)
    });
    Some(Charter {
        business_owner: reader.parsed(&at, "business_owner"),
        technical_owner: reader.parsed(&at, "technical_owner"),
        successor: reader.parsed(&at, "successor"),
        data_owners: reader.names(&at, "data_owners"),
        risk_partner: reader.parsed(&at, "risk_partner"),
        members: reader.names(&at, "members"),
        consumers: reader.names(&at, "consumers"),
        problem: problem?,
        purpose: purpose?,
        task: task?,
    })
}

fn departments<'a>(reader: &mut Reader<'a>, spec: &Section<'a>) -> Vec<Department> {
    let mut departments: Vec<Department> = Vec::new();
    for (item, at) in reader.items(spec, "departments") {
        let Some(section) = reader.section(item, &at, "departments", &["name", "target_users"])
        else {
            continue;
        };
        let name = reader.needed(&section, "name", "the department's name", |reader| {
            reader.parsed::<Name>(&section, "name")
        });
        let users = whole(reader, &section, "target_users", 1.0);
        let Some(name) = name else { continue };
        if departments.iter().any(|known| known.name == name) {
            reader.say(&section.pointer("name"), format!("the department `{name}` comes twice"));
            continue;
        }
        departments.push(Department { name, target_users: users.map(|users| users as u32) });
    }
    departments
}

fn tier_inputs<'a>(reader: &mut Reader<'a>, spec: &Section<'a>) -> Option<TierInputs> {
    let keys = [
        "decisions_per_month",
        "value_per_decision",
        "currency",
        "purpose_flags",
        "automation",
        "raise_to",
    ];
    let at = reader.child(spec, "tier", &keys)?;
    let decisions = reader.needed(&at, "decisions_per_month", "the expected number", |reader| {
        reader.number(&at, "decisions_per_month", "a number above 0", |n| n > 0.0)
    });
    let value = reader.needed(&at, "value_per_decision", "the money at risk in one", |reader| {
        reader.number(&at, "value_per_decision", "a number of at least 0", |n| n >= 0.0)
    });
    let currency = currency(reader, &at);
    let mut purpose_flags = Vec::new();
    for (text, pointer) in reader.texts(&at, "purpose_flags") {
        match text.parse() {
            Ok(flag) => purpose_flags.push(flag),
            Err(error) => reader.say(&pointer, error),
        }
    }
    let automation = reader.needed(&at, "automation", "`advisory` or `automatic`", |reader| {
        reader.parsed(&at, "automation")
    });
    let raise_to = reader.parsed(&at, "raise_to");
    let inputs = TierInputs {
        decisions_per_month: decisions?,
        value_per_decision: value?,
        currency: currency?,
        purpose_flags,
        automation: automation?,
        raise_to,
    };
    if let Err(refusal) = tier(&inputs) {
        reader.say(&at.pointer("raise_to"), refusal.detail);
    }
    Some(inputs)
}

fn currency<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Option<Currency> {
    let text = reader.needed_text(section, "currency", "three capital letters such as `EUR`")?;
    match Currency::try_from(text) {
        Ok(currency) => Some(currency),
        Err(error) => {
            reader.say(&section.pointer("currency"), error);
            None
        }
    }
}

fn kpis<'a>(reader: &mut Reader<'a>, spec: &Section<'a>) -> Vec<KpiSpec> {
    let items = reader.items(spec, "kpis");
    if items.is_empty() {
        reader.lacks(
            spec,
            "kpis",
            "at least the primary KPI, which decides whether the project pays",
        );
    }
    let only_one = items.len() == 1;
    let mut kpis: Vec<KpiSpec> = Vec::new();
    for (item, at) in items {
        let Some(kpi) = kpi(reader, item, &at, only_one) else { continue };
        if kpis.iter().any(|known| known.name == kpi.name) {
            reader.say(&format!("{at}/name"), format!("the KPI `{}` comes twice", kpi.name));
        }
        let other = kpis.iter().find(|known| known.primary && kpi.primary);
        if let Some(other) = other {
            reader.say(
                &format!("{at}/primary"),
                format!("`{}` and `{}` are both primary: exactly one KPI is", other.name, kpi.name),
            );
        }
        kpis.push(kpi);
    }
    if reader.is_clean() && !kpis.iter().any(|kpi| kpi.primary) {
        reader.say(&spec.pointer("kpis"), "no KPI is primary: mark one with `primary: true`");
    }
    kpis
}

fn kpi<'a>(reader: &mut Reader<'a>, item: &'a Value, at: &str, only_one: bool) -> Option<KpiSpec> {
    let keys = [
        "name",
        "primary",
        "unit",
        "type",
        "direction",
        "source",
        "value_if_not_acted",
        "maturity",
        "unit_value",
        "baseline",
    ];
    let kinds = [("mean", KpiType::Mean), ("proportion", KpiType::Proportion)];
    let directions = [("increase", Direction::Increase), ("decrease", Direction::Decrease)];
    let sources = [("decisions", Source::Decisions), ("csv", Source::Csv)];
    let section = reader.section(item, at, "kpis", &keys)?;
    let s = &section;
    let name = reader.needed(s, "name", "the KPI's name", |r| r.parsed(s, "name"));
    let primary = match s.get("primary") {
        None => Some(only_one),
        Some(Value::Bool(flag)) => Some(*flag),
        Some(_) => {
            reader.say(&s.pointer("primary"), "`primary` must be `true` or `false`");
            None
        }
    };
    let unit = reader.needed_text(s, "unit", "what it is measured in, such as `EUR`");
    let kind = reader.needed(s, "type", "`mean` or `proportion`", |r| r.word(s, "type", &kinds));
    let direction = reader.needed(s, "direction", "`increase` or `decrease`", |r| {
        r.word(s, "direction", &directions)
    });
    let source = match s.get("source") {
        None => Some(Source::Decisions),
        Some(_) => reader.word(s, "source", &sources),
    };
    let reads_decisions = source == Some(Source::Decisions);
    let value_if_not_acted = not_acted(reader, s, reads_decisions);
    let maturity = if reads_decisions {
        let hint = "how old a decision must be before its outcome counts, such as `P21D`";
        reader.needed(s, "maturity", hint, |r| span(r, s, "maturity", Span::ZERO))
    } else {
        Some(span(reader, s, "maturity", Span::ZERO).unwrap_or(Span::ZERO))
    };
    let (unit_value, baseline) = (unit_value(reader, s), baseline(reader, s));
    Some(KpiSpec {
        name: name?,
        primary: primary?,
        unit: unit?,
        kind: kind?,
        direction: direction?,
        source: source?,
        value_if_not_acted,
        maturity: maturity?,
        unit_value,
        baseline,
    })
}

fn not_acted<'a>(reader: &mut Reader<'a>, kpi: &Section<'a>, is_needed: bool) -> Option<NotActed> {
    let key = "value_if_not_acted";
    match kpi.get(key) {
        None if is_needed => {
            reader.lacks(kpi, key, "what a case is worth when the action is not done: an amount such as `0`, or `observed`");
            None
        }
        None => None,
        Some(Value::String(word)) if word == "observed" => Some(NotActed::Observed),
        Some(value) => match value.as_f64() {
            Some(amount) => Some(NotActed::Amount(amount)),
            None => {
                reader.say(&kpi.pointer(key), format!("`{key}` must be a number or `observed`"));
                None
            }
        },
    }
}

fn unit_value<'a>(reader: &mut Reader<'a>, kpi: &Section<'a>) -> Option<UnitValue> {
    let kinds = [
        ("cash", BenefitKind::Cash),
        ("capacity", BenefitKind::Capacity),
        ("revenue", BenefitKind::Revenue),
        ("risk", BenefitKind::Risk),
    ];
    let at = reader.child(kpi, "unit_value", &["low", "base", "high", "currency", "kind"])?;
    let mut corner = |key: &str| {
        reader
            .needed(&at, key, "a number from finance", |r| r.number(&at, key, "a number", |_| true))
    };
    let (low, base, high) = (corner("low"), corner("base"), corner("high"));
    let currency = currency(reader, &at);
    let kind = reader.needed(&at, "kind", "`cash`, `capacity`, `revenue` or `risk`", |reader| {
        reader.word(&at, "kind", &kinds)
    });
    let (low, base, high) = (low?, base?, high?);
    if !(low <= base && base <= high) {
        reader.say(&at.at, format!("`unit_value` runs from `low` over `base` to `high`; {low}, {base}, {high} do not rise"));
    }
    Some(UnitValue { low, base, high, currency: currency?, kind: kind? })
}

fn baseline<'a>(reader: &mut Reader<'a>, kpi: &Section<'a>) -> Option<Baseline> {
    let at = reader.child(kpi, "baseline", &["file", "weeks"])?;
    let file = reader.text(&at, "file");
    let weeks = match at.get("weeks") {
        // Why 26: the preferred length of a baseline in the shipped policy (A2).
        None => 26.0,
        Some(_) => whole(reader, &at, "weeks", 1.0)?,
    };
    Some(Baseline { file, weeks: weeks as u32 })
}

fn endpoint<'a>(reader: &mut Reader<'a>, spec: &Section<'a>) -> Option<EndpointSpec> {
    let keys = ["name", "model", "entity", "keys", "business_as_usual", "shadow_margin"];
    let at = reader.child(spec, "endpoint", &keys)?;
    let name = reader.needed(&at, "name", "the endpoint's name", |r| r.parsed(&at, "name"));
    let model =
        reader.needed(&at, "model", "a registered model such as `term-deposit@champion`", |r| {
            r.parsed(&at, "model")
        });
    let entity = reader.text(&at, "entity");
    let keys = reader.texts(&at, "keys").into_iter().map(|(key, _)| key).collect();
    let business_as_usual = business_as_usual(reader, &at);
    let margin = match at.get("shadow_margin") {
        None => Some(0.0),
        Some(_) => reader.number(&at, "shadow_margin", "a number of at least 0", |n| n >= 0.0),
    };
    Some(EndpointSpec {
        name: name?,
        model: model?,
        entity,
        keys,
        business_as_usual,
        shadow_margin: margin?,
    })
}

fn business_as_usual<'a>(
    reader: &mut Reader<'a>,
    endpoint: &Section<'a>,
) -> Option<BusinessAsUsual> {
    let at = reader.child(endpoint, "business_as_usual", &["action", "output"])?;
    let action = reader.needed_text(&at, "action", "what is done without the model");
    let output = at.get("output").and_then(|value| match serde_json::from_value(value.clone()) {
        Ok(output) => Some(output),
        Err(error) => {
            reader.say(&at.pointer("output"), format!("`output` must look like a model's output, such as `{{label: yes, probability: 1}}`: {error}"));
            None
        }
    });
    Some(BusinessAsUsual { action: action?, output })
}

fn contract<'a>(
    reader: &mut Reader<'a>,
    spec: &Section<'a>,
    second: Option<&'a Located>,
    below: &mut Vec<FieldError>,
) -> (Option<Contract>, Option<String>) {
    let value = spec.get("contract");
    let file = value.and_then(|value| value.get("file"));
    if file.is_none()
        && let Some(second) = second
    {
        below.push(
            Reader::new(second)
                .one("", "a second document is read only when `spec.contract` is `{file: …}`"),
        );
    }
    let Some(value) = value else { return (None, None) };
    let at = spec.pointer("contract");
    if file.is_some() {
        let section = reader.section(value, &at, "contract", &["file"]);
        let name = section.and_then(|section| reader.text(&section, "file"));
        let contract = second.and_then(|second| match Contract::from_value(second.value.clone()) {
            Ok(contract) => Some(contract),
            Err(errors) => {
                let mut reader = Reader::new(second);
                reader.adopt("", errors);
                below.extend(reader.finish());
                None
            }
        });
        return (contract, name);
    }
    match Contract::from_value(value.clone()) {
        Ok(contract) => (Some(contract), None),
        Err(errors) => {
            reader.adopt(&at, errors);
            (None, None)
        }
    }
}

fn rule<'a>(reader: &mut Reader<'a>, spec: &Section<'a>) -> Option<Rule> {
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

fn trial<'a>(reader: &mut Reader<'a>, spec: &Section<'a>) -> Option<TrialSpec> {
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
        let Some(section) = reader.section(item, &pointer, "guardrails", &["kpi", "margin"]) else {
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

fn costs<'a>(reader: &mut Reader<'a>, spec: &Section<'a>) -> Option<Costs> {
    let at = reader.child(spec, "costs", &["run_per_month", "per_action", "build", "currency"])?;
    let mut amount = |key: &str| match at.get(key) {
        None => Some(0.0),
        Some(_) => reader.number(&at, key, "a number of at least 0", |n| n >= 0.0),
    };
    let (run, action, build) = (amount("run_per_month"), amount("per_action"), amount("build"));
    let currency = currency(reader, &at);
    Some(Costs { run_per_month: run?, per_action: action?, build: build?, currency: currency? })
}

/// A whole number from `least` up to what fits into 32 bits.
fn whole<'a>(reader: &mut Reader<'a>, at: &Section<'a>, key: &str, least: f64) -> Option<f64> {
    let wanted = format!("a whole number of at least {least}");
    let fits = |n: f64| n.fract() == 0.0 && n >= least && n <= f64::from(u32::MAX);
    reader.number(at, key, &wanted, fits)
}

/// A span of at least `least` and at most ten years, beyond which a plan is a typing mistake.
fn span<'a>(reader: &mut Reader<'a>, at: &Section<'a>, key: &str, least: Span) -> Option<Span> {
    let span: Span = reader.parsed(at, key)?;
    if span < least || span > Span::days(3_660) {
        reader.say(&at.pointer(key), format!("`{key}` is `{span}`: it must be a span that ends, such as `P21D`, and at most ten years"));
        return None;
    }
    Some(span)
}
