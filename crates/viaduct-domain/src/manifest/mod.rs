//! A project as a file: YAML text in, a checked [`ProjectSpec`] out.
//!
//! Two steps. `located` turns the text into plain values that remember their line and column;
//! `read` and `check` turn values into a `ProjectSpec` and collect every error on the way.
//! Invariant: a `ProjectSpec` made by [`parse`] satisfies every check; it may still name people,
//! models and files that do not exist yet, which [`ProjectSpec::warnings`] says.

mod check;
mod diff;
mod located;
mod read;
mod read_endpoint;
mod read_kpis;
mod read_plan;
mod reader;
mod serving;
mod warn;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use viaduct_base::{Currency, Digest, FieldError, Kind, Name, Refusal, Span, digest_json};

use crate::contract::Contract;
use crate::kpi::KpiSpec;
use crate::output::ModelOutput;
use crate::rollout::{Condition, Plan};
use crate::rule::Rule;
use crate::tier::TierInputs;

pub use diff::{Change, created, diff, diff_of};
pub use serving::{EndpointFile, Fallback, Limits, Retention};
pub use warn::Known;

/// A file of the wrong kind has a mistake on each line; nobody reads more than these.
const ERRORS_MAX: usize = 50;

/// A project file, checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectSpec {
    /// The project's name.
    pub name: Name,
    /// The workspace's name.
    pub workspace: Name,
    /// One line for people.
    pub title: String,
    /// Why and by whom.
    pub charter: Charter,
    /// Who will use the decisions.
    pub departments: Vec<Department>,
    /// What the tier is computed from.
    pub tier: Option<TierInputs>,
    /// The KPIs; exactly one is primary.
    pub kpis: Vec<KpiSpec>,
    /// Where predictions are asked for.
    pub endpoint: Option<EndpointSpec>,
    /// What a request must look like.
    pub contract: Option<Contract>,
    /// The file that the contract stands in, when it is not inline.
    pub contract_file: Option<String>,
    /// What follows from a prediction.
    pub rule: Option<Rule>,
    /// The planned comparison.
    pub trial: Option<TrialSpec>,
    /// What the project costs.
    pub costs: Option<Costs>,
}

/// The business problem and its people. People may not exist yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charter {
    /// The question that is answered.
    pub problem: String,
    /// The purpose that data owners approve.
    pub purpose: String,
    /// What kind of model answers it.
    pub task: Task,
    /// Who champions it where the work is done.
    pub business_owner: Option<Name>,
    /// Who answers for the model.
    pub technical_owner: Option<Name>,
    /// Who takes over.
    pub successor: Option<Name>,
    /// Who answers for the data.
    pub data_owners: Vec<Name>,
    /// The second line's person.
    pub risk_partner: Option<Name>,
    /// Who else works on it.
    pub members: Vec<Name>,
    /// Systems planned to call the endpoint.
    pub consumers: Vec<Name>,
}

impl Charter {
    /// Everybody whom the charter names, with the key that names them.
    pub fn people(&self) -> impl Iterator<Item = (&'static str, &Name)> {
        let one = [
            ("business_owner", &self.business_owner),
            ("technical_owner", &self.technical_owner),
            ("successor", &self.successor),
            ("risk_partner", &self.risk_partner),
        ];
        one.into_iter()
            .filter_map(|(key, name)| name.as_ref().map(|name| (key, name)))
            .chain(self.data_owners.iter().map(|name| ("data_owners", name)))
            .chain(self.members.iter().map(|name| ("members", name)))
    }
}

/// What kind of model a project needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Two classes and a probability.
    BinaryClassification,
    /// An amount.
    Regression,
}

/// A unit that uses the decisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Department {
    /// Its name.
    pub name: Name,
    /// How many people should use them.
    pub target_users: Option<u32>,
}

/// Where predictions are asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointSpec {
    /// The endpoint's name, stable for callers.
    pub name: Name,
    /// The model that it serves.
    pub model: ModelRef,
    /// The row field that names the business entity; the unit of assignment.
    pub entity: Option<String>,
    /// Row fields that find a decision again.
    pub keys: Vec<String>,
    /// What a holdout or frozen row gets.
    pub business_as_usual: Option<BusinessAsUsual>,
    /// How much worse than the incumbent a shadow may look: S1's margin, in KPI units.
    pub shadow_margin: f64,
    /// How long shadow cases of a newly bound version count: S1 has one look, after its end.
    #[serde(default = "four_weeks")]
    pub shadow_duration: Span,
    /// What is answered when the model cannot.
    #[serde(default, skip_serializing_if = "Fallback::is_error")]
    pub fallback: Fallback,
    /// How much may be asked at once.
    #[serde(default, skip_serializing_if = "Limits::is_default")]
    pub limits: Limits,
    /// What of the inputs the decision log keeps.
    #[serde(default, skip_serializing_if = "Retention::is_full")]
    pub retention: Retention,
    /// Conditions of every rollout of this endpoint, beside those of the rollout's plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<Condition>,
    /// How a new version comes into service; a project's endpoint has a usual plan without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Plan>,
    /// Whether signed-in testers may pick a variant by `x-viaduct-variant`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub trusted_override: bool,
    /// Whether the fallback answers what the contract stops, instead of a refusal.
    #[serde(default, skip_serializing_if = "is_false")]
    pub fallback_on_violation: bool,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

impl EndpointSpec {
    /// An endpoint that says nothing beyond its name and its model.
    pub fn bare(name: Name, model: ModelRef) -> Self {
        Self {
            name,
            model,
            entity: None,
            keys: Vec::new(),
            business_as_usual: None,
            shadow_margin: 0.0,
            shadow_duration: four_weeks(),
            fallback: Fallback::Error,
            limits: Limits::default(),
            retention: Retention::Full,
            guards: Vec::new(),
            rollout: None,
            trusted_override: false,
            fallback_on_violation: false,
        }
    }
}

/// The shadow time of a file that does not say.
fn four_weeks() -> Span {
    Span::days(28)
}

/// The answer without a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BusinessAsUsual {
    /// What is done.
    pub action: String,
    /// The output that is answered beside it, for callers who read one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<ModelOutput>,
}

/// A registered model's name and which of its versions: `name@alias` or `name/3`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelRef {
    /// The registered model.
    pub name: String,
    /// Which version.
    pub pick: Pick,
}

/// Which version of a model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pick {
    /// The one that the alias points at.
    Alias(String),
    /// This one.
    Version(u64),
}

impl FromStr for ModelRef {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || {
            format!("`{text}` does not name a model: use `name@alias`, or `name/3` for a version")
        };
        let (name, pick) = if let Some((name, alias)) = text.rsplit_once('@') {
            (name, Pick::Alias(alias.to_owned()))
        } else {
            let (name, version) = text.rsplit_once('/').ok_or_else(invalid)?;
            (name, Pick::Version(version.parse().map_err(|_| invalid())?))
        };
        let bad = |part: &str| part.is_empty() || part.contains(['/', ':', '@', ' ']);
        if bad(name) || matches!(&pick, Pick::Alias(alias) if bad(alias)) {
            return Err(invalid());
        }
        Ok(Self { name: name.to_owned(), pick })
    }
}

impl TryFrom<String> for ModelRef {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ModelRef> for String {
    fn from(model: ModelRef) -> String {
        model.to_string()
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pick {
            Pick::Alias(alias) => write!(f, "{}@{alias}", self.name),
            Pick::Version(version) => write!(f, "{}/{version}", self.name),
        }
    }
}

/// The planned comparison, as the file says it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialSpec {
    /// The trial's name.
    pub name: Name,
    /// The KPI that decides.
    pub kpi: Name,
    /// Share of entities without the model.
    pub holdout: f64,
    /// How long cases are taken.
    pub duration: Span,
    /// The smallest effect worth finding.
    pub mde: Mde,
    /// Two-sided error of the first kind.
    pub alpha: f64,
    /// Planned power.
    pub power: f64,
    /// KPIs that must not get worse.
    pub guardrails: Vec<GuardrailSpec>,
}

/// The smallest effect worth finding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mde {
    /// The effect at which the project pays for itself.
    BreakEven,
    /// This effect, in KPI units.
    Amount(f64),
}

impl Serialize for Mde {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Mde::BreakEven => s.serialize_str("break_even"),
            Mde::Amount(amount) => s.serialize_f64(*amount),
        }
    }
}

impl<'de> Deserialize<'de> for Mde {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(d)?;
        match (value.as_str(), value.as_f64()) {
            (Some("break_even"), _) => Ok(Mde::BreakEven),
            (_, Some(amount)) => Ok(Mde::Amount(amount)),
            _ => Err(serde::de::Error::custom("expected `break_even` or a number")),
        }
    }
}

/// A guardrail by the KPI's name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardrailSpec {
    /// The KPI.
    pub kpi: Name,
    /// How much worse it may get, relative to the holdout's level.
    pub margin: f64,
}

/// What the project costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// Running it for a month.
    pub run_per_month: f64,
    /// Doing the rule's action once.
    pub per_action: f64,
    /// Building it, once.
    pub build: f64,
    /// The currency of all three.
    pub currency: Currency,
}

/// A part of a project file that has a hash of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Section {
    /// `charter`.
    Charter,
    /// `kpis`.
    Kpis,
    /// `endpoint`.
    Endpoint,
    /// `contract`.
    Contract,
    /// `rule`.
    Rule,
    /// `trial`.
    Trial,
}

impl ProjectSpec {
    /// The KPI of this name.
    pub fn kpi(&self, name: &Name) -> Option<&KpiSpec> {
        self.kpis.iter().find(|kpi| kpi.name == *name)
    }

    /// The primary KPI.
    pub fn primary_kpi(&self) -> Option<&KpiSpec> {
        self.kpis.iter().find(|kpi| kpi.primary)
    }

    /// The hash of one section; an absent section has the hash of `null`.
    pub fn section_hash(&self, section: Section) -> Digest {
        match section {
            Section::Charter => digest_of(&self.charter),
            Section::Kpis => digest_of(&self.kpis),
            Section::Endpoint => digest_of(&self.endpoint),
            Section::Contract => digest_of(&self.contract),
            Section::Rule => digest_of(&self.rule),
            Section::Trial => digest_of(&self.trial),
        }
    }
}

/// Reads a project file. A second YAML document is the contract that `spec.contract.file` names;
/// [`attach_contract`] puts it there.
///
/// # Errors
/// `invalid-manifest` with every bad place: line, column and pointer.
pub fn parse(text: &str) -> Result<ProjectSpec, Refusal> {
    read_with(text, "project", read::project)
}

/// Whether a file says that it is of `kind: Endpoint`; a file that cannot be read does not.
pub fn is_endpoint(text: &str) -> bool {
    let documents = located::documents(text).ok();
    let kind = documents.as_ref().and_then(|all| all.first()?.value.get("kind")?.as_str());
    kind == Some("Endpoint")
}

/// Reads a file of `kind: Endpoint`.
///
/// # Errors
/// `invalid-manifest` with every bad place: line, column and pointer.
pub fn parse_endpoint(text: &str) -> Result<EndpointFile, Refusal> {
    read_with(text, "endpoint", read_endpoint::file)
}

fn read_with<T>(
    text: &str,
    what: &str,
    read: fn(&[located::Located]) -> Result<T, Vec<FieldError>>,
) -> Result<T, Refusal> {
    let problems = match located::documents(text) {
        Ok(documents) => match read(&documents) {
            Ok(spec) => return Ok(spec),
            Err(problems) => problems,
        },
        Err(problem) => vec![*problem],
    };
    let count = problems.len();
    let problems: Vec<_> = problems.into_iter().take(ERRORS_MAX).collect();
    let detail = match problems.as_slice() {
        [one] => format!("the {what} file has a mistake: {}", one.detail),
        [first, ..] => {
            format!("the {what} file has {count} mistakes, the first: {}", first.detail)
        }
        [] => format!("the {what} file has a mistake"),
    };
    Err(Refusal::new(Kind::InvalidManifest, detail).with_errors(problems))
}

/// The file that `spec.contract.file` names, so that a client can send it along; `None` when the
/// contract is inline, or when the text cannot be read (then [`parse`] says why).
pub fn contract_file(text: &str) -> Option<String> {
    let documents = located::documents(text).ok()?;
    let file = documents.first()?.value.pointer("/spec/contract/file")?;
    file.as_str().map(str::to_owned)
}

/// A project file and its contract as one text. The project's lines keep their numbers; the
/// contract's begin two lines after the project's last.
pub fn attach_contract(project: &str, contract: &str) -> String {
    let contract = contract.trim_start_matches('\u{feff}');
    let contract = contract.strip_prefix("---\n").unwrap_or(contract);
    format!("{}\n---\n{contract}", project.trim_end_matches('\n'))
}

/// The digest of a value's canonical JSON. Why it has no error: the domain's types always
/// serialise; the words of an impossible error would still make a digest that equals no other.
pub(crate) fn digest_of<T: Serialize>(value: &T) -> Digest {
    digest_json(value).unwrap_or_else(|error| Digest::of(error.to_string().as_bytes()))
}

/// A key as a segment of a JSON pointer.
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
pub(crate) mod tests;
