//! Business as usual for one row: the incumbent's answer if the caller sent it, else what the
//! endpoint declares.

use std::sync::Arc;

use serde_json::{Map, Value};
use viaduct_domain::output::ModelOutput;
use viaduct_domain::rule::Rule;

use crate::endpoint::Endpoint;
use crate::snapshot::EndpointSnapshot;

/// What is done without a model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Usual {
    pub(crate) action: String,
    pub(crate) output: Option<Value>,
}

/// What the endpoint declares.
pub(crate) fn declared(spec: &EndpointSnapshot) -> Option<Arc<Usual>> {
    let declared = spec.business_as_usual.as_ref()?;
    let output = declared.output.as_ref().and_then(|o| serde_json::to_value(o).ok());
    Some(Arc::new(Usual { action: declared.action.clone(), output }))
}

/// # Errors
/// The sentence that declines an incumbent answer of another form.
pub(crate) fn usual(
    endpoint: &Endpoint,
    sent: Option<&Value>,
) -> Result<Option<Arc<Usual>>, String> {
    match sent {
        Some(value) => Ok(Some(Arc::new(incumbent(endpoint.spec.rule.as_ref(), value)?))),
        None => Ok(endpoint.declared.clone()),
    }
}

/// An action's text, an object with `action`, or an output that the rule turns into an action.
fn incumbent(rule: Option<&Rule>, value: &Value) -> Result<Usual, String> {
    match value {
        Value::String(action) => Ok(Usual { action: action.clone(), output: None }),
        Value::Object(fields) => {
            let mut output = fields.clone();
            if let Some(Value::String(action)) = output.remove("action") {
                let output = (!output.is_empty()).then_some(Value::Object(output));
                return Ok(Usual { action, output });
            }
            by_rule(rule, Value::Object(output))
        }
        Value::Number(number) => {
            let field = match rule.map(|rule| rule.when.field.as_str()) {
                Some("probability") => "probability",
                _ => "value",
            };
            by_rule(rule, Value::Object(Map::from_iter([(field.into(), number.clone().into())])))
        }
        _ => Err("the incumbent's answer is an action's text, `{\"action\": …}`, an output such \
                  as `{\"probability\": 0.3}`, or a number"
            .into()),
    }
}

fn by_rule(rule: Option<&Rule>, output: Value) -> Result<Usual, String> {
    let rule = rule.ok_or("the endpoint has no rule: send the incumbent's action as text")?;
    let read: ModelOutput = serde_json::from_value(output.clone())
        .map_err(|e| format!("the incumbent's output is not readable: {e}"))?;
    Ok(Usual { action: rule.decide(&read).name, output: Some(output) })
}
