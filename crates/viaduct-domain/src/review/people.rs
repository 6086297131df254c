//! Who signs: roles of the policy matched with people of the charter.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use viaduct_base::{Kind, Name, Refusal};

use super::Signature;
use crate::evaluate::Evaluation;
use crate::policy::{Gate, SignerRole};

/// The people who may sign, by role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signers(BTreeMap<SignerRole, Vec<Name>>);

impl Signers {
    /// Nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With these people for a role.
    #[must_use]
    pub fn with(mut self, role: SignerRole, people: impl IntoIterator<Item = Name>) -> Self {
        let known = self.0.entry(role).or_default();
        for person in people {
            if !known.contains(&person) {
                known.push(person);
            }
        }
        self
    }

    /// The people of a role.
    pub fn of(&self, role: SignerRole) -> &[Name] {
        self.0.get(&role).map(Vec::as_slice).unwrap_or_default()
    }
}

/// One signature that a review waits for: one of these people, in this role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Required {
    /// The role.
    pub role: SignerRole,
    /// Who may give it.
    pub users: Vec<Name>,
    /// What they confirm.
    pub statement: String,
}

/// The signatures that a gate asks for at this tier and purpose.
pub(super) fn required(
    gate: &Gate,
    evaluation: &Evaluation,
    signers: &Signers,
) -> Result<Vec<Required>, Refusal> {
    let mut slots = Vec::new();
    for row in &gate.signatures {
        if !row.when.holds(evaluation.tier, &evaluation.purposes) {
            continue;
        }
        let users = signers.of(row.role);
        if users.is_empty() {
            let role = row.role;
            return refuse(format!(
                "nobody is named as `{role}`: name the person in the charter of viaduct.yaml and apply it"
            ));
        }
        let slot = |users: &[Name]| Required {
            role: row.role,
            users: users.to_vec(),
            statement: row.statement.clone(),
        };
        if row.everyone {
            slots.extend(users.iter().map(|user| slot(std::slice::from_ref(user))));
        } else {
            slots.push(slot(users));
        }
    }
    if slots.is_empty() {
        return refuse(format!("gate `{}` asks nobody to sign: correct the policy", gate.name));
    }
    if let Some(lonely) = without_a_person(&slots) {
        return refuse(format!(
            "different roles need different people, and nobody is left for `{}`: name somebody else in the charter",
            slots[lonely].role
        ));
    }
    Ok(slots)
}

/// The slots that no signature fills yet.
pub(super) fn missing(required: &[Required], signatures: &[Signature]) -> Vec<Required> {
    let mut left: Vec<&Required> = required.iter().collect();
    for signed in signatures {
        let fits = |slot: &&Required| slot.role == signed.role && slot.users.contains(&signed.user);
        if let Some(at) = left.iter().position(fits) {
            left.remove(at);
        }
    }
    left.into_iter().cloned().collect()
}

/// Gives each slot a person of its own, moving earlier choices where that helps; a slot for which
/// nobody is left.
fn without_a_person(slots: &[Required]) -> Option<usize> {
    let mut taken = BTreeMap::new();
    (0..slots.len()).find(|slot| !place(slots, *slot, &mut taken, &mut Vec::new()))
}

fn place<'a>(
    slots: &'a [Required],
    slot: usize,
    taken: &mut BTreeMap<&'a Name, usize>,
    tried: &mut Vec<&'a Name>,
) -> bool {
    for user in &slots[slot].users {
        if tried.contains(&user) {
            continue;
        }
        tried.push(user);
        let free = match taken.get(user).copied() {
            None => true,
            Some(other) => place(slots, other, taken, tried),
        };
        if free {
            taken.insert(user, slot);
            return true;
        }
    }
    false
}

fn refuse<T>(detail: String) -> Result<T, Refusal> {
    Err(Refusal::new(Kind::GateShut, detail))
}
