//! The Open Inference Protocol's tensors as rows, and answers as tensors. No wire format.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Number, Value};
use viaduct_base::{Error, FieldError, Kind, Refusal};
use viaduct_decisions::{Answered, BatchRow};
use viaduct_domain::columns::{Cells, Column, Columns, Outputs, Probabilities};

use crate::asked::{Asked, Inputs, scalar_text};
use crate::call::{Answer, CallKey};
use crate::endpoint::{self, Endpoint};
use crate::gateway::Gateway;
use crate::infer_named;
use crate::metadata;
use crate::settle::Decided;

/// Per-row tensors of ours, ignored by the model.
const ENTITY: &str = "viaduct.entity";
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

    /// Every `width`th cell from `place` on.
    fn column(&self, place: usize, width: usize) -> Column {
        fn part<T: Clone>(cells: &[T], place: usize, width: usize) -> Vec<T> {
            cells.iter().skip(place).step_by(width).cloned().collect()
        }
        match self {
            TensorData::Float(cells) => Cells::F64(part(cells, place, width)).into(),
            TensorData::Int(cells) => Cells::I64(part(cells, place, width)).into(),
            TensorData::Bool(cells) => Cells::Bool(part(cells, place, width)).into(),
            TensorData::Text(cells) => texts(part(cells, place, width)),
        }
    }

    fn into_column(self) -> Column {
        match self {
            TensorData::Float(cells) => Cells::F64(cells).into(),
            TensorData::Int(cells) => Cells::I64(cells).into(),
            TensorData::Bool(cells) => Cells::Bool(cells).into(),
            TensorData::Text(cells) => texts(cells),
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
    /// Answers tensors: the same corridor as [`Gateway::predict`], without a map for any row.
    ///
    /// # Errors
    /// As [`Gateway::predict`]; tensors whose shapes do not fit each other.
    pub fn infer(&self, call: InferCall) -> Result<InferAnswer, Error> {
        self.enter(&call.endpoint)?.infer(call)
    }
}

/// Tensors as the corridor's columns. Tensors of ours stand beside, and are not logged.
pub(crate) fn asked(endpoint: &Endpoint, call: InferCall) -> Result<Asked, Refusal> {
    let count = row_count(&call.inputs)?;
    let mut columns = Columns { rows: count, columns: Vec::new() };
    let mut entities = call.entity.map(|entity| vec![Some(entity); count]);
    let mut incumbents = None;
    let mut keys: Option<Vec<BTreeMap<String, String>>> = None;
    if let Some(json) = &call.keys {
        let read = read_keys(json)?;
        keys = Some(vec![read; count]);
    }
    for tensor in call.inputs {
        match tensor.name.as_str() {
            ENTITY => {
                let texts = (0..count).map(|row| scalar_text(&tensor.data.value(row)));
                let texts: Result<_, _> = texts.collect();
                entities = Some(texts.map_err(|detail| invalid(ENTITY, detail))?);
            }
            INCUMBENT => {
                let sent = (0..count).map(|row| Some(tensor.data.value(row)));
                incumbents = Some(sent.map(|v| v.filter(|v| !v.is_null())).collect());
            }
            KEYS => {
                let found = keys.get_or_insert_with(|| vec![BTreeMap::new(); count]);
                for (row, known) in found.iter_mut().enumerate() {
                    if let Value::String(json) = tensor.data.value(row) {
                        known.extend(read_keys(&json)?);
                    }
                }
            }
            _ => add_columns(endpoint, tensor, &mut columns)?,
        }
    }
    Ok(Asked {
        rows: count,
        inputs: Inputs::Columns(columns),
        entity_field: None,
        key_fields: None,
        incumbent_field: None,
        entities,
        keys,
        incumbents,
        replayed: call.replayed,
    })
}

/// Business keys given as a JSON object.
fn read_keys(json: &str) -> Result<BTreeMap<String, String>, Refusal> {
    let refused =
        || invalid("keys", "`keys` is a JSON object such as `{\"order_id\": \"17\"}`".into());
    let keys: Map<String, Value> = serde_json::from_str(json).map_err(|_| refused())?;
    let mut read = BTreeMap::new();
    for (name, value) in keys {
        let text = scalar_text(&value).map_err(|detail| invalid("keys", detail))?;
        read.extend(text.map(|text| (name, text)));
    }
    Ok(read)
}

/// A tensor's columns under the names of the fields that they are.
fn add_columns(
    endpoint: &Endpoint,
    tensor: InputTensor,
    columns: &mut Columns,
) -> Result<(), Refusal> {
    let rows = columns.rows;
    let contract = endpoint.spec.contract.as_ref();
    let named = |name: &str| match contract.and_then(|contract| contract.field(name)) {
        Some(field) => Arc::clone(&field.name),
        None => name.into(),
    };
    let names = names(endpoint, &tensor, rows)?;
    if let [only] = names.as_slice() {
        columns.columns.push((named(only), tensor.data.into_column()));
        return Ok(());
    }
    let width = names.len();
    for (place, name) in names.iter().enumerate() {
        columns.columns.push((named(name), tensor.data.column(place, width)));
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
fn names(endpoint: &Endpoint, tensor: &InputTensor, rows: usize) -> Result<Vec<String>, Refusal> {
    let width = tensor.data.len().checked_div(rows).unwrap_or(1);
    let is_field = endpoint.spec.contract.as_ref().is_some_and(|c| c.field(&tensor.name).is_some());
    if width == 1 || is_field {
        return Ok(vec![tensor.name.clone()]);
    }
    let features = match endpoint::features(&endpoint.spec, endpoint.spec.model.as_ref()) {
        Some(features) => features,
        // Nobody named the features: the matrix is the model's own.
        None => (0..width).map(|place| format!("{}[{place}]", tensor.name)).collect(),
    };
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

pub(crate) fn answer(
    decided: &Decided,
    wanted: &[String],
    endpoint: &Endpoint,
) -> Result<InferAnswer, Refusal> {
    let tensors = match decided.only_outputs() {
        Some(outputs) => direct(decided, outputs, wanted),
        None => tensors(&decided.answers()),
    };
    let outputs = if wanted.is_empty() {
        tensors.into_iter().filter(|tensor| !tensor.name.starts_with("viaduct.")).collect()
    } else {
        wanted
            .iter()
            .map(|name| {
                let found = tensors.iter().find(|tensor| tensor.name == *name).cloned();
                found.or_else(|| unsaid(decided, endpoint, name)).ok_or_else(|| {
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
    let rows = &decided.batch.rows;
    if let [only] = rows.as_slice() {
        parameters.push(Parameter { name: "decision_id", value: only.id.to_string() });
        if let Some(way) = decided.way(only) {
            parameters.push(Parameter { name: "variant", value: way.variant.clone() });
            let action = Some(way.action.clone()).filter(|action| !action.is_empty());
            parameters.extend(action.map(|value| Parameter { name: "action", value }));
        }
        let contract = decided.batch.head.contract_hash.as_ref();
        let contract = contract.map(|digest| digest.short().to_owned());
        parameters.extend(contract.map(|value| Parameter { name: "contract", value }));
    }
    let by_model = rows.iter().find(|row| row.answered == Answered::Output);
    let model_version = by_model.and_then(|row| decided.way(row)).map(|way| way.model_version);
    Ok(InferAnswer { model_version, outputs, parameters })
}

/// An output that the endpoint has and that no row of this answer got, because no model answered
/// it: callers name what they want before they know who answers.
fn unsaid(decided: &Decided, endpoint: &Endpoint, name: &str) -> Option<OutputTensor> {
    let rows = &decided.batch.rows;
    if rows.iter().all(|row| row.answered == Answered::Output) {
        return None;
    }
    let found = metadata::outputs(endpoint).into_iter().find(|output| output.name == name)?;
    let width = found.shape.get(1).map_or(1, |width| (*width).max(1) as usize);
    let data = match found.datatype {
        "BYTES" => TensorData::Text(vec![None; rows.len() * width]),
        _ => TensorData::Float(vec![f64::NAN; rows.len() * width]),
    };
    let shape = vec![rows.len() as i64, width as i64];
    Some(OutputTensor { name: name.to_owned(), shape, data })
}

/// Tensors straight from the model's columns: every row is answered by them.
fn direct(decided: &Decided, outputs: &Outputs, wanted: &[String]) -> Vec<OutputTensor> {
    let rows = &decided.batch.rows;
    let count = rows.len() as i64;
    let column =
        |name: &str, data| OutputTensor { name: name.to_owned(), shape: vec![count, 1], data };
    let mut tensors = Vec::new();
    tensors.extend(outputs.label.as_ref().map(|label| column("label", label_column(label))));
    if let Some(found) = &outputs.probabilities {
        if found.positive.is_some() {
            let positive = (0..rows.len()).map(|row| found.positive(row).unwrap_or(f64::NAN));
            tensors.push(column("probability", TensorData::Float(positive.collect())));
        }
        tensors.push(by_class(found, count));
    }
    if let Some(values) = &outputs.value {
        tensors.push(column("value", TensorData::Float(values.clone())));
    }
    tensors.extend(outputs.named.iter().map(|output| infer_named::of_columns(output, count)));
    let way = |row: &BatchRow| decided.way(row);
    if decided.batch.ways.iter().any(|way| !way.action.is_empty()) {
        let action = |row| way(row).map(|way| way.action.clone()).filter(|a| !a.is_empty());
        tensors.push(column("action", TensorData::Text(rows.iter().map(action).collect())));
    }
    // Why only where they are asked for: a text for each row costs.
    let is_known = |name: &String| tensors.iter().any(|tensor| tensor.name == *name);
    if wanted.iter().all(is_known) {
        return tensors;
    }
    let ids = rows.iter().map(|row| Some(row.id.to_string())).collect();
    tensors.push(column(DECISION_ID, TensorData::Text(ids)));
    let variants = rows.iter().map(|row| way(row).map(|way| way.variant.clone())).collect();
    tensors.push(column(VARIANT, TensorData::Text(variants)));
    tensors
}

fn label_column(label: &Column) -> TensorData {
    match &label.cells {
        Cells::I64(cells) => TensorData::Int(cells.clone()),
        Cells::Text(cells) => TensorData::Text(cells.iter().cloned().map(Some).collect()),
        _ => {
            let labels: Vec<_> = (0..label.len()).map(|row| Some(label.json(row))).collect();
            label_data(&labels)
        }
    }
}

/// One column a class, in the order of the class names.
fn by_class(found: &Probabilities, count: i64) -> OutputTensor {
    let mut order: Vec<_> = (0..found.classes.len()).collect();
    order.sort_by(|a, b| found.classes[*a].cmp(&found.classes[*b]));
    let rows = (0..count as usize).flat_map(|row| {
        let numbers = found.row(row);
        order.iter().map(|class| numbers.get(*class).copied().unwrap_or(f64::NAN))
    });
    let data = TensorData::Float(rows.collect());
    OutputTensor { name: "probabilities".into(), shape: vec![count, order.len() as i64], data }
}

/// Texts as a column; `None` is null.
pub(crate) fn texts(cells: Vec<Option<String>>) -> Column {
    let nulls: Vec<bool> = cells.iter().map(Option::is_none).collect();
    let cells = Cells::Text(cells.into_iter().map(Option::unwrap_or_default).collect());
    Column { cells, nulls: nulls.contains(&true).then_some(nulls) }
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
    tensors.extend(infer_named::of_answers(answers));
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
