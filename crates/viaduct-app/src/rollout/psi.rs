//! How far the candidate's scores lie from the champion's.

use viaduct_base::Timestamp;
use viaduct_decisions::{DecisionLog, Record};
use viaduct_domain::output::ModelOutput;
use viaduct_domain::rollout::Reading;
use viaduct_stats::drift::binning::{Binning, open_counts, shares};
use viaduct_stats::drift::distance::{EmptyBins, PSI_FLOOR, psi};
use viaduct_store::rollout::RolloutRow;

/// Scores of each version that are looked at: enough for ten bins, and read in no time.
const SCORES_MAX: usize = 20_000;
const BINS: u32 = 10;

/// PSI of the scores since the rollout began, in ten bins of the champion's. Blocking.
pub(super) fn of_scores(log: &DecisionLog, row: &RolloutRow, now: Timestamp) -> Reading {
    let (mut champion, mut challenger) = (Vec::new(), Vec::new());
    for record in log.scan(Some(row.endpoint_id), row.started_at, now).flatten() {
        let (version, output) = match record {
            Record::Decision(decision) => (decision.model_version, decision.output),
            Record::Beside(beside) if beside.rollout == row.id => {
                (beside.model_version, beside.output)
            }
            Record::Beside(_) | Record::Refused(_) => continue,
        };
        let scores = if version == row.to_version {
            &mut challenger
        } else if version == row.from_version {
            &mut champion
        } else {
            continue;
        };
        if scores.len() < SCORES_MAX {
            scores.extend(output.as_ref().and_then(score));
        }
    }
    let n = champion.len().min(challenger.len()) as u64;
    let found = Binning::ReferenceQuantiles { bins: BINS }.edges(&champion).and_then(|edges| {
        let share = |values: &[f64]| shares(&open_counts(values, &edges), values.len() as u64);
        psi(&share(&champion)?, &share(&challenger)?, EmptyBins::Floor(PSI_FLOOR))
    });
    match found {
        Ok(value) => Reading::Measured { value, n },
        Err(error) => Reading::missing(error.to_string()),
    }
}

fn score(output: &serde_json::Value) -> Option<f64> {
    let output: ModelOutput = serde_json::from_value(output.clone()).ok()?;
    output.number("probability").or_else(|| output.number("value")).filter(|n| n.is_finite())
}
