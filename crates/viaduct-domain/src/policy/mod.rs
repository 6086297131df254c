//! The policy: which criteria and signatures stand between two stages.
//!
//! A risk person reads and edits the YAML; [`Policy::parse`] turns it into checked rows once.
//! Invariant: in a `Policy` every operator fits the shape of its fact, every threshold fits its
//! operator, and every check says how old its fact may be. It knows no facts' values.

mod operator;
mod raw;
mod when;

use std::collections::BTreeMap;

use serde::Serialize;
use viaduct_base::{Digest, Fault, Refusal, Span, digest_json};

use crate::fact::FactName;
use crate::stage::GateName;
use crate::tier::Tier;
use crate::words::words;

pub use operator::{Operator, Threshold};
pub use when::When;

/// The policy that ships with the binary: gates.md §2.3 whole.
pub const SHIPPED: &str = include_str!("../../policies/default.yaml");

words! {
    /// What a criterion that does not pass does.
    Severity, "a severity" {
        /// The gate stays shut.
        Block = "block",
        /// People are told.
        Warn = "warn",
    }
}

words! {
    /// Who signs.
    SignerRole, "a signer's role" {
        /// Champions the project where the work is done.
        BusinessOwner = "business_owner",
        /// Answers for the data.
        DataOwner = "data_owner",
        /// The second line's person.
        RiskPartner = "risk_partner",
        /// Leads the team that runs it from now on.
        ReceivingOpsLead = "receiving_ops_lead",
        /// Answers for the unit value and the realised figures.
        FinancePartner = "finance_partner",
        /// Validates without having built it.
        IndependentValidator = "independent_validator",
        /// Owns the budget.
        ExecutiveSponsor = "executive_sponsor",
        /// Leads the platform.
        PlatformLead = "platform_lead",
        /// Model risk.
        ModelRisk = "model_risk",
        /// Compliance.
        Compliance = "compliance",
    }
}

words! {
    /// What happens when signers stay silent.
    OnTimeout, "what to do on a time-out" {
        /// Tell the next manager; the gate stays shut.
        Escalate = "escalate",
        /// Silence is consent, provided every blocking criterion passes.
        Accept = "accept_if_all_block_pass",
    }
}

/// Which policy a gate was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyRef {
    /// The version that its authors gave it.
    pub version: u32,
    /// The digest of its checked rows.
    pub hash: Digest,
}

/// Every gate of an organisation.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    of: PolicyRef,
    gates: Vec<Gate>,
}

/// Criteria and signatures between two stages.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gate {
    /// Which gate.
    pub name: GateName,
    /// Where it was read from. Not part of the digest that it names.
    #[serde(skip)]
    pub policy: PolicyRef,
    /// How many fields people may be asked to type for it.
    pub human_fields_max: u32,
    /// Its criteria, in the order of the file.
    pub criteria: Vec<Criterion>,
    /// Its signatures.
    pub signatures: Vec<SignatureRow>,
    /// Working days in which signers answer.
    pub working_days: u32,
    /// What their silence means, for every tier.
    pub on_timeout: BTreeMap<Tier, OnTimeout>,
}

impl Gate {
    /// The criterion with this id.
    pub fn criterion(&self, id: &str) -> Option<&Criterion> {
        self.criteria.iter().find(|criterion| criterion.id == id)
    }

    /// What silence means at this tier.
    pub fn on_timeout(&self, tier: Tier) -> OnTimeout {
        self.on_timeout.get(&tier).copied().unwrap_or(OnTimeout::Escalate)
    }
}

/// One row of a gate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Criterion {
    /// Its id, unique in the policy: `A1`, `V3`.
    pub id: String,
    /// The failure it guards against: 1 alignment, 2 data, 3 integration, 4 ownership, 5 people.
    pub trigger: Option<u8>,
    /// A few words for people.
    pub title: String,
    /// Its checks; the worst one is the criterion's status.
    pub checks: Vec<Check>,
    /// What it does when it does not pass.
    pub severity: Severity,
    /// What differs at a tier.
    pub tiers: BTreeMap<Tier, TierOverride>,
    /// To which projects it applies.
    pub when: When,
    /// Whether a waiver may stand in for it.
    pub waivable: bool,
    /// What to do when it does not pass; `{project}`, `{endpoint}`, `{model}`, `{kpi}` are filled.
    pub fix: String,
}

impl Criterion {
    /// What it does at this tier when it does not pass.
    pub fn severity_at(&self, tier: Tier) -> Severity {
        self.tiers.get(&tier).and_then(|over| over.severity).unwrap_or(self.severity)
    }

    /// How old the fact of `check` may be at this tier.
    pub fn max_age_at(&self, tier: Tier, check: &Check) -> Span {
        self.tiers.get(&tier).and_then(|over| over.max_age).unwrap_or(check.max_age)
    }

    /// Whether a waiver may stand in for the whole of it.
    pub fn is_waivable(&self) -> bool {
        self.waivable
    }
}

/// What differs at one tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TierOverride {
    /// Another severity.
    pub severity: Option<Severity>,
    /// Another maximum age of its facts.
    pub max_age: Option<Span>,
}

/// One comparison of one fact.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// The fact.
    pub fact: FactName,
    /// How it is compared.
    pub op: Operator,
    /// With what.
    pub threshold: Threshold,
    /// The least number of cases behind it.
    pub min_n: Option<u64>,
    /// The least confidence of its interval.
    pub level: Option<f64>,
    /// The length of time it must cover.
    pub window: Option<Span>,
    /// How old it may be.
    pub max_age: Span,
    /// To which projects the check applies.
    pub when: When,
    /// Whether a waiver of the criterion covers this check.
    pub waivable: bool,
}

/// One signature that a gate asks for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SignatureRow {
    /// Who.
    pub role: SignerRole,
    /// What they confirm; they add the main residual risk in their own words.
    pub statement: String,
    /// For which projects.
    pub when: When,
    /// Whether everybody who has the role signs, or one of them.
    pub everyone: bool,
}

impl Policy {
    /// Reads and checks a policy.
    ///
    /// # Errors
    /// Refused with the places of the mistakes; an unknown word names the nearest known one.
    pub fn parse(text: &str) -> Result<Policy, Refusal> {
        raw::parse(text)
    }

    /// The policy in the binary.
    ///
    /// # Errors
    /// Never in a released binary: a test reads it.
    pub fn shipped() -> Result<Policy, Refusal> {
        Policy::parse(SHIPPED)
    }

    fn assemble(version: u32, mut gates: Vec<Gate>) -> Result<Policy, Fault> {
        let hash = digest_json(&gates).map_err(|e| Fault::caused("hashing the policy", e))?;
        let of = PolicyRef { version, hash };
        for gate in &mut gates {
            gate.policy = of.clone();
        }
        Ok(Policy { of, gates })
    }

    /// The version that its authors gave it.
    pub fn version(&self) -> u32 {
        self.of.version
    }

    /// The digest of its rows; comments and spaces of the file do not matter.
    pub fn hash(&self) -> &Digest {
        &self.of.hash
    }

    /// Its gates, in the order of the file.
    pub fn gates(&self) -> &[Gate] {
        &self.gates
    }

    /// One gate.
    pub fn gate(&self, name: GateName) -> Option<&Gate> {
        self.gates.iter().find(|gate| gate.name == name)
    }

    /// The window that the policy asks of a fact, so that its collector measures just that.
    pub fn window_of(&self, fact: FactName) -> Option<Span> {
        let checks = self.gates.iter().flat_map(|gate| &gate.criteria).flat_map(|c| &c.checks);
        checks.filter(|check| check.fact == fact).find_map(|check| check.window)
    }
}

#[cfg(test)]
mod tests;
