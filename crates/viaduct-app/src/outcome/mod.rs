//! Outcomes come back to their decisions; every report is kept.

use serde::Serialize;
use serde_json::Value;
use viaduct_base::{
    DecisionId, Error, Fault, FieldError, Kind, OutcomeId, Refusal, Secret, Timestamp,
};
use viaduct_decisions::DecisionRow;
use viaduct_domain::kpi::OutcomeStatus;
use viaduct_domain::permission::{Caller, Operation, Who};
use viaduct_store::Scope;
use viaduct_store::outcome::{self, OutcomeRow};

use crate::App;

/// Most reports in one call.
const REPORTS_MAX: usize = 1_000;

/// How a report names its decision.
#[derive(Debug, Clone)]
pub enum Refers {
    /// By the id that the prediction answered.
    Decision(DecisionId),
    /// By a business key of an endpoint; it must find exactly one decision.
    Key {
        /// The endpoint's name.
        endpoint: String,
        /// The key's name and value.
        key: (String, String),
    },
}

/// A report about a decision.
#[derive(Debug, Clone)]
pub struct Report {
    /// About which decision.
    pub about: Refers,
    /// What happened.
    pub label: Option<Value>,
    /// What it was worth.
    pub value: Option<f64>,
    /// When it happened.
    pub occurred_at: Option<Timestamp>,
    /// When it became known; now, when not said.
    pub observed_at: Option<Timestamp>,
    /// How settled it is.
    pub status: OutcomeStatus,
    /// Who says so.
    pub source: Option<String>,
}

/// What came of a report.
#[derive(Debug, Clone, Serialize)]
pub struct Recorded {
    /// The outcome's id.
    pub id: OutcomeId,
    /// The decision that it is about.
    pub decision_id: DecisionId,
}

fn status_word(status: OutcomeStatus) -> &'static str {
    match status {
        OutcomeStatus::Partial => "partial",
        OutcomeStatus::Final => "final",
        OutcomeStatus::Corrected => "corrected",
    }
}

impl App {
    /// Records reports, all or none; what is answered survives a kill -9.
    ///
    /// # Errors
    /// `invalid-input` naming each bad report; `not-found` for a decision that does not exist.
    pub async fn record_outcomes(
        &self,
        caller: &Caller,
        key: Option<&Secret<String>>,
        reports: Vec<Report>,
    ) -> Result<Vec<Recorded>, Error> {
        let scope = match (&caller.who, key) {
            // A consumer's key stands for its endpoint's decisions only; checked per report.
            (Who::Anonymous, Some(_)) => Scope::of(caller.workspace),
            _ => self.authorise(caller, Operation::RecordOutcome)?,
        };
        if reports.len() > REPORTS_MAX {
            let detail = format!("{} reports in one call; at most {REPORTS_MAX}", reports.len());
            return Err(Refusal::new(Kind::TooLarge, detail).into());
        }
        let app = self.clone();
        let key = key.filter(|_| caller.who == Who::Anonymous).cloned();
        let looked = tokio::task::spawn_blocking(move || app.outcome_rows(key, reports));
        let rows = looked.await.map_err(|e| Fault::caused("find decisions", e))??;
        let recorded =
            rows.iter().map(|row| Recorded { id: row.id, decision_id: row.decision_id }).collect();
        self.store()
            .write("record_outcomes", move |tx| -> Result<(), Error> {
                for row in &rows {
                    outcome::append(tx, &scope, row)?;
                }
                Ok(())
            })
            .await?;
        Ok(recorded)
    }

    fn outcome_rows(
        &self,
        key: Option<Secret<String>>,
        reports: Vec<Report>,
    ) -> Result<Vec<OutcomeRow>, Error> {
        let now = self.now();
        let (mut rows, mut errors) = (Vec::new(), Vec::new());
        for (index, report) in reports.into_iter().enumerate() {
            let bad = |field: &str, detail: String| FieldError {
                pointer: format!("/{index}{field}"),
                detail,
                line: None,
                column: None,
            };
            if report.label.is_none() && report.value.is_none() {
                errors.push(bad("", "a report needs `label` or `value`".into()));
                continue;
            }
            if report.value.is_some_and(|v| !v.is_finite()) {
                errors.push(bad("/value", "`value` must be a finite number".into()));
                continue;
            }
            let observed_at = report.observed_at.unwrap_or(now);
            if observed_at > now {
                errors.push(bad("/observed_at", format!("`{observed_at}` is after now ({now})")));
                continue;
            }
            let decision = match self.referred(&report.about)? {
                Ok(decision) => decision,
                Err(detail) => {
                    errors.push(bad("", detail));
                    continue;
                }
            };
            // Why first: what else is wrong with a report says when the decision was taken.
            if let Some(key) = &key {
                self.gateway().check_key(&decision.endpoint_name, key)?;
            }
            if observed_at < decision.at {
                let detail = format!("`{observed_at}` is before the decision ({})", decision.at);
                errors.push(bad("/observed_at", detail));
                continue;
            }
            rows.push(OutcomeRow {
                decision_id: decision.id,
                id: OutcomeId::new(now),
                endpoint_id: decision.endpoint,
                project_id: decision.project,
                decided_at: decision.at,
                status: status_word(report.status).to_owned(),
                label_json: report.label.map(|label| label.to_string()),
                value: report.value,
                occurred_at: report.occurred_at,
                observed_at,
                received_at: now,
                source: report.source,
                clock: self.clock_word().to_owned(),
            });
        }
        if errors.is_empty() {
            return Ok(rows);
        }
        let detail = format!("{} of the reports cannot be recorded; none was", errors.len());
        Err(Refusal::new(Kind::InvalidInput, detail).with_errors(errors).into())
    }

    /// The decision, or the sentence that says why there is none.
    fn referred(&self, about: &Refers) -> Result<Result<DecisionRow, String>, Error> {
        let in_log = |e| Error::from(Fault::caused("read the decision log", e));
        match about {
            Refers::Decision(id) => {
                let found = self.decisions().get(*id).map_err(in_log)?;
                Ok(found.ok_or_else(|| format!("there is no decision `{id}`")))
            }
            Refers::Key { endpoint, key: (name, value) } => {
                let all = self.gateway().snapshot().unwrap_or_default();
                let found = all.endpoints.iter().find(|e| e.name.as_str() == endpoint);
                let Some(found) = found else {
                    return Ok(Err(format!("there is no endpoint `{endpoint}`")));
                };
                let mut rows = self.decisions().by_key(found.id, name, value).map_err(in_log)?;
                Ok(match rows.len() {
                    0 => Err(format!("`{endpoint}` has no decision with `{name}` = `{value}`")),
                    1 => Ok(rows.remove(0)),
                    n => Err(format!(
                        "`{name}` = `{value}` finds {n} decisions of `{endpoint}`: use `decision_id`"
                    )),
                })
            }
        }
    }
}
