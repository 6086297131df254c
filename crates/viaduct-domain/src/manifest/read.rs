//! Values to [`ProjectSpec`]: one function a section, each says all that it finds wrong.

use serde_json::Value;
use viaduct_base::{Currency, FieldError, Name, Span};

use super::located::Located;
use super::read_kpis::kpis;
use super::read_plan::{costs, rule, trial};
use super::reader::{Reader, Section};
use super::{Charter, Department, ProjectSpec, Task, check};
use crate::contract::Contract;
use crate::tier::{TierInputs, tier};

pub(super) const API_VERSION: &str = "viaduct/v1";
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
        let detail = "the file is empty: begin with `apiVersion: viaduct/v1`, `kind: Project`, \
             `metadata` and `spec`";
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
    let endpoint = super::read_endpoint::of_project(reader, &spec);
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

pub(super) fn fixed<'a>(reader: &mut Reader<'a>, root: &Section<'a>, key: &str, wanted: &str) {
    let found = reader.needed_text(root, key, &format!("write `{key}: {wanted}`"));
    if let Some(found) = found.filter(|found| found != wanted) {
        reader
            .say(&root.pointer(key), format!("`{key}` is `{found}`: this server reads `{wanted}`"));
    }
}

pub(super) fn metadata<'a>(reader: &mut Reader<'a>, root: &Section<'a>) -> Option<(Name, Name)> {
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
        let Some(section) = reader.section(item, &at, "a department", &["name", "target_users"])
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

pub(super) fn currency<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Option<Currency> {
    let text = reader.needed_text(section, "currency", "three capital letters such as `EUR`")?;
    match Currency::try_from(text) {
        Ok(currency) => Some(currency),
        Err(error) => {
            reader.say(&section.pointer("currency"), error);
            None
        }
    }
}

pub(super) fn contract<'a>(
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
    if let Value::String(name) = value {
        reader.say(
            &at,
            format!(
                "`contract` is a text: write `contract: {{file: {name}}}`, or the ODCS \
             document itself"
            ),
        );
        return (None, None);
    }
    match Contract::from_value(value.clone()) {
        Ok(contract) => (Some(contract), None),
        Err(errors) => {
            reader.adopt(&at, errors);
            (None, None)
        }
    }
}

/// A whole number from `least` up to what fits into 32 bits.
pub(super) fn whole<'a>(
    reader: &mut Reader<'a>,
    at: &Section<'a>,
    key: &str,
    least: f64,
) -> Option<f64> {
    let wanted = format!("a whole number from {least} to {}", u32::MAX);
    let fits = |n: f64| n.fract() == 0.0 && n >= least && n <= f64::from(u32::MAX);
    reader.number(at, key, &wanted, fits)
}

/// A span of at least `least` and at most ten years, beyond which a plan is a typing mistake.
pub(super) fn span<'a>(
    reader: &mut Reader<'a>,
    at: &Section<'a>,
    key: &str,
    least: Span,
) -> Option<Span> {
    let span: Span = reader.parsed(at, key)?;
    if span < least || span > Span::days(3_660) {
        reader.say(
            &at.pointer(key),
            format!(
                "`{key}` is `{span}`: it must be a span that ends, such as `P21D`, and at most \
             ten years"
            ),
        );
        return None;
    }
    Some(span)
}
