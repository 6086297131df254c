//! D4: outcomes find their decisions, and soon enough.

use serde_json::Value;
use viaduct_domain::fact::{FactName, FactValue, Measurement};

use super::Ground;
use crate::evidence::cases;

pub(super) fn measure(ground: &Ground<'_>, digest: &Value) -> Vec<Measurement> {
    let Some(kpi) = ground.spec.primary_kpi() else { return Vec::new() };
    let Ok(joined) = cases::joined(ground.cases, kpi, ground.now) else { return Vec::new() };
    let share = joined.joined as f64 / joined.matured as f64;
    let planned = kpi.maturity.as_days();
    let late = joined.delay_p90_days;
    let counted = format!(
        "{} of {} decisions older than {} have a settled outcome",
        joined.joined, joined.matured, kpi.maturity
    );
    let delay =
        format!("nine of ten outcomes came within {late:.1} days; the plan waits {planned:.0}");
    [
        (FactName::OutcomeJoinedShare, FactValue::scalar(share), joined.matured, &counted),
        (FactName::OutcomeDelayP90Days, FactValue::scalar(late), joined.joined, &delay),
        (FactName::OutcomeDelayWithinPlan, FactValue::flag(late <= planned), joined.joined, &delay),
    ]
    .into_iter()
    .filter_map(|(name, value, n, note)| {
        Some(ground.measured(name, value, digest)?.n(n).note(note.clone()))
    })
    .collect()
}
