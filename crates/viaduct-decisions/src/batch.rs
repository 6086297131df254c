//! Rows of one request as one record: what they share is written once, inputs and outputs stay
//! typed columns.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use viaduct_base::{
    ClockKind, ConsumerId, DecisionId, Digest, EndpointId, ProjectId, Timestamp, TrialId,
    WorkspaceId,
};
use viaduct_domain::columns::{Columns, Outputs};

use crate::row::{DecisionRow, Flag};

/// What all rows of a request share; the fields of [`DecisionRow`] of the same names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchHead {
    /// When the decisions were made.
    pub at: Timestamp,
    /// Under which clock.
    pub clock: ClockKind,
    /// Whether the caller replayed past cases.
    pub replayed: bool,
    /// The workspace of the endpoint.
    pub workspace: WorkspaceId,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Its name at that time.
    pub endpoint_name: String,
    /// The project it belongs to, if any.
    pub project: Option<ProjectId>,
    /// The project's stage at that time.
    pub stage: String,
    /// The department that asked, if known.
    pub department: Option<String>,
    /// Who asked, when a key was sent.
    pub consumer: Option<ConsumerId>,
    /// Hash of the contract that the request met.
    pub contract_hash: Option<Digest>,
    /// Hash of the rule that made the actions.
    pub rule_hash: Option<Digest>,
}

/// How some rows were decided; rows that went the same way share one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Way {
    /// The trial that was running, if any.
    pub trial: Option<TrialId>,
    /// `champion`, `challenger`, `shadow` or `holdout`.
    pub variant: String,
    /// What must be known about the rows.
    pub flags: Vec<Flag>,
    /// The registered model's name; empty when no model was asked.
    pub model: String,
    /// Its version; 0 when no model was asked.
    pub model_version: i64,
    /// What the rule makes of the model's output.
    pub model_action: Option<String>,
    /// What was really to be done.
    pub action: String,
}

/// Where a row's output stands: which of the batch's [`DecisionBatch::outputs`], and its row there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputAt {
    /// Which outputs: one for each model that was asked.
    pub set: u16,
    /// The row in them.
    pub row: u32,
}

/// What a caller got.
#[derive(Debug, Clone, PartialEq)]
pub enum Answered {
    /// The model's output as it stands.
    Output,
    /// Something else: business as usual, a fallback, or null.
    Value(Value),
}

/// What one row has for itself.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchRow {
    /// Issued by the gateway, answered to the caller.
    pub id: DecisionId,
    /// Keyed hash of the entity; empty when there was none.
    pub entity_hash: String,
    /// Business keys, by name.
    pub keys: BTreeMap<String, String>,
    /// The entity's bucket of 10,000, where an assignment was made.
    pub bucket: Option<u16>,
    /// Which of [`DecisionBatch::ways`].
    pub way: u16,
    /// The model's output, if a model was asked.
    pub output: Option<OutputAt>,
    /// What the caller got.
    pub answered: Answered,
    /// The incumbent's answer, if the caller sent it.
    pub incumbent: Option<Value>,
    /// From the parsed request to the append.
    pub latency_us: u64,
}

/// The rows of one request, for [`crate::DecisionLog::append_batch`].
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionBatch {
    /// What they share.
    pub head: BatchHead,
    /// How they were decided; made by [`DecisionBatch::way`].
    pub ways: Vec<Way>,
    /// What each has for itself.
    pub rows: Vec<BatchRow>,
    /// The inputs, one row each; no columns where inputs are not kept.
    pub inputs: Columns,
    /// What each model that was asked said.
    pub outputs: Vec<Outputs>,
}

impl DecisionBatch {
    /// A batch without rows.
    pub fn new(head: BatchHead, inputs: Columns) -> Self {
        Self { head, ways: Vec::new(), rows: Vec::new(), inputs, outputs: Vec::new() }
    }

    /// The number of a way, added when no row went it before.
    pub fn way(&mut self, way: Way) -> u16 {
        let known = self.ways.iter().position(|known| *known == way);
        let number = known.unwrap_or_else(|| {
            self.ways.push(way);
            self.ways.len() - 1
        });
        u16::try_from(number).unwrap_or(u16::MAX)
    }

    /// One row as readers see it; `None` behind the last, or when its way is not there.
    pub fn row(&self, number: usize) -> Option<DecisionRow> {
        let (head, row) = (&self.head, self.rows.get(number)?);
        let way = self.ways.get(usize::from(row.way))?;
        let output = match row.output {
            None => None,
            Some(OutputAt { set, row }) => {
                let output = self.outputs.get(usize::from(set))?.row(row as usize);
                Some(serde_json::to_value(output).ok()?)
            }
        };
        let answered = match &row.answered {
            Answered::Output => output.clone().unwrap_or(Value::Null),
            Answered::Value(value) => value.clone(),
        };
        Some(DecisionRow {
            id: row.id,
            at: head.at,
            clock: head.clock,
            replayed: head.replayed,
            workspace: head.workspace,
            endpoint: head.endpoint,
            endpoint_name: head.endpoint_name.clone(),
            project: head.project,
            stage: head.stage.clone(),
            department: head.department.clone(),
            consumer: head.consumer,
            entity_hash: row.entity_hash.clone(),
            keys: row.keys.clone(),
            trial: way.trial,
            variant: way.variant.clone(),
            bucket: row.bucket,
            flags: way.flags.clone(),
            model: way.model.clone(),
            model_version: way.model_version,
            contract_hash: head.contract_hash.clone(),
            rule_hash: head.rule_hash.clone(),
            inputs: self.inputs.json_row(number),
            output,
            answered,
            incumbent: row.incumbent.clone(),
            model_action: way.model_action.clone(),
            action: way.action.clone(),
            latency_us: row.latency_us,
        })
    }

    /// Whether every row has its way, its output and its inputs.
    pub(crate) fn is_whole(&self) -> bool {
        let has_inputs = self.inputs.columns.is_empty()
            || (self.inputs.rows == self.rows.len() && self.inputs.is_even());
        has_inputs
            && self.rows.iter().all(|row| {
                let has_output = row.output.is_none_or(|at| {
                    let set = self.outputs.get(usize::from(at.set));
                    set.is_some_and(|set| (at.row as usize) < set.rows)
                });
                usize::from(row.way) < self.ways.len() && has_output
            })
    }
}
