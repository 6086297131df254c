//! D1, D2 and D3: the contract covers the model, requests meet it, its fields are classified.

use serde_json::json;
use viaduct_domain::fact::{FactName, FactValue, Measurement, Window};

use super::Ground;

pub(super) fn measure(ground: &Ground<'_>) -> Vec<Measurement> {
    let Some(contract) = ground.contract else { return Vec::new() };
    let mut out = Vec::new();
    let hash = json!({ "contract": contract.hash() });
    if let Some(model) = ground.model {
        let coverage = contract.signature_coverage(&model.inputs);
        let inputs = json!({ "contract": contract.hash(), "model_inputs": model.inputs });
        out.extend(coverage.share().and_then(|share| {
            let made = ground.measured(
                FactName::ContractSignatureCoverage,
                FactValue::scalar(share),
                &inputs,
            )?;
            let missing = if coverage.missing.is_empty() {
                format!("all {} inputs of the model are in the contract", coverage.total)
            } else {
                format!("not in the contract: {}", coverage.missing.join(", "))
            };
            Some(made.n(coverage.total as u64).note(missing))
        }));
    }
    let classified = contract.classified();
    out.extend(classified.share().and_then(|share| {
        let made =
            ground.measured(FactName::ContractClassifiedShare, FactValue::scalar(share), &hash)?;
        let note = if classified.missing.is_empty() {
            format!("all {} fields have a classification", classified.total)
        } else {
            format!("without classification: {}", classified.missing.join(", "))
        };
        Some(made.n(classified.total as u64).note(note))
    }));
    let purpose = &ground.spec.charter.purpose;
    let approved = contract.purpose_approved(purpose);
    out.extend(
        ground.measured(FactName::ContractPurposeApproved, FactValue::flag(approved), &hash).map(
            |made| {
                let listed = contract.purposes().join(", ");
                made.note(format!("the project's purpose is `{purpose}`; approved are: {listed}"))
            },
        ),
    );
    out.extend(requests(ground));
    out
}

fn requests(ground: &Ground<'_>) -> Option<Measurement> {
    let requests = ground.requests;
    let all = requests.met + requests.refused;
    let from = requests.from.filter(|_| all > 0)?;
    let share = requests.met as f64 / all as f64;
    let inputs = json!({ "met": requests.met, "refused": requests.refused, "from": from });
    let made =
        ground.measured(FactName::ContractRequestPassShare, FactValue::scalar(share), &inputs)?;
    let note = format!("{} rows met the contract, {} were refused", requests.met, requests.refused);
    Some(made.n(all).window(Window { from, to: ground.now }).note(note))
}
