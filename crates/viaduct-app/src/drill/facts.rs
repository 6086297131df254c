//! The facts that drills write, with who ran them.

use viaduct_base::{Error, digest_json};
use viaduct_domain::fact::{FactName, FactValue, Measurement, Provenance, Subject, SubjectKind};
use viaduct_domain::permission::Caller;
use viaduct_store::endpoint::EndpointRow;

use super::{Check, DrillKind, Found};
use crate::App;

impl App {
    /// Writes the facts of a drill; an endpoint without a project has no facts.
    pub(super) async fn write_drill_facts(
        &self,
        caller: &Caller,
        row: &EndpointRow,
        kind: DrillKind,
        found: &Found,
    ) -> Result<Vec<String>, Error> {
        let Some(project) = row.project_id else { return Ok(Vec::new()) };
        let hash = digest_json(found)
            .map_err(|e| viaduct_base::Fault::caused("digest of a drill's report", e))?;
        let minutes = FactValue::scalar(found.seconds / 60.0);
        let flag = |part: &str| FactValue::flag(passed(&found.checks, part));
        let values: Vec<(FactName, FactValue, u64)> = match kind {
            DrillKind::SchemaChange => {
                let mut values = vec![
                    (FactName::DrillSchemaChangeStopped, flag("stopped"), 1),
                    (FactName::DrillSchemaChangeFallbackServed, flag("fallback"), 1),
                ];
                if passed(&found.checks, "alert") {
                    values.push((FactName::DrillSchemaChangeAlertMinutes, minutes, 1));
                }
                values
            }
            // Why only when it passed: a rollback that did not happen took no time.
            DrillKind::Rollback if found.checks.iter().all(|check| check.passed) => {
                vec![(FactName::DrillRollbackMinutes, minutes, 1)]
            }
            DrillKind::Rollback => Vec::new(),
            DrillKind::Fallback if found.requests > 0 => {
                let share = found.answered as f64 / found.requests as f64;
                let value = FactValue::scalar(share);
                vec![(FactName::DrillFallbackAnsweredShare, value, found.requests)]
            }
            DrillKind::Fallback => Vec::new(),
        };
        let provenance = match self.clock_kind() {
            viaduct_base::ClockKind::System => Provenance::Live,
            viaduct_base::ClockKind::Simulated => Provenance::Simulated,
        };
        let made = values
            .into_iter()
            .map(|(name, value, n)| {
                let subject = Subject::new(SubjectKind::Endpoint, row.id.to_string());
                Measurement::new(name, subject, value, hash.clone())
                    .n(n)
                    .provenance(provenance)
                    .note(format!("drill `{}` run by {}", kind.as_str(), caller.actor()))
            })
            .collect();
        let facts = self.record_measurements(project, made).await?;
        Ok(facts.iter().map(|fact| fact.name.as_str().to_owned()).collect())
    }
}

/// Whether the check that speaks of `part` passed.
fn passed(checks: &[Check], part: &str) -> bool {
    checks.iter().any(|check| check.passed && check.what.contains(part))
}
