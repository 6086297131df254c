//! A loaded model: sessions, what fills them and what their outputs mean.

use std::borrow::Cow;
use std::time::Instant;

use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::ValueType;
use serde_json::Value;
use viaduct_domain::columns::{Cells, Column, Columns, Outputs};
use viaduct_domain::output::{ModelOutput, TypedRow};

use crate::bind::{self, Bound, Input};
use crate::error::{LoadError, PredictError};
use crate::pool::Pool;
use crate::read::{self, Role};
use crate::signature::{DataType, ModelSignature};
use crate::{classes, encode, refuse};

/// What the file itself does not say.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// The features in the order of the matrix input; `None` takes a row's fields as they come.
    pub features: Option<Vec<String>>,
    /// The labels in the order of the probability columns; `None` reads them from the file.
    pub classes: Option<Vec<Value>>,
}

/// A model that answers rows. Any number of threads may ask at once.
#[derive(Debug)]
pub struct Model {
    signature: ModelSignature,
    inputs: Vec<Input>,
    roles: Vec<Role>,
    features: Option<Vec<String>>,
    bound: Bound,
    pool: Pool,
}

impl Model {
    pub(crate) fn load(
        environment: &Environment,
        name: &str,
        bytes: &[u8],
        options: LoadOptions,
        sessions: usize,
    ) -> Result<Self, LoadError> {
        refuse::refuse_other_formats(name, bytes)?;
        let rejected = |reason: String| LoadError::Rejected { name: name.to_owned(), reason };
        let sessions: Vec<_> = (0..sessions.max(1))
            .map(|_| session(environment, bytes))
            .collect::<Result<_, _>>()
            .map_err(rejected)?;
        let Some(first) = sessions.first() else {
            return Err(rejected("no session".into()));
        };
        let signature = ModelSignature::of(first);
        let types: Vec<_> = first
            .inputs()
            .iter()
            .map(|input| match input.dtype() {
                ValueType::Tensor { ty, .. } => DataType::of(*ty),
                _ => None,
            })
            .collect();
        let inputs = bind::inputs(&signature, &types)?;
        let roles = read::roles(&signature, |width| {
            let named = options.classes.clone().filter(|classes| classes.len() == width);
            named.or_else(|| classes::labels(bytes, width))
        });
        let features = options.features;
        let (bound, pool) =
            (Bound::default(), Pool::new(sessions).map_err(|e| rejected(e.to_string()))?);
        Ok(Self { signature, inputs, roles, features, bound, pool })
    }

    /// What the graph takes and gives.
    pub fn signature(&self) -> &ModelSignature {
        &self.signature
    }

    /// The features that the model reads, by name: the columns of a matrix when their order is
    /// known, else the inputs.
    pub fn features(&self) -> Vec<String> {
        match &self.features {
            Some(features) => features.clone(),
            None => self.inputs.iter().map(|input| input.name.clone()).collect(),
        }
    }

    /// What [`ModelOutput`]s of this model hold: `label`, `probability`, `probabilities`, `value`, or
    /// the graph's own output names.
    pub fn answers(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for (role, output) in self.roles.iter().zip(&self.signature.outputs) {
            match role {
                Role::Label => found.push("label".into()),
                Role::Value => found.push("value".into()),
                Role::Matrix(_) | Role::Maps => {
                    found.extend(["probability".into(), "probabilities".into()]);
                }
                Role::Named => found.push(output.name.clone()),
            }
        }
        found
    }

    /// Whether a row of this shape fills the model's inputs; costs no run.
    ///
    /// # Errors
    /// A feature that the row has no field for, or a matrix of another width.
    pub fn check_fields(&self, row: &TypedRow) -> Result<(), PredictError> {
        let fields: Vec<_> = row.cells.iter().map(|(name, _)| name).collect();
        bind::bind(&self.inputs, &fields, self.features.as_deref()).map(|_| ())
    }

    /// Answers each row. All rows come from one contract: the same fields in the same order.
    ///
    /// # Errors
    /// A cell that an input cannot hold, fields that do not fill the inputs, or a failed run.
    pub fn predict(&self, rows: &[TypedRow]) -> Result<Vec<ModelOutput>, PredictError> {
        let Some(first) = rows.first() else { return Ok(Vec::new()) };
        let fields: Vec<_> = first.cells.iter().map(|(name, _)| name).collect();
        let bound = self.bound.bind(&self.inputs, &fields, self.features.as_deref())?;
        let mut answers = Vec::with_capacity(rows.len());
        for part in bind::parts(&self.inputs, rows.len()) {
            let part = &rows[part];
            let outputs = self.run(part.len(), &bound.1, None, |input, places| {
                encode::tensor(input, places, part)
            })?;
            answers.extend((0..part.len()).map(|row| outputs.row(row)));
        }
        Ok(answers)
    }

    /// Answers rows that come as columns; no row becomes a map on the way.
    ///
    /// # Errors
    /// As [`Model::predict`]; columns of different lengths.
    pub fn predict_columns(&self, columns: &Columns) -> Result<Outputs, PredictError> {
        self.predict_columns_until(columns, None)
    }

    /// [`Model::predict_columns`] that is stopped at a moment, or up to a fifth of a second later:
    /// between two nodes of the graph.
    ///
    /// # Errors
    /// As [`Model::predict_columns`]; [`PredictError::Stopped`].
    pub fn predict_columns_until(
        &self,
        columns: &Columns,
        until: Option<Instant>,
    ) -> Result<Outputs, PredictError> {
        if !columns.is_even() {
            let reason = format!("the columns do not all have {} rows", columns.rows);
            return Err(PredictError::Failed { reason });
        }
        let fields: Vec<_> = columns.columns.iter().map(|(name, _)| name).collect();
        let bound = self.bound.bind(&self.inputs, &fields, self.features.as_deref())?;
        let mut answers = Outputs::default();
        for part in bind::parts(&self.inputs, columns.rows) {
            let found = self.run(part.len(), &bound.1, until, |input, places| {
                encode::tensor_of_columns(input, places, columns, part.clone())
            })?;
            match answers.rows {
                0 => answers = found,
                _ => read::extend(&mut answers, found)?,
            }
        }
        Ok(answers)
    }

    fn run<'v>(
        &self,
        rows: usize,
        places: &[Vec<usize>],
        until: Option<Instant>,
        tensor: impl Fn(&Input, &[usize]) -> Result<SessionInputValue<'v>, PredictError>,
    ) -> Result<Outputs, PredictError> {
        let mut values = Vec::with_capacity(self.inputs.len());
        for (input, places) in self.inputs.iter().zip(places) {
            values.push((Cow::Borrowed(input.name.as_str()), tensor(input, places)?));
        }
        let (answer, is_stopped) = self.pool.with(until, |session, options| {
            let outputs = session
                .run_with_options(values, options)
                .map_err(|e| PredictError::Failed { reason: e.to_string() })?;
            read::outputs(&outputs, &self.roles, rows)
        });
        // Why only then: a run that was done before it saw the sign has its answer.
        if answer.is_err() && is_stopped { Err(PredictError::Stopped) } else { answer }
    }

    /// Runs one row of zeros and empty texts through every session, so that the first caller does
    /// not pay for what a session does once.
    ///
    /// # Errors
    /// The graph refuses such a row; a real one may do.
    pub fn warm_up(&self) -> Result<(), PredictError> {
        let row = self.empty_row();
        let places: Vec<Vec<usize>> = {
            let mut next = 0;
            let widths = self.inputs.iter().map(Input::columns);
            widths
                .map(|width| {
                    (next..{
                        next += width;
                        next
                    })
                        .collect()
                })
                .collect()
        };
        let mut values = Vec::with_capacity(self.inputs.len());
        for (input, places) in self.inputs.iter().zip(&places) {
            values.push(encode::tensor_of_columns(input, places, &row, 0..1)?);
        }
        self.pool.each(|session| {
            session
                .run(values.as_slice())
                .map(drop)
                .map_err(|e| PredictError::Failed { reason: e.to_string() })
        })
    }

    fn empty_row(&self) -> Columns {
        let mut columns = Vec::new();
        for input in &self.inputs {
            let cells = match input.datatype {
                DataType::Float32 | DataType::Float64 => Cells::F64(vec![0.0]),
                DataType::Int64 | DataType::Int32 => Cells::I64(vec![0]),
                DataType::Bool => Cells::Bool(vec![false]),
                DataType::Text => Cells::Text(vec![String::new()]),
            };
            let column = (input.name.as_str().into(), Column::from(cells));
            columns.extend(std::iter::repeat_n(column, input.columns()));
        }
        Columns { rows: 1, columns }
    }

    /// How many calls it answers at a time.
    pub fn sessions(&self) -> usize {
        self.pool.len()
    }
}

/// Why one thread: a small tabular model is done before a second thread has woken up.
fn session(environment: &Environment, bytes: &[u8]) -> Result<Session, String> {
    let text = |e: ort::Error<_>| e.to_string();
    let builder = Session::builder(environment).map_err(|e| e.to_string())?;
    builder
        .with_optimization_level(GraphOptimizationLevel::All)
        .map_err(text)?
        .with_intra_threads(1)
        .map_err(text)?
        .with_inter_threads(1)
        .map_err(text)?
        .commit_from_memory(bytes)
        .map_err(|e| e.to_string())
}
