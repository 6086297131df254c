//! An open review with its signatures, and waivers with their debt.

use viaduct_base::Timestamp;

use super::stage::chip;
use crate::path;
use crate::svg::Markup;

/// One wanted signature.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    /// The role that signs, such as `business_owner`.
    pub role: String,
    /// What the role vouches for.
    pub vouches_for: String,
    /// Who may sign.
    pub people: Vec<String>,
    /// Who signed.
    pub signed_by: Option<String>,
    /// When.
    pub signed_at: Option<Timestamp>,
    /// The sentence that was given.
    pub statement: Option<String>,
    /// By when it is due.
    pub due_at: Option<Timestamp>,
}

impl Signature {
    /// The role in words.
    pub fn role_label(&self) -> String {
        self.role.replace('_', " ")
    }
}

/// An open review of one evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Review {
    /// Its id.
    pub id: String,
    /// The gate.
    pub gate: String,
    /// The evaluation that everybody signs.
    pub evaluation_id: String,
    /// Its hash.
    pub evaluation_hash: String,
    /// Who asked.
    pub opened_by: String,
    /// When.
    pub opened_at: Timestamp,
    /// What happens when nobody signs, as a sentence.
    pub timeout: Option<String>,
    /// The signatures wanted and given.
    pub signatures: Vec<Signature>,
    /// The roles in which the signed-in person may sign now.
    pub my_roles: Vec<String>,
    /// Whether the signed-in person may withdraw it.
    pub may_withdraw: bool,
}

impl Review {
    /// How many signatures are given.
    pub fn given(&self) -> usize {
        self.signatures.iter().filter(|s| s.signed_by.is_some()).count()
    }

    pub(crate) fn sign_action(&self) -> String {
        path::sign_review(&self.id)
    }

    pub(crate) fn withdraw_action(&self) -> String {
        path::withdraw_review(&self.id)
    }
}

/// Whether the next gate can be asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum AskState {
    /// The signed-in person may ask now.
    Ready,
    /// Not now; the sentence says why and what to do.
    NotYet(String),
    /// There is nothing to ask for: a review is open, or the project has ended.
    Hidden,
}

/// How a waiver stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaiverState {
    /// Waits for somebody outside the project.
    Asked,
    /// In force.
    Approved,
    /// Past its date.
    Expired,
}

impl WaiverState {
    /// The word for people.
    pub fn label(self) -> &'static str {
        match self {
            WaiverState::Asked => "Asked for",
            WaiverState::Approved => "In force",
            WaiverState::Expired => "Expired",
        }
    }

    /// A chip with icon and word.
    pub fn chip(self) -> Markup {
        let (class, icon) = match self {
            WaiverState::Asked => ("not-enough-data", "wait"),
            WaiverState::Approved => ("waived", "waived"),
            WaiverState::Expired => ("stale", "stale"),
        };
        chip(class, icon, self.label())
    }
}

/// A dated exemption: a debt until it is paid.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiver {
    /// Its id.
    pub id: String,
    /// The criterion's id.
    pub criterion: String,
    /// How it stands.
    pub state: WaiverState,
    /// Why it was asked for.
    pub reason: String,
    /// What is done instead.
    pub compensation: String,
    /// Who asked.
    pub asked_by: String,
    /// Who approved.
    pub approved_by: Option<String>,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Whether the signed-in person may approve it.
    pub may_approve: bool,
}

impl Waiver {
    pub(crate) fn approve_action(&self) -> String {
        path::approve_waiver(&self.id)
    }
}
