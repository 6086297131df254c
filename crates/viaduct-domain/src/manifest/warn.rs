//! What a valid project file names that does not exist yet.

use std::collections::BTreeSet;

use super::{Pick, ProjectSpec};
use crate::contract::Availability;

/// What exists: handed in by the caller.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Names of active users.
    pub users: BTreeSet<String>,
    /// Registered models by name, and what can be served as `name@alias` and `name/version`.
    pub models: BTreeSet<String>,
    /// History files that are loaded, as the project file names them.
    pub files: BTreeSet<String>,
}

impl ProjectSpec {
    /// A sentence for each thing that the file names and that does not exist yet, and for each
    /// part that a gate will ask for. None of them stops `apply`.
    pub fn warnings(&self, known: &Known) -> Vec<String> {
        let mut said = Vec::new();
        self.warn_people(known, &mut said);
        self.warn_model(known, &mut said);
        self.warn_contract(&mut said);
        self.warn_rule_and_trial(&mut said);
        for kpi in &self.kpis {
            let file = kpi.baseline.as_ref().and_then(|baseline| baseline.file.as_ref());
            if let Some(file) = file.filter(|file| !known.files.contains(*file)) {
                said.push(format!(
                    "the history `{file}` of the KPI `{}` is not loaded yet: A2 waits for it",
                    kpi.name
                ));
            }
        }
        said
    }

    fn warn_people(&self, known: &Known, said: &mut Vec<String>) {
        let mut seen = BTreeSet::new();
        for (key, name) in self.charter.people() {
            if !known.users.contains(name.as_str()) && seen.insert(name) {
                said.push(format!(
                    "the user `{name}` (`charter.{key}`) does not exist yet: `viaduct user add \
                         {name}`"
                ));
            }
        }
        let owners = [
            ("business_owner", &self.charter.business_owner),
            ("technical_owner", &self.charter.technical_owner),
        ];
        for (key, owner) in owners {
            if owner.is_none() {
                said.push(format!("`charter.{key}` is not named: O1 needs two distinct owners"));
            }
        }
        if let (Some(business), Some(technical)) = (owners[0].1, owners[1].1)
            && business == technical
        {
            said.push(format!("`{business}` is both owners: O1 needs two distinct people"));
        }
    }

    fn warn_model(&self, known: &Known, said: &mut Vec<String>) {
        let Some(endpoint) = &self.endpoint else {
            said.push(
                "`endpoint` is missing: nothing can be predicted, S1 and D2 stay open".to_owned(),
            );
            return;
        };
        let model = &endpoint.model;
        if !known.models.contains(&model.name) {
            said.push(format!(
                "the model `{}` is not registered yet: the endpoint `{}` answers business as \
                     usual until it is",
                model.name, endpoint.name
            ));
        } else if !known.models.contains(&model.to_string()) {
            said.push(match &model.pick {
                Pick::Alias(alias) => {
                    format!("the model `{}` has no alias `{alias}` yet", model.name)
                }
                Pick::Version(version) => {
                    format!("the model `{}` has no version {version} yet", model.name)
                }
            });
        }
        if endpoint.business_as_usual.is_none() {
            said.push(format!(
                "the endpoint `{}` declares no `business_as_usual`: each call must carry the \
                     incumbent's answer",
                endpoint.name
            ));
        }
    }

    fn warn_contract(&self, said: &mut Vec<String>) {
        let Some(contract) = &self.contract else {
            said.push(match &self.contract_file {
                Some(file) => {
                    format!("the contract file `{file}` was not sent along: D1 waits for it")
                }
                None => "`contract` is missing: D1 and D3 stay open".to_owned(),
            });
            return;
        };
        let purpose = &self.charter.purpose;
        if !contract.purpose_approved(purpose) {
            said.push(format!(
                "the contract `{}` does not approve the purpose `{purpose}` \
                     (`viaduct.purposes`): D3 stays shut",
                contract.id()
            ));
        }
        let silent: Vec<_> =
            contract.fields().iter().filter(|f| f.available.is_none()).map(|f| &*f.name).collect();
        if !silent.is_empty() {
            said.push(format!(
                "the contract does not say when these are known (`viaduct.available`): `{}`; \
                     M3 has not enough data for them",
                silent.join("`, `")
            ));
        }
        let late = contract.fields().iter().filter(|f| f.required);
        for field in late.filter(|f| f.available == Some(Availability::AfterDecision)) {
            said.push(format!(
                "the contract requires `{}`, which is known only after the decision: requests \
                     may leave it out",
                field.name
            ));
        }
    }

    fn warn_rule_and_trial(&self, said: &mut Vec<String>) {
        match &self.rule {
            None => said.push("`rule` is missing: I1 stays open".to_owned()),
            Some(rule) if rule.queue.is_none() => {
                said.push(format!(
                    "the rule `{}` names no `queue`: I1 cannot compare its volume with a capacity",
                    rule.name
                ));
            }
            Some(_) => {}
        }
        let usual = self.endpoint.as_ref().and_then(|e| e.business_as_usual.as_ref());
        if let (Some(rule), Some(usual)) = (&self.rule, usual)
            && rule.deed(&usual.action).is_none()
        {
            said.push(format!(
                "business as usual does `{}`, the rule `{}` or `{}`: a shadow cannot tell what \
                     another action would have been worth",
                usual.action, rule.action, rule.otherwise
            ));
        }
        if self.trial.is_none() {
            said.push("`trial` is missing: A3 has no plan to answer".to_owned());
        }
        if self.tier.is_none() {
            said.push(
                "`tier` is missing: the project counts as T1, the strictest, until it is there"
                    .to_owned(),
            );
        }
    }
}
