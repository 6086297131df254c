//! Facts, evaluations, reviews and waivers between rows and domain types.

use serde::Serialize;
use viaduct_base::{Digest, Error, EvaluationId, Fault, Timestamp};
use viaduct_domain::evaluate::Evaluation;
use viaduct_domain::fact::{Fact, Subject, Window};
use viaduct_domain::policy::Policy;
use viaduct_domain::review::{Review, Signature};
use viaduct_domain::waiver::{Approval, Waiver};
use viaduct_store::evaluation::EvaluationRow;
use viaduct_store::fact::FactRow;
use viaduct_store::review::ReviewRow;
use viaduct_store::signature::SignatureRow;
use viaduct_store::waiver::WaiverRow;

/// An evaluation as it was stored and may have been signed.
#[derive(Debug, Clone, Serialize)]
pub struct StoredEvaluation {
    /// Its id.
    pub id: EvaluationId,
    /// Why it was stored.
    pub reason: String,
    /// Its hash.
    pub hash: Digest,
    /// The evaluation.
    pub evaluation: Evaluation,
    /// When.
    pub evaluated_at: Timestamp,
}

fn damaged(what: &str, id: impl std::fmt::Display, error: impl std::fmt::Display) -> Error {
    Fault::new(format!("{what} `{id}` does not read: {error}")).into()
}

/// The row of a fact.
pub(crate) fn fact_row(fact: &Fact) -> Result<FactRow, Error> {
    Ok(FactRow {
        id: fact.id,
        workspace_id: fact.workspace,
        project_id: fact.project,
        name: fact.name.to_string(),
        subject_kind: fact.subject.kind.to_string(),
        subject_id: fact.subject.id.clone(),
        value_json: serde_json::to_string(&fact.value)
            .map_err(|e| Fault::caused("write a fact's value", e))?,
        unit: fact.unit.clone(),
        n: fact.n.map(|n| i64::try_from(n).unwrap_or(i64::MAX)),
        window_from: fact.window.map(|w| w.from),
        window_to: fact.window.map(|w| w.to),
        observed_at: fact.observed_at,
        producer: fact.producer.to_string(),
        inputs_hash: fact.inputs_hash.to_string(),
        provenance: fact.provenance.as_str().to_owned(),
        note: fact.note.clone(),
    })
}

/// The fact of a row.
pub(crate) fn fact(row: FactRow) -> Result<Fact, Error> {
    let id = row.id;
    let bad = |error: &dyn std::fmt::Display| damaged("fact", id, error);
    let provenance = serde_json::from_value(row.provenance.into()).map_err(|e| bad(&e))?;
    Ok(Fact {
        id: row.id,
        workspace: row.workspace_id,
        project: row.project_id,
        name: row.name.parse().map_err(|e| bad(&e))?,
        subject: Subject {
            kind: row.subject_kind.parse().map_err(|e: String| bad(&e))?,
            id: row.subject_id,
        },
        value: serde_json::from_str(&row.value_json).map_err(|e| bad(&e))?,
        unit: row.unit,
        n: row.n.and_then(|n| u64::try_from(n).ok()),
        window: row.window_from.zip(row.window_to).map(|(from, to)| Window { from, to }),
        observed_at: row.observed_at,
        producer: row.producer.parse().map_err(|e: String| bad(&e))?,
        inputs_hash: Digest::from_hex(&row.inputs_hash).ok_or_else(|| bad(&"its inputs' hash"))?,
        provenance,
        note: row.note,
    })
}

/// The row of an evaluation.
pub(crate) fn evaluation_row(
    id: EvaluationId,
    workspace: viaduct_base::WorkspaceId,
    evaluation: &Evaluation,
    reason: &str,
) -> Result<EvaluationRow, Error> {
    Ok(EvaluationRow {
        id,
        workspace_id: workspace,
        project_id: evaluation.project,
        gate: evaluation.gate.to_string(),
        policy_version: i64::from(evaluation.policy_version),
        policy_hash: evaluation.policy_hash.to_string(),
        tier: evaluation.tier.to_string(),
        opens: evaluation.opens,
        evaluation_hash: evaluation.hash()?.to_string(),
        reason: reason.to_owned(),
        body_json: serde_json::to_string(evaluation)
            .map_err(|e| Fault::caused("write an evaluation", e))?,
        evaluated_at: evaluation.at,
    })
}

/// The evaluation of a row; a body that does not hash to its hash is damaged.
pub(crate) fn evaluation(row: EvaluationRow) -> Result<StoredEvaluation, Error> {
    let evaluation: Evaluation =
        serde_json::from_str(&row.body_json).map_err(|e| damaged("evaluation", row.id, e))?;
    let hash = evaluation.hash()?;
    if hash.as_str() != row.evaluation_hash {
        return Err(damaged("evaluation", row.id, "its body is not what was hashed"));
    }
    Ok(StoredEvaluation {
        id: row.id,
        reason: row.reason,
        hash,
        evaluation,
        evaluated_at: row.evaluated_at,
    })
}

/// The review of a row with its signatures.
pub(crate) fn review(row: &ReviewRow, signatures: Vec<SignatureRow>) -> Result<Review, Error> {
    let review: Review =
        serde_json::from_str(&row.body_json).map_err(|e| damaged("review", row.id, e))?;
    let signatures = signatures
        .into_iter()
        .map(|signed| {
            let bad = |error: &dyn std::fmt::Display| damaged("signature", signed.id, error);
            Ok(Signature {
                role: signed.role.parse().map_err(|e: String| bad(&e))?,
                user: signed.user_name.parse().map_err(|e| bad(&e))?,
                statement: signed.statement.clone(),
                evaluation_hash: Digest::from_hex(&signed.evaluation_hash)
                    .ok_or_else(|| bad(&"its hash"))?,
                signed_at: signed.signed_at,
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(review.with_signatures(signatures))
}

/// Puts a review back into its row.
pub(crate) fn update_review(row: &mut ReviewRow, review: &Review) -> Result<(), Error> {
    use viaduct_domain::review::ReviewState;
    row.state = review.state.to_string();
    row.is_open = review.state == ReviewState::Open;
    row.closed_at = review.closed_at;
    row.body_json =
        serde_json::to_string(review).map_err(|e| Fault::caused("write a review", e))?;
    Ok(())
}

/// The waiver of a row; `None` when the policy no longer knows its criterion, or it was ended.
pub(crate) fn waiver(row: &WaiverRow, policy: &Policy) -> Result<Option<Waiver>, Error> {
    let bad = |error: &dyn std::fmt::Display| damaged("waiver", row.id, error);
    let gate = policy.gates().iter().find(|gate| gate.criterion(&row.criterion).is_some());
    let Some(gate) = gate.filter(|_| row.ended_at.is_none()) else { return Ok(None) };
    let approval = match (&row.approved_by, row.approved_at) {
        (Some(by), Some(at)) => Some(Approval { by: by.parse().map_err(|e| bad(&e))?, at }),
        _ => None,
    };
    Ok(Some(Waiver {
        id: row.id,
        gate: gate.name,
        criterion: row.criterion.clone(),
        reason: row.reason.clone(),
        compensation: row.compensation.clone(),
        requested_by: row.requested_by.parse().map_err(|e| bad(&e))?,
        requested_at: row.requested_at,
        expires_at: row.expires_at,
        approval,
    }))
}
