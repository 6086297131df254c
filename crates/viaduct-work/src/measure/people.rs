//! O1: a business owner and a technical owner who are two people and were here lately.

use serde_json::json;
use viaduct_base::{Span, Timestamp};
use viaduct_domain::fact::{FactName, FactValue, Measurement};

use super::Ground;

/// How lately an owner must have signed in.
const LATELY: Span = Span::days(30);

/// The pair as the store knows it.
#[derive(Debug, Clone, Default)]
pub struct Owners {
    /// The business owner.
    pub business: Option<OwnerActivity>,
    /// The technical owner.
    pub technical: Option<OwnerActivity>,
}

/// One owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerActivity {
    /// The name in the charter.
    pub name: String,
    /// Whether a user of that name exists and is not disabled.
    pub is_active: bool,
    /// The last sign-in.
    pub signed_in_at: Option<Timestamp>,
}

pub(super) fn measure(ground: &Ground<'_>) -> Option<Measurement> {
    let (business, technical) = match (&ground.owners.business, &ground.owners.technical) {
        (Some(business), Some(technical)) => (business, technical),
        // Why no fact: a charter that names nobody says nothing about a pair.
        _ => return None,
    };
    let mut wrong = Vec::new();
    if business.name == technical.name {
        wrong.push(format!("`{}` is both owners", business.name));
    }
    for owner in [business, technical] {
        if !owner.is_active {
            wrong.push(format!("`{}` is no active user", owner.name));
        } else if owner.signed_in_at.is_none_or(|at| at < ground.now - LATELY) {
            wrong.push(format!("`{}` has not signed in for 30 days", owner.name));
        }
    }
    let inputs = json!({
        "business": [business.name, business.is_active, business.signed_in_at],
        "technical": [technical.name, technical.is_active, technical.signed_in_at],
    });
    let made =
        ground.measured(FactName::OwnerPairActive, FactValue::flag(wrong.is_empty()), &inputs)?;
    let note = if wrong.is_empty() {
        format!("`{}` and `{}` are active", business.name, technical.name)
    } else {
        wrong.join("; ")
    };
    Some(made.note(note))
}
