//! I1: the rule runs over the last days' scores, and the team can bear what it asks for.

use serde_json::Value;
use viaduct_base::Span;
use viaduct_domain::fact::{FactName, FactValue, Measurement, Window};

use super::Ground;
use crate::evidence::cases;

/// The window of the dry run.
const WINDOW: Span = Span::days(7);

pub(super) fn measure(ground: &Ground<'_>, digest: &Value) -> Vec<Measurement> {
    let Some(rule) = &ground.spec.rule else { return Vec::new() };
    let run = cases::dry_run(ground.cases, rule, WINDOW, ground.now);
    let rows = run.rows();
    if rows == 0 {
        return Vec::new();
    }
    let window = Window::ending(ground.now, WINDOW);
    let ok = run.unknown() == 0;
    let note = if ok {
        format!("the rule decided all {rows} scores of the last 7 days")
    } else {
        format!("the rule could not read {} of {rows} scores", run.unknown())
    };
    let mut out: Vec<Measurement> = ground
        .measured(FactName::RuleDryRunOk, FactValue::flag(ok), digest)
        .map(|made| made.n(rows).window(window).note(note))
        .into_iter()
        .collect();
    let busiest = run.days.values().map(|day| day.acted).max().unwrap_or(0);
    if let Some(capacity) = run.capacity.filter(|capacity| *capacity > 0) {
        let share = busiest as f64 / capacity as f64;
        let name = FactName::RuleDailyVolumeShareOfCapacity;
        out.extend(ground.measured(name, FactValue::scalar(share), digest).map(|made| {
            let note = format!(
                "busiest of {} days: {busiest} actions; capacity {capacity} a day",
                run.days.len()
            );
            made.n(rows).window(window).note(note)
        }));
    }
    out
}
