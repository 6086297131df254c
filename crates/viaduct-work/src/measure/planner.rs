//! A3 and A4: measured traffic and variance before the planner, the shadow effect as money.

use serde_json::{Value, json};
use viaduct_domain::fact::{FactName, FactValue, Measurement};

use super::Ground;
use super::shadow::Compared;
use crate::evidence::cases::entities_per_week;
use crate::evidence::plan::{self, Economics};

pub(super) fn measure(
    ground: &Ground<'_>,
    compared: Option<&Compared>,
    digest: &Value,
) -> Vec<Measurement> {
    let (Some(compared), Some(economics)) = (compared, economics(ground)) else {
        return Vec::new();
    };
    let Some(weekly) = entities_per_week(ground.cases) else { return Vec::new() };
    let mut out = answerable(ground, compared, economics, weekly, digest);
    out.extend(npv(ground, compared, economics, weekly, digest));
    out
}

/// `None` without costs, or when the KPI's unit has no worth: then nothing breaks even.
fn economics(ground: &Ground<'_>) -> Option<Economics> {
    let costs = ground.spec.costs.as_ref()?;
    let unit_value = ground.spec.primary_kpi()?.unit_value.as_ref()?.low;
    Some(Economics { run_per_month: costs.run_per_month, build: costs.build, unit_value })
}

fn answerable(
    ground: &Ground<'_>,
    compared: &Compared,
    economics: Economics,
    weekly: f64,
    digest: &Value,
) -> Vec<Measurement> {
    let Some(trial) = &ground.spec.trial else { return Vec::new() };
    let spreads = (&compared.shadow.handled, &compared.shadow.model);
    let asked = (trial.holdout, trial.alpha, trial.power, trial.guardrails.len() as u32);
    let Ok(answer) = plan::answerable(spreads, weekly, economics, asked) else {
        return Vec::new();
    };
    let inputs = json!({ "cases": digest, "weekly": weekly, "asked": [trial.holdout, trial.alpha, trial.power],
        "economics": [economics.run_per_month, economics.build, economics.unit_value] });
    let note = format!(
        "break-even effect {:.3} a unit; {} units needed, {:.0} come a week: {:.1} weeks",
        answer.break_even, answer.units, answer.units_per_week, answer.weeks
    );
    [(FactName::PlanPowerAtBreakEven, answer.power), (FactName::PlanWeeksNeeded, answer.weeks)]
        .into_iter()
        .filter_map(|(name, value)| {
            let made = ground.measured(name, FactValue::scalar(value), &inputs)?;
            Some(made.n(compared.shadow.differences.n).note(note.clone()))
        })
        .collect()
}

fn npv(
    ground: &Ground<'_>,
    compared: &Compared,
    economics: Economics,
    weekly: f64,
    digest: &Value,
) -> Option<Measurement> {
    let estimate = compared.estimate.as_ref()?;
    let value = plan::npv_lower80(estimate, weekly, economics).ok()?;
    let currency = ground.spec.costs.as_ref()?.currency.to_string();
    let inputs = json!({ "cases": digest, "weekly": weekly });
    let made = ground.measured(FactName::ValueNpv24Lower80, FactValue::scalar(value), &inputs)?;
    let note = "projected (grade S): one-sided 80 % lower bound of the shadow effect, low unit value, \
                24 months at 10 % a year, less running and building cost; what a skipped case is \
                worth is the KPI's `value_if_not_acted`";
    Some(made.n(estimate.n_treated).currency(currency).note(note))
}
