//! S1: the model against the current process on the same cases; one look, at the registered end.

use serde_json::Value;
use viaduct_domain::fact::{FactName, FactValue, Measurement, Window};
use viaduct_domain::kpi::NotActed;
use viaduct_stats::{Estimate, paired};

use super::Ground;
use crate::evidence::cases::{self, Shadow};

/// Level of the shown interval.
const LEVEL: f64 = 0.95;
/// More unknown counterfactuals than this, and the known ones are no fair sample.
const UNKNOWN_MAX: f64 = 0.05;

/// The comparison over what has matured so far, with the estimate if it may be shown.
pub(super) struct Compared {
    /// Sums over the cases.
    pub(super) shadow: Shadow,
    /// The estimate; only at the registered end, on matured units, mostly known.
    pub(super) estimate: Option<Estimate>,
}

pub(super) fn compare(ground: &Ground<'_>) -> Option<Compared> {
    let (kpi, rule) = (ground.spec.primary_kpi()?, ground.spec.rule.as_ref()?);
    let (window, model) = (ground.shadow_window?, ground.model?);
    let ended = kpi.is_mature(window.1, ground.now);
    // Why not always the present: one look sees what was known at the registered end.
    let known_at = ground.now.min(window.1 + kpi.maturity);
    let shadow = cases::shadow(ground.cases, (kpi, rule), model.version, window, known_at);
    let seen = shadow.differences.n + shadow.unknown;
    let known = shadow.unknown as f64 <= UNKNOWN_MAX * seen as f64;
    let estimate = if ended && known { paired(&shadow.differences, LEVEL).ok() } else { None };
    Some(Compared { shadow, estimate })
}

pub(super) fn measure(
    ground: &Ground<'_>,
    compared: Option<&Compared>,
    digest: &Value,
) -> Vec<Measurement> {
    let Some(Compared { shadow, estimate }) = compared else { return Vec::new() };
    let Some((first, last)) = shadow.window else { return Vec::new() };
    let window = Window { from: first, to: last };
    let n = shadow.differences.n;
    let days = f64::from(last.day().number() - first.day().number() + 1);
    let mut out: Vec<Measurement> = ground
        .measured(FactName::ShadowDays, FactValue::scalar(days), digest)
        .map(|made| made.n(n).window(window).note(format!("{n} matured shadow cases")))
        .into_iter()
        .collect();
    if let Some(estimate) = estimate {
        let value =
            FactValue::interval(estimate.effect, (estimate.lower, estimate.upper), estimate.level);
        let name = FactName::ShadowPairedDifference;
        out.extend(ground.measured(name, value, digest).map(|made| {
            let mut made = made.n(n).window(window).note(note(ground, shadow));
            made.provenance = ground.provenance(shadow.replayed);
            made
        }));
    }
    out
}

fn note(ground: &Ground<'_>, shadow: &Shadow) -> String {
    let not_acted = ground.spec.primary_kpi().and_then(|kpi| kpi.value_if_not_acted);
    let stands_in = match not_acted {
        Some(NotActed::Amount(amount)) => {
            format!("where the model would not act, the declared {amount} stands for the outcome")
        }
        Some(NotActed::Observed) | None => "only observed outcomes count".to_owned(),
    };
    format!(
        "paired t over the same cases; {stands_in}; unknown counterfactuals: {}",
        shadow.unknown
    )
}
