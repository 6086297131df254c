//! One stored evaluation, to read, to sign and to print.

use std::sync::Arc;

use serde_json::Value;
use viaduct_app::gate::{ReviewView, StoredEvaluation};
use viaduct_base::{Error, EvaluationId, ReviewId};
use viaduct_domain::permission::Operation;

use super::Answered;
use super::map::{Units, gate, review};
use super::visit::Visit;
use crate::view::{EvaluationPage, StatusChange};

/// Stored evaluations and audit entries looked through for the neighbours of one.
const LOOK_BACK: i64 = 500;

/// The page.
pub(super) async fn show(visit: Arc<Visit>) -> Answered {
    let id: EvaluationId = visit.id("evaluation")?;
    let found = visit.app.get_evaluation(&visit.caller, id).await?;
    let project_id = found.evaluation.project.to_string();
    let project = visit.app.get_project(&visit.caller, &project_id).await?;
    let mut shown = gate::gate(&visit.app, &found.evaluation, &Units::of(&project.spec));
    shown.evaluation_id = Some(id.to_string());
    let signed = review_of(&visit, project.name(), &found).await?;
    visit.page(&EvaluationPage {
        shell: visit.shell(),
        id: id.to_string(),
        hash: found.hash.to_string(),
        previous_hash: None,
        policy_hash: found.evaluation.policy_hash.to_string(),
        at: found.evaluated_at,
        project: project.name().to_owned(),
        project_title: project.spec.title.clone(),
        tier: found.evaluation.tier.to_string(),
        gate: shown,
        changes: changes(&visit, project.name(), &found).await?,
        signatures: signed.as_ref().map(review::signatures).unwrap_or_default(),
    })
}

/// Criteria that stood otherwise in the evaluation of this gate before it.
async fn changes(
    visit: &Visit,
    project: &str,
    found: &StoredEvaluation,
) -> Result<Vec<StatusChange>, Error> {
    let all = visit.app.list_evaluations(&visit.caller, project, LOOK_BACK).await?;
    let mut older = all.iter().skip_while(|other| other.id != found.id).skip(1);
    let Some(before) = older.find(|other| other.evaluation.gate == found.evaluation.gate) else {
        return Ok(Vec::new());
    };
    let changed = found.evaluation.results.iter().filter_map(|result| {
        let stood = before.evaluation.result(&result.id)?.status;
        (stood != result.status).then(|| StatusChange {
            criterion: result.id.clone(),
            before: gate::status(stood),
            after: gate::status(result.status),
        })
    });
    Ok(changed.collect())
}

/// The review that was opened on this evaluation. The audit trail knows it.
async fn review_of(
    visit: &Visit,
    project: &str,
    found: &StoredEvaluation,
) -> Result<Option<ReviewView>, Error> {
    if !visit.may(Operation::ReadAudit) {
        return Ok(None);
    }
    let project = Some(project.to_owned());
    let trail = visit.app.list_audit(&visit.caller, project, LOOK_BACK).await?;
    for entry in trail.iter().filter(|entry| entry.row.action == "review.opened") {
        let detail: Value = serde_json::from_str(&entry.row.detail_json).unwrap_or_default();
        let hash = detail.get("evaluation_hash").and_then(Value::as_str);
        let Ok(id) = entry.row.object_id.parse::<ReviewId>() else { continue };
        if hash == Some(found.hash.as_str()) {
            return visit.app.get_review(&visit.caller, id).await.map(Some);
        }
    }
    Ok(None)
}
