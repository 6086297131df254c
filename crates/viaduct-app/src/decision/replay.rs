//! The same answer again: a decision's inputs through a version of the model.

use serde::Serialize;
use serde_json::{Value, json};
use viaduct_base::{DecisionId, Error, Fault, Kind, Refusal};
use viaduct_decisions::Flag;
use viaduct_domain::output::ModelOutput;
use viaduct_domain::permission::{Caller, Operation};

use crate::App;

/// Why a tolerance: another batch size or another library version rounds the last bits differently.
const TOLERANCE: f64 = 1e-6;

/// What a version says to a decision's inputs.
#[derive(Debug, Clone, Serialize)]
pub struct Replay {
    /// The decision.
    pub decision_id: DecisionId,
    /// The registered model.
    pub model: String,
    /// The version that was asked when the decision was made.
    pub logged_version: i64,
    /// The version that was asked now.
    pub version: i64,
    /// What the model said then.
    pub logged: Value,
    /// What it says now.
    pub output: Value,
    /// Whether the labels are equal and every number is, to 1e-6.
    pub same: bool,
}

impl App {
    /// Replays a decision; nothing is logged. Without a version the one that decided is asked.
    ///
    /// # Errors
    /// `not-found` for the decision or the version; a decision that no model was asked for, or
    /// whose inputs were not kept or were erased.
    pub async fn replay_decision(
        &self,
        caller: &Caller,
        id: DecisionId,
        version: Option<i64>,
    ) -> Result<Replay, Error> {
        let scope = self.authorise(caller, Operation::ReplayDecision)?;
        let (row, _) = self.get_decision(caller, id).await?;
        let refuse = |detail: String| Error::from(Refusal::new(Kind::Conflict, detail));
        let Some(logged) = row.output.clone().filter(|_| !row.model.is_empty()) else {
            return Err(refuse(format!("no model was asked for decision `{id}`")));
        };
        if row.flags.contains(&Flag::Erased) {
            return Err(refuse(format!("the inputs of decision `{id}` were erased")));
        }
        if row.inputs.is_empty() {
            return Err(refuse(format!(
                "the inputs of decision `{id}` were not kept: the endpoint's `retention` says so"
            )));
        }
        if let Some((field, _)) = row.inputs.iter().find(|(_, value)| is_hash(value)) {
            return Err(refuse(format!(
                "the field `{field}` of decision `{id}` was kept as a hash: it cannot be replayed"
            )));
        }
        let wanted = version.unwrap_or(row.model_version);
        let (app, endpoint, name) = (self.clone(), row.endpoint_name.clone(), row.model.clone());
        let model = self
            .store()
            .read("version_served", move |tx| {
                app.version_served(tx, &scope, &endpoint, (&name, wanted))
            })
            .await?
            .ok_or_else(|| {
                let detail = format!("`{}` has no version {wanted} that can be served", row.model);
                Refusal::new(Kind::NotFound, detail)
            })?;
        let gateway = self.gateway().clone();
        let (name, logged_version) = (row.model.clone(), row.model_version);
        let task = tokio::task::spawn_blocking(move || gateway.replay(&row, model));
        let output = task.await.map_err(|e| Fault::caused("replay a decision", e))??;
        let same = serde_json::from_value::<ModelOutput>(logged.clone())
            .is_ok_and(|logged| is_same(&json!(logged), &json!(output)));
        let (version, output) = (wanted, json!(output));
        Ok(Replay { decision_id: id, model: name, logged_version, version, logged, output, same })
    }
}

/// Whether a logged input is the hash of what was sent: `#` and 32 hexadecimal digits.
fn is_hash(value: &Value) -> bool {
    let digits = value.as_str().and_then(|text| text.strip_prefix('#')).unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Equal text and structure, and numbers to the tolerance.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()).max(1.0),
            _ => a == b,
        },
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, a)| b.get(k).is_some_and(|b| is_same(a, b)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_told_from_what_callers_send() {
        assert!(is_hash(&json!("#0123456789abcdef0123456789abcdef")));
        for other in
            [json!("#1"), json!("0123456789abcdef0123456789abcdef"), json!(1.5), json!(null)]
        {
            assert!(!is_hash(&other), "{other}");
        }
    }

    #[test]
    fn the_last_bits_do_not_count_and_the_rest_does() {
        let a = json!({"label": "yes", "probability": 0.25, "probabilities": {"yes": 0.25}});
        let near =
            json!({"label": "yes", "probability": 0.250_000_1, "probabilities": {"yes": 0.25}});
        let far = json!({"label": "yes", "probability": 0.26, "probabilities": {"yes": 0.25}});
        let other = json!({"label": "no", "probability": 0.25, "probabilities": {"yes": 0.25}});
        assert!(is_same(&a, &near) && !is_same(&a, &far) && !is_same(&a, &other));
        assert!(!is_same(&a, &json!({"label": "yes"})));
        assert!(is_same(&json!([1, null]), &json!([1.0, null])));
    }
}
