//! The same answer again: a logged decision's inputs through a version of choice.

use std::time::Instant;

use viaduct_base::{Kind, Refusal};
use viaduct_decisions::DecisionRow;
use viaduct_domain::columns::Columns;
use viaduct_domain::contract::Contract;
use viaduct_domain::output::ModelOutput;

use crate::gateway::Gateway;
use crate::models::{Slot, Unanswered};
use crate::snapshot::ServedModel;

impl Gateway {
    /// What `model` says to the inputs of a logged decision. Nothing is logged and nobody's counters
    /// move. The inputs are typed by the endpoint's contract of today.
    ///
    /// # Errors
    /// The inputs were not kept as they were sent, do not meet today's contract, or the model
    /// cannot be loaded or fails on them.
    pub fn replay(
        &self,
        decision: &DecisionRow,
        model: ServedModel,
    ) -> Result<ModelOutput, Refusal> {
        let table = self.table()?;
        let found = table.find(&decision.endpoint_name)?;
        let columns = match &found.spec.contract {
            Some(contract) => {
                let typed = contract.check_row(&decision.inputs).map_err(|errors| {
                    let refusal = Contract::refuse_row(errors);
                    let detail = format!(
                        "decision `{}` cannot be replayed: its logged inputs do not meet the \
                         contract of today: {}",
                        decision.id, refusal.detail
                    );
                    Refusal { detail, ..refusal }
                })?;
                contract.columns_of(&[typed])
            }
            None => Columns::from_rows(&[crate::predict::as_it_comes(&decision.inputs)])
                .unwrap_or_default(),
        };
        let name = format!("`{}` version {}", model.name, model.version);
        let slot = Slot::new(&self.0.core.models, &found.spec, model);
        let failed = |reason: String| {
            let detail = format!("{name} cannot answer decision `{}`: {reason}", decision.id);
            Refusal::new(Kind::ModelNotServable, detail)
        };
        let outputs =
            slot.ask(&columns, found.longest(Instant::now())).map_err(|error| match error {
                Unanswered::Unready(refusal) => refusal,
                Unanswered::Failed(detail) | Unanswered::Cell { detail, .. } => failed(detail),
            })?;
        Ok(outputs.row(0))
    }
}
