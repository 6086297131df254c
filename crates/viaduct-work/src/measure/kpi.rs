//! A1, A2 and A5: the KPI is alive, its history is frozen, nobody else claims it.

use serde_json::json;
use viaduct_base::Span;
use viaduct_domain::fact::{FactName, FactValue, Measurement, Window};

use super::{Ground, LIVE_DAYS};

pub(super) fn measure(ground: &Ground<'_>) -> Vec<Measurement> {
    let mut out = Vec::new();
    out.extend(live(ground));
    out.extend(frozen(ground));
    out.extend(overlap(ground));
    out
}

fn live(ground: &Ground<'_>) -> Option<Measurement> {
    let share = ground.kpi.live_days as f64 / f64::from(LIVE_DAYS);
    let inputs = json!({ "live_days": ground.kpi.live_days, "until": ground.now.day() });
    let window = Window::ending(ground.now, Span::days(i64::from(LIVE_DAYS)));
    let made =
        ground.measured(FactName::KpiLiveShare, FactValue::scalar(share.min(1.0)), &inputs)?;
    let note = format!("{} of the last {LIVE_DAYS} days have a value", ground.kpi.live_days);
    Some(made.n(LIVE_DAYS as u64).window(window).note(note))
}

fn frozen(ground: &Ground<'_>) -> Vec<Measurement> {
    let Some(frozen) = &ground.kpi.frozen else { return Vec::new() };
    let (first, last) = frozen.days;
    // Why not the span alone: two points a year apart are no year of history.
    let span = f64::from(last.number() - first.number() + 1) / 7.0;
    let weeks = span.min(frozen.weeks as f64);
    let inputs = json!({ "hash": frozen.hash, "frozen_at": frozen.at });
    // Why both: points that end after the choice could have been chosen with it in mind.
    let before = ground
        .kpi
        .units_chosen_at
        .is_none_or(|chosen| frozen.at <= chosen && last.start() <= chosen);
    let note = format!("{} points from {first} to {last}, frozen {}", frozen.points, frozen.at);
    let weeks = ground
        .measured(FactName::KpiBaselineWeeks, FactValue::scalar(weeks), &inputs)
        .map(|made| made.n(frozen.points).note(note.clone()));
    let flag = ground
        .measured(FactName::KpiBaselineFrozenBeforeSelection, FactValue::flag(before), &inputs)
        .map(|made| made.note(note));
    weeks.into_iter().chain(flag).collect()
}

fn overlap(ground: &Ground<'_>) -> Option<Measurement> {
    let overlap = ground.overlap.filter(|overlap| overlap.entities > 0)?;
    let share = overlap.shared as f64 / overlap.entities as f64;
    let inputs = json!({ "entities": overlap.entities, "shared": overlap.shared });
    let note = format!(
        "{} of {} entities are also decided by {} other project(s) on this KPI",
        overlap.shared, overlap.entities, overlap.projects
    );
    let made =
        ground.measured(FactName::KpiDoubleClaimOverlap, FactValue::scalar(share), &inputs)?;
    Some(made.n(overlap.entities).note(note))
}
