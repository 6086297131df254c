//! The Open Inference Protocol's tensors as rows, and answers as tensors. No wire format.

use serde_json::{Map, Number, Value};
use viaduct_base::{Error, FieldError, Kind, Refusal};

use crate::call::{Answer, CallKey, PredictCall};
use crate::endpoint::{self, Endpoint};
use crate::gateway::Gateway;

/// Per-row tensors of ours, ignored by the model.
pub(crate) const ENTITY: &str = "viaduct.entity";
const KEYS: &str = "viaduct.keys";
const INCUMBENT: &str = "viaduct.incumbent";
const DECISION_ID: &str = "viaduct.decision_id";
const VARIANT: &str = "viaduct.variant";

/// A tensor's cells, flat, in row order.
#[derive(Debug, Clone, PartialEq)]
pub enum TensorData {
    /// Numbers with a fraction; NaN stands for null.
    Float(Vec<f64>),
    /// Whole numbers.
    Int(Vec<i64>),
    /// Booleans.
    Bool(Vec<bool>),
    /// Texts; `None` stands for null.
    Text(Vec<Option<String>>),
}

impl TensorData {
    fn len(&self) -> usize {
        match self {
            TensorData::Float(cells) => cells.len(),
            TensorData::Int(cells) => cells.len(),
            TensorData::Bool(cells) => cells.len(),
            TensorData::Text(cells) => cells.len(),
        }
    }

    fn value(&self, place: usize) -> Value {
        match self {
            TensorData::Float(cells) => {
                Number::from_f64(cells[place]).map_or(Value::Null, Value::Number)
            }
            TensorData::Int(cells) => cells[place].into(),
            TensorData::Bool(cells) => cells[place].into(),
            TensorData::Text(cells) => cells[place].clone().map_or(Value::Null, Value::String),
        }
    }
}

/// An input tensor: one column (`[n]` or `[n, 1]`), or a matrix of the model's features.
#[derive(Debug, Clone, PartialEq)]
pub struct InputTensor {
    /// Its name.
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<i64>,
    /// Its cells.
    pub data: TensorData,
}

/// An output tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputTensor {
    /// Its name.
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<i64>,
    /// Its cells; rows that have none are NaN or null.
    pub data: TensorData,
}

/// A parameter of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: String,
}

/// An inference request.
#[derive(Debug, Clone)]
pub struct InferCall {
    /// The endpoint's name.
    pub endpoint: String,
    /// How the caller is known.
    pub key: CallKey,
    /// The tensors.
    pub inputs: Vec<InputTensor>,
    /// Names of the outputs that are wanted; empty for the usual ones.
    pub outputs: Vec<String>,
    /// The parameter `entity`: the entity of all rows.
    pub entity: Option<String>,
    /// The parameter `keys`: a JSON object of business keys of all rows.
    pub keys: Option<String>,
    /// The parameter `replayed`.
    pub replayed: bool,
}

/// An inference answer.
#[derive(Debug, Clone, PartialEq)]
pub struct InferAnswer {
    /// The version that answered, if a model did.
    pub model_version: Option<i64>,
    /// The tensors.
    pub outputs: Vec<OutputTensor>,
    /// For a request of one row: `decision_id`, `variant`, `action`, `contract`.
    pub parameters: Vec<Parameter>,
}

impl Gateway {
    /// Answers tensors: the same corridor as [`Gateway::predict`].
    ///
    /// # Errors
    /// As [`Gateway::predict`]; tensors whose shapes do not fit each other.
    pub fn infer(&self, call: InferCall) -> Result<InferAnswer, Error> {
        let table = self.table()?;
        let endpoint = table.find(&call.endpoint)?;
        let wanted = call.outputs.clone();
        let answers = self.predict(rows(endpoint, call)?)?;
        Ok(answer(&answers, &wanted)?)
    }
}

/// Tensors of ours become row fields under their own names, which no contract declares; so they
/// are not logged among the inputs.
fn rows(endpoint: &Endpoint, call: InferCall) -> Result<PredictCall, Refusal> {
    let count = row_count(&call.inputs)?;
    let mut rows = vec![Map::new(); count];
    let (mut has_entity, mut has_incumbent) = (call.entity.is_some(), false);
    let mut key_names: Vec<String> = Vec::new();
    if let Some(entity) = call.entity {
        rows.iter_mut().for_each(|row| drop(row.insert(ENTITY.into(), entity.clone().into())));
    }
    if let Some(keys) = &call.keys {
        rows.iter_mut().try_for_each(|row| add_keys(row, keys, &mut key_names))?;
    }
    for tensor in &call.inputs {
        match tensor.name.as_str() {
            ENTITY => has_entity = true,
            INCUMBENT => has_incumbent = true,
            KEYS => {
                for (number, row) in rows.iter_mut().enumerate() {
                    if let Value::String(keys) = tensor.data.value(number) {
                        add_keys(row, &keys, &mut key_names)?;
                    }
                }
                continue;
            }
            _ => {}
        }
        let names = columns(endpoint, tensor, count)?;
        for (number, row) in rows.iter_mut().enumerate() {
            for (column, name) in names.iter().enumerate() {
                row.insert(name.clone(), tensor.data.value(number * names.len() + column));
            }
        }
    }
    Ok(PredictCall {
        endpoint: call.endpoint,
        key: call.key,
        rows,
        entity: has_entity.then(|| ENTITY.to_owned()),
        keys: (!key_names.is_empty()).then_some(key_names),
        incumbent: has_incumbent.then(|| INCUMBENT.to_owned()),
        replayed: call.replayed,
    })
}

/// Adds business keys given as a JSON object.
fn add_keys(
    row: &mut Map<String, Value>,
    json: &str,
    names: &mut Vec<String>,
) -> Result<(), Refusal> {
    let keys: Map<String, Value> = serde_json::from_str(json).map_err(|_| {
        invalid("keys", "`keys` is a JSON object such as `{\"order_id\": \"17\"}`".into())
    })?;
    for (name, value) in keys {
        if !names.contains(&name) {
            names.push(name.clone());
        }
        row.insert(name, value);
    }
    Ok(())
}

fn row_count(inputs: &[InputTensor]) -> Result<usize, Refusal> {
    let Some(first) = inputs.first() else {
        return Err(invalid("inputs", "`inputs` is empty: send at least one tensor".into()));
    };
    for tensor in inputs {
        let cells = tensor.shape.iter().try_fold(1i64, |all, n| all.checked_mul(*n));
        let fits = cells.is_some_and(|n| n >= 0 && n as usize == tensor.data.len());
        // Why a width: `[1000000000000, 0]` has no cells and would still ask for that many rows.
        let has_width = match tensor.shape.as_slice() {
            [_] => true,
            [_, columns] => *columns > 0,
            _ => false,
        };
        if !fits || !has_width {
            let detail = format!(
                "tensor `{}` has shape {:?} and {} cells: a column is [n] or [n, 1], a matrix \
                 [n, features]",
                tensor.name,
                tensor.shape,
                tensor.data.len()
            );
            return Err(invalid(&format!("inputs/{}", tensor.name), detail));
        }
        if tensor.shape[0] != first.shape[0] {
            let detail = format!(
                "tensor `{}` has {} rows and `{}` has {}",
                tensor.name, tensor.shape[0], first.name, first.shape[0]
            );
            return Err(invalid(&format!("inputs/{}", tensor.name), detail));
        }
    }
    Ok(first.shape[0] as usize)
}

/// The fields that a tensor's columns are.
fn columns(endpoint: &Endpoint, tensor: &InputTensor, rows: usize) -> Result<Vec<String>, Refusal> {
    let width = tensor.data.len().checked_div(rows).unwrap_or(1);
    let is_field = endpoint.spec.contract.as_ref().is_some_and(|c| c.field(&tensor.name).is_some());
    if width == 1 || is_field {
        return Ok(vec![tensor.name.clone()]);
    }
    let features =
        endpoint::features(&endpoint.spec, endpoint.spec.model.as_ref()).unwrap_or_default();
    if features.len() == width {
        return Ok(features);
    }
    let detail = format!(
        "tensor `{}` has {width} columns and endpoint `{}` takes {}: {}",
        tensor.name,
        endpoint.spec.name,
        features.len(),
        features.join(", ")
    );
    Err(invalid(&format!("inputs/{}", tensor.name), detail))
}

fn invalid(pointer: &str, detail: String) -> Refusal {
    let error = FieldError {
        pointer: format!("/{pointer}"),
        detail: detail.clone(),
        line: None,
        column: None,
    };
    Refusal::new(Kind::InvalidInput, detail).with_errors(vec![error])
}

fn answer(answers: &[Answer], wanted: &[String]) -> Result<InferAnswer, Refusal> {
    let tensors = tensors(answers);
    let outputs = if wanted.is_empty() {
        tensors.into_iter().filter(|tensor| !tensor.name.starts_with("viaduct.")).collect()
    } else {
        wanted
            .iter()
            .map(|name| {
                tensors.iter().find(|tensor| tensor.name == *name).cloned().ok_or_else(|| {
                    let known: Vec<_> = tensors.iter().map(|t| t.name.as_str()).collect();
                    invalid(
                        "outputs",
                        format!("there is no output `{name}`: there are {}", known.join(", ")),
                    )
                })
            })
            .collect::<Result<_, _>>()?
    };
    let mut parameters = Vec::new();
    if let [only] = answers {
        parameters.push(Parameter { name: "decision_id", value: only.decision_id.to_string() });
        parameters.push(Parameter { name: "variant", value: only.variant.to_string() });
        let action = only.action.clone().map(|value| Parameter { name: "action", value });
        let contract = only.contract.as_ref().map(|digest| digest.short().to_owned());
        parameters.extend(action);
        parameters.extend(contract.map(|value| Parameter { name: "contract", value }));
    }
    let model_version = answers.iter().find_map(|answer| answer.model_version);
    Ok(InferAnswer { model_version, outputs, parameters })
}

/// Every tensor that the answers can give. Rows without an output (business as usual) are NaN or
/// null in it.
fn tensors(answers: &[Answer]) -> Vec<OutputTensor> {
    let count = answers.len() as i64;
    let column =
        |name: &str, data| OutputTensor { name: name.to_owned(), shape: vec![count, 1], data };
    let output =
        |answer: &Answer, name: &str| answer.output.as_ref().and_then(|o| o.get(name).cloned());
    let mut tensors = Vec::new();
    let labels: Vec<_> = answers.iter().map(|answer| output(answer, "label")).collect();
    if labels.iter().any(Option::is_some) {
        tensors.push(column("label", label_data(&labels)));
    }
    for name in ["probability", "value"] {
        let numbers: Vec<_> = answers.iter().map(|answer| output(answer, name)).collect();
        if numbers.iter().any(Option::is_some) {
            let cells = numbers.iter().map(|cell| number(cell.as_ref())).collect();
            tensors.push(column(name, TensorData::Float(cells)));
        }
    }
    tensors.extend(probabilities(answers));
    if answers.iter().any(|answer| answer.action.is_some()) {
        let actions = answers.iter().map(|answer| answer.action.clone()).collect();
        tensors.push(column("action", TensorData::Text(actions)));
    }
    let ids = answers.iter().map(|answer| Some(answer.decision_id.to_string())).collect();
    tensors.push(column(DECISION_ID, TensorData::Text(ids)));
    let variants = answers.iter().map(|answer| Some(answer.variant.to_string())).collect();
    tensors.push(column(VARIANT, TensorData::Text(variants)));
    tensors
}

fn label_data(labels: &[Option<Value>]) -> TensorData {
    let whole: Option<Vec<i64>> =
        labels.iter().map(|l| l.as_ref().and_then(Value::as_i64)).collect();
    whole.map_or_else(
        || {
            let text = |label: &Value| match label {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            TensorData::Text(labels.iter().map(|label| label.as_ref().map(text)).collect())
        },
        TensorData::Int,
    )
}

/// One column a class, in the order of the class names.
fn probabilities(answers: &[Answer]) -> Option<OutputTensor> {
    let of = |answer: &Answer| -> Option<Map<String, Value>> {
        answer.output.as_ref()?.get("probabilities")?.as_object().cloned()
    };
    let rows: Vec<_> = answers.iter().map(of).collect();
    let classes: Vec<String> = rows.iter().flatten().next()?.keys().cloned().collect();
    let cells = rows
        .iter()
        .flat_map(|row| classes.iter().map(|c| number(row.as_ref().and_then(|row| row.get(c)))))
        .collect();
    let shape = vec![answers.len() as i64, classes.len() as i64];
    Some(OutputTensor { name: "probabilities".into(), shape, data: TensorData::Float(cells) })
}

fn number(cell: Option<&Value>) -> f64 {
    cell.and_then(Value::as_f64).unwrap_or(f64::NAN)
}
