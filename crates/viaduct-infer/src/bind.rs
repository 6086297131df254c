//! Which cells of a row fill which input of the model.

use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use viaduct_base::nearest;

use crate::error::{LoadError, PredictError};
use crate::signature::{DataType, ModelSignature};

/// An input that rows can fill: one column, or a matrix of columns.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) datatype: DataType,
    /// Columns; `None` when the graph leaves it open.
    width: Option<usize>,
    /// Whether the tensor is `[rows]` instead of `[rows, columns]`.
    pub(crate) is_flat: bool,
    /// Whether the graph takes one row a call.
    pub(crate) is_single: bool,
}

impl Input {
    /// How many columns fill it; one where the graph leaves it open.
    pub(crate) fn columns(&self) -> usize {
        self.width.unwrap_or(1)
    }
}

pub(crate) fn inputs(
    signature: &ModelSignature,
    types: &[Option<DataType>],
) -> Result<Vec<Input>, LoadError> {
    signature
        .inputs
        .iter()
        .zip(types)
        .map(|(spec, datatype)| {
            let refused = || LoadError::Input {
                input: spec.name.clone(),
                found: format!("{} {:?}", spec.datatype, spec.shape),
            };
            let datatype = datatype.ok_or_else(refused)?;
            let (width, is_flat) = match spec.shape.as_slice() {
                [_] => (Some(1), true),
                [_, columns] => (usize::try_from(*columns).ok(), false),
                _ => return Err(refused()),
            };
            // A graph with a fixed number of rows is served one row a call, if that number is one.
            let is_single = match spec.shape[0] {
                1 => true,
                rows if rows > 1 => return Err(refused()),
                _ => false,
            };
            Ok(Input { name: spec.name.clone(), datatype, width, is_flat, is_single })
        })
        .collect()
}

/// For each input the places of its columns in a row.
pub(crate) type Places = Vec<Vec<usize>>;

/// Fields, and what they bind to.
pub(crate) type Binding = (Vec<Arc<str>>, Places);

/// The last fields seen and what they bind to: an endpoint's rows all come with the same.
#[derive(Debug, Default)]
pub(crate) struct Bound(RwLock<Option<Arc<Binding>>>);

impl Bound {
    /// As [`bind`], remembered.
    pub(crate) fn bind(
        &self,
        inputs: &[Input],
        fields: &[&Arc<str>],
        features: Option<&[String]>,
    ) -> Result<Arc<Binding>, PredictError> {
        let last = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let is_same = |known: &[Arc<str>]| {
            known.len() == fields.len()
                && known.iter().zip(fields).all(|(a, b)| Arc::ptr_eq(a, b) || a == *b)
        };
        if let Some(last) = last.filter(|last| is_same(&last.0)) {
            return Ok(last);
        }
        let places = bind(inputs, fields, features)?;
        let names = fields.iter().map(|name| Arc::clone(name)).collect();
        let fresh = Arc::new((names, places));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&fresh));
        Ok(fresh)
    }
}

/// Parts of `rows` that the graph takes in one call.
pub(crate) fn parts(inputs: &[Input], rows: usize) -> impl Iterator<Item = Range<usize>> {
    let size = if inputs.iter().any(|input| input.is_single) { 1 } else { rows.max(1) };
    (0..rows).step_by(size).map(move |start| start..(start + size).min(rows))
}

/// For each input the places of its columns among the fields.
pub(crate) fn bind(
    inputs: &[Input],
    row: &[&Arc<str>],
    features: Option<&[String]>,
) -> Result<Places, PredictError> {
    let mut places: Vec<Option<Vec<usize>>> =
        inputs.iter().map(|input| by_name(input, row)).collect();
    let bound: Vec<usize> = places.iter().flatten().flatten().copied().collect();
    let mut left: Vec<usize> = match features {
        None => (0..row.len()).collect(),
        Some(names) => {
            names.iter().map(|name| place(name, row)).collect::<Result<_, PredictError>>()?
        }
    };
    left.retain(|place| !bound.contains(place));
    let open: Vec<usize> = (0..inputs.len()).filter(|n| places[*n].is_none()).collect();
    // A column that no field fills is named, unless an order of features says what fills it.
    let is_named = inputs.len() > 1 && features.is_none();
    if let Some(first) = open.first().filter(|_| is_named || left.is_empty()) {
        return Err(missing(&inputs[*first].name, row));
    }
    for (position, number) in open.iter().enumerate() {
        let is_last = position + 1 == open.len();
        let wanted = inputs[*number].width.unwrap_or(left.len());
        if wanted > left.len() || (is_last && wanted != left.len()) {
            return Err(count(&inputs[*number], wanted, &left, row));
        }
        places[*number] = Some(left.drain(..wanted).collect());
    }
    Ok(places.into_iter().flatten().collect())
}

fn by_name(input: &Input, row: &[&Arc<str>]) -> Option<Vec<usize>> {
    if input.width != Some(1) {
        return None;
    }
    let exact = row.iter().position(|name| ***name == *input.name);
    // Why: converters write names as identifiers (`emp.var.rate` becomes `emp_var_rate`).
    let plain = || row.iter().position(|name| identifier(name) == input.name);
    exact.or_else(plain).map(|place| vec![place])
}

fn identifier(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect()
}

fn place(name: &str, row: &[&Arc<str>]) -> Result<usize, PredictError> {
    row.iter().position(|field| ***field == *name).ok_or_else(|| missing(name, row))
}

fn missing(feature: &str, row: &[&Arc<str>]) -> PredictError {
    let near = nearest(feature, row.iter().map(|name| &***name));
    let hint = near.map(|name| format!(" (near: `{name}`)")).unwrap_or_default();
    PredictError::FeatureMissing { feature: feature.to_owned(), hint }
}

fn count(input: &Input, wanted: usize, left: &[usize], row: &[&Arc<str>]) -> PredictError {
    let names: Vec<_> = left.iter().map(|place| &**row[*place]).collect();
    PredictError::FeatureCount {
        input: input.name.clone(),
        wanted,
        given: left.len(),
        names: names.join(", "),
    }
}
