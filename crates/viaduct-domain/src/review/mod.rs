//! A review of one evaluation, and the only way a gate opens.
//!
//! People sign the evaluation's hash. When the last signature is in, or at T3 the policy's
//! recorded time-out has passed, [`conclude`] looks at a fresh evaluation: the gate opens only if
//! nothing blocks and the ground is still the one that was signed. Invariant: [`OpenedGate`] is
//! built here and nowhere else, cannot be copied, stored or read back.

mod people;
mod working_days;

use serde::{Deserialize, Serialize};
use viaduct_base::{Digest, EvaluationId, Kind, Name, ProjectId, Refusal, ReviewId, Timestamp};

use crate::evaluate::{Difference, Evaluation, diff};
use crate::policy::{Gate, OnTimeout, SignerRole};
use crate::stage::GateName;
use crate::tier::Tier;
use crate::words::words;

pub use people::{Required, Signers};
pub use working_days::after_working_days;

/// A statement shorter than this names no risk.
const STATEMENT_MIN: usize = 12;

words! {
    /// Where a review stands.
    ReviewState, "a review's state" {
        /// Waiting for signatures.
        Open = "open",
        /// The gate opened.
        Opened = "opened",
        /// The evidence changed, and the gate stayed shut.
        Closed = "closed",
        /// Somebody took it back.
        Withdrawn = "withdrawn",
    }
}

words! {
    /// What opened a gate, beside the evidence.
    Consent, "a consent" {
        /// Everybody signed.
        Signatures = "signatures",
        /// The policy's time-out at T3 passed.
        Silence = "silence",
    }
}

/// One signature under an evaluation's hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// In which role.
    pub role: SignerRole,
    /// Who.
    pub user: Name,
    /// The main residual risk in their words.
    pub statement: String,
    /// What was signed.
    pub evaluation_hash: Digest,
    /// When.
    pub signed_at: Timestamp,
}

/// A request for a gate, on one evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// Its id.
    pub id: ReviewId,
    /// The project.
    pub project: ProjectId,
    /// The gate that is asked for.
    pub gate: GateName,
    /// The evaluation.
    pub evaluation: EvaluationId,
    /// Its hash: what people sign.
    pub evaluation_hash: Digest,
    /// The tier at which it was asked for.
    pub tier: Tier,
    /// Who asked.
    pub opened_by: Name,
    /// When.
    pub opened_at: Timestamp,
    /// Until when signers answer.
    pub due_at: Timestamp,
    /// What their silence means; recorded from the policy when the review opened.
    pub on_timeout: OnTimeout,
    /// Who signs.
    pub required: Vec<Required>,
    /// Where it stands.
    pub state: ReviewState,
    /// When it was concluded or withdrawn.
    pub closed_at: Option<Timestamp>,
    /// Who withdrew it.
    pub withdrawn_by: Option<Name>,
    /// What opened the gate, when it opened.
    pub consent: Option<Consent>,
    /// When the signers' silence was escalated.
    pub escalated_at: Option<Timestamp>,
    /// Why it closed: what was not as it had been signed.
    pub difference: Vec<Difference>,
    /// The signatures. Not in the review's JSON: they live in their own chained table, and
    /// [`Review::with_signatures`] puts them back.
    #[serde(skip)]
    pub signatures: Vec<Signature>,
}

/// What a review needs to open.
#[derive(Debug)]
pub struct ReviewRequest<'a> {
    /// The new review's id.
    pub id: ReviewId,
    /// The gate of the policy.
    pub gate: &'a Gate,
    /// The evaluation that was made now, and its id.
    pub evaluation: (EvaluationId, &'a Evaluation),
    /// The people of the charter.
    pub signers: &'a Signers,
    /// Who asks.
    pub by: Name,
}

/// What a review waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// For these, until it is due.
    Waiting(Vec<Required>),
    /// Everybody signed: conclude it.
    Signed,
    /// T3, and the time-out has passed in silence: conclude it.
    Silence,
    /// The time-out has passed and silence opens nothing: escalate, and wait for these.
    Overdue(Vec<Required>),
    /// It is over.
    Over,
}

/// The proof that a gate opened. Only [`conclude`] builds one; a stage moves by it and uses it up.
#[derive(Debug)]
pub struct OpenedGate {
    project: ProjectId,
    gate: GateName,
    review: Option<ReviewId>,
    evaluation_hash: Digest,
}

impl OpenedGate {
    /// Whose gate.
    pub fn project(&self) -> ProjectId {
        self.project
    }

    /// Which gate.
    pub fn gate(&self) -> GateName {
        self.gate
    }

    /// The review that opened it.
    pub fn review(&self) -> Option<ReviewId> {
        self.review
    }

    /// The hash of the evaluation that passed at the conclusion.
    pub fn evaluation_hash(&self) -> &Digest {
        &self.evaluation_hash
    }

    #[cfg(test)]
    pub(crate) fn for_test(project: ProjectId, gate: GateName) -> Self {
        Self { project, gate, review: None, evaluation_hash: Digest::of(b"") }
    }
}

/// How a review ended.
#[derive(Debug)]
pub enum Conclusion {
    /// The gate opened.
    Opened(OpenedGate),
    /// Something changed since it was signed; the gate stays shut.
    Closed(Vec<Difference>),
}

impl Review {
    /// Opens a review.
    ///
    /// # Errors
    /// Refused when the evaluation does not open the gate, was not made now, or the charter lacks
    /// the people: every role needs somebody, and different roles need different people.
    pub fn open(request: ReviewRequest<'_>, now: Timestamp) -> Result<Review, Refusal> {
        let ReviewRequest { id, gate, evaluation: (evaluation_id, evaluation), signers, by } =
            request;
        if evaluation.gate != gate.name || evaluation.policy_hash != gate.policy.hash {
            return shut(format!(
                "the evaluation is not of gate `{}`: evaluate it again",
                gate.name
            ));
        }
        if evaluation.at != now {
            return shut("the evaluation is not of this moment: evaluate the gate again".into());
        }
        if !evaluation.opens {
            let blockers = evaluation.blockers.join("`, `");
            return shut(format!(
                "gate `{}` is kept shut by `{blockers}`: mend or waive these first",
                gate.name
            ));
        }
        let required = people::required(gate, evaluation, signers)?;
        Ok(Review {
            id,
            project: evaluation.project,
            gate: gate.name,
            evaluation: evaluation_id,
            evaluation_hash: hash(evaluation)?,
            tier: evaluation.tier,
            opened_by: by,
            opened_at: now,
            due_at: after_working_days(now, gate.working_days),
            on_timeout: gate.on_timeout(evaluation.tier),
            required,
            state: ReviewState::Open,
            closed_at: None,
            withdrawn_by: None,
            consent: None,
            escalated_at: None,
            difference: Vec::new(),
            signatures: Vec::new(),
        })
    }

    /// Puts stored signatures back.
    #[must_use]
    pub fn with_signatures(mut self, signatures: Vec<Signature>) -> Self {
        self.signatures = signatures;
        self
    }

    /// Signs; the signature is added and returned, to be stored.
    ///
    /// # Errors
    /// Refused when the review is over, the role is not asked of this person, the person or the
    /// role signed already, another hash was shown, or the statement names no risk.
    pub fn sign(
        &mut self,
        role: SignerRole,
        user: Name,
        statement: &str,
        seen: &Digest,
        now: Timestamp,
    ) -> Result<Signature, Refusal> {
        self.needs_open()?;
        if *seen != self.evaluation_hash {
            return Err(Refusal::new(
                Kind::Conflict,
                format!(
                    "you signed `{}`, and the review is of `{}`: look at it again",
                    seen.short(),
                    self.evaluation_hash.short()
                ),
            ));
        }
        let statement = statement.trim();
        check_statement(statement)?;
        if let Some(earlier) = self.signatures.iter().find(|signed| signed.user == user) {
            return Err(Refusal::new(
                Kind::AlreadyExists,
                format!(
                    "`{user}` signed as `{}` already: signers are different people",
                    earlier.role
                ),
            ));
        }
        let signature = Signature {
            role,
            user,
            statement: statement.to_owned(),
            evaluation_hash: seen.clone(),
            signed_at: now,
        };
        self.slot_for(&signature)?;
        self.signatures.push(signature.clone());
        Ok(signature)
    }

    /// Whether the signature fits a required one that is still missing.
    fn slot_for(&self, signature: &Signature) -> Result<(), Refusal> {
        let (role, user) = (signature.role, &signature.user);
        let of_role: Vec<_> = self.required.iter().filter(|slot| slot.role == role).collect();
        if of_role.is_empty() {
            let roles: Vec<_> = self.required.iter().map(|slot| slot.role.as_str()).collect();
            return Err(Refusal::new(
                Kind::InvalidInput,
                format!("no `{role}` signs here: the roles are `{}`", roles.join("`, `")),
            ));
        }
        if !of_role.iter().any(|slot| slot.users.contains(user)) {
            return Err(Refusal::new(
                Kind::Forbidden,
                format!("the charter does not name `{user}` as `{role}`"),
            ));
        }
        let missing = people::missing(&self.required, &self.signatures);
        if missing.iter().any(|slot| slot.role == role && slot.users.contains(user)) {
            return Ok(());
        }
        Err(Refusal::new(Kind::AlreadyExists, format!("somebody signed as `{role}` already")))
    }

    /// What it waits for.
    pub fn readiness(&self, now: Timestamp) -> Readiness {
        if self.state != ReviewState::Open {
            return Readiness::Over;
        }
        let valid: Vec<Signature> = self.valid_signatures().cloned().collect();
        let missing = people::missing(&self.required, &valid);
        if missing.is_empty() && !self.required.is_empty() {
            return Readiness::Signed;
        }
        if now < self.due_at {
            return Readiness::Waiting(missing);
        }
        // Why the tier is asked as well: no policy, however it was edited, opens T1 or T2 silently.
        if self.on_timeout == OnTimeout::Accept && self.tier == Tier::T3 {
            Readiness::Silence
        } else {
            Readiness::Overdue(missing)
        }
    }

    /// Signatures that count. Why looked at again: rows come from a database, and one that was
    /// written there by hand must not open a gate.
    fn valid_signatures(&self) -> impl Iterator<Item = &Signature> {
        self.signatures.iter().enumerate().filter_map(|(at, signed)| {
            let earlier = &self.signatures[..at];
            let counts = signed.evaluation_hash == self.evaluation_hash
                && signed.signed_at >= self.opened_at
                && check_statement(&signed.statement).is_ok()
                && !earlier.iter().any(|other| other.user == signed.user);
            counts.then_some(signed)
        })
    }

    /// Records, once, that the time-out passed and silence opens nothing; says whether it did.
    pub fn escalate(&mut self, now: Timestamp) -> bool {
        let overdue = matches!(self.readiness(now), Readiness::Overdue(_));
        let first = overdue && self.escalated_at.is_none();
        if first {
            self.escalated_at = Some(now);
        }
        first
    }

    /// Takes the review back: who asked for it, or a signer who objects.
    ///
    /// # Errors
    /// Refused when it is over, and to everybody else.
    pub fn withdraw(&mut self, by: Name, now: Timestamp) -> Result<(), Refusal> {
        self.needs_open()?;
        if by != self.opened_by && !self.required.iter().any(|slot| slot.users.contains(&by)) {
            return Err(Refusal::new(
                Kind::Forbidden,
                format!("`{by}` neither asked for the review nor signs it"),
            ));
        }
        self.state = ReviewState::Withdrawn;
        self.closed_at = Some(now);
        self.withdrawn_by = Some(by);
        Ok(())
    }

    fn needs_open(&self) -> Result<(), Refusal> {
        if self.state == ReviewState::Open {
            return Ok(());
        }
        Err(Refusal::new(
            Kind::Conflict,
            format!("the review is `{}` already: ask for the gate again", self.state),
        ))
    }
}

/// Ends a review: `signed` is the evaluation that it was opened on, `fresh` one that was made now.
///
/// # Errors
/// Refused when the review is over or still waits, when `signed` is not the evaluation that the
/// review is about, and when `fresh` is not of now.
pub fn conclude(
    review: &mut Review,
    signed: &Evaluation,
    fresh: &Evaluation,
    now: Timestamp,
) -> Result<Conclusion, Refusal> {
    review.needs_open()?;
    let consent = match review.readiness(now) {
        Readiness::Signed => Consent::Signatures,
        Readiness::Silence => Consent::Silence,
        Readiness::Waiting(missing) | Readiness::Overdue(missing) => {
            let roles: Vec<_> = missing.iter().map(|slot| slot.role.as_str()).collect();
            return shut(format!("the review still waits for `{}`", roles.join("`, `")));
        }
        Readiness::Over => return shut("the review is over".into()),
    };
    if hash(signed)? != review.evaluation_hash {
        return shut("the evaluation that was signed is not the one at hand".into());
    }
    let same = fresh.gate == review.gate && fresh.project == review.project;
    if !same || fresh.at != now {
        return shut("the gate must be evaluated again at the moment of the conclusion".into());
    }
    let difference = diff(signed, fresh);
    review.closed_at = Some(now);
    if fresh.opens && !difference.iter().any(Difference::is_ground) {
        review.state = ReviewState::Opened;
        review.consent = Some(consent);
        return Ok(Conclusion::Opened(OpenedGate {
            project: review.project,
            gate: review.gate,
            review: Some(review.id),
            evaluation_hash: hash(fresh)?,
        }));
    }
    review.state = ReviewState::Closed;
    review.difference = difference.clone();
    Ok(Conclusion::Closed(difference))
}

fn check_statement(statement: &str) -> Result<(), Refusal> {
    let statement = statement.trim();
    let letters = statement.chars().filter(|c| c.is_alphabetic()).count();
    if statement.chars().count() >= STATEMENT_MIN && letters * 2 >= STATEMENT_MIN {
        return Ok(());
    }
    Err(Refusal::new(
        Kind::InvalidInput,
        format!(
            "`statement` says too little: name the main residual risk in {STATEMENT_MIN} characters or more"
        ),
    ))
}

fn hash(evaluation: &Evaluation) -> Result<Digest, Refusal> {
    evaluation.hash().map_err(|fault| Refusal::new(Kind::GateShut, fault.chain()))
}

fn shut<T>(detail: String) -> Result<T, Refusal> {
    Err(Refusal::new(Kind::GateShut, detail))
}

#[cfg(test)]
mod tests;
