//! A KPI's points as lines. While a trial runs its arms are one line: a line for each is a look.

use viaduct_app::kpi::{Point, Series};
use viaduct_app::trial::TrialView;
use viaduct_base::Day;
use viaduct_domain::kpi::{Direction, KpiSpec, KpiType, NotActed, Source};
use viaduct_domain::trial::Phase;

use super::length;
use crate::chart::line::{Lines, Mark, Point as Drawn, Series as Line};
use crate::fmt;
use crate::view::Kpi;

/// What the platform computed for all cases together.
const ALL: &str = "";
/// The arms of a trial.
const ARMS: [&str; 2] = ["champion", "holdout"];

/// A KPI with its lines.
pub(in crate::routes) fn kpi(
    project: &str,
    spec: &KpiSpec,
    series: &Series,
    trials: &[TrialView],
) -> Kpi {
    let name = spec.name.to_string();
    let mine = || trials.iter().filter(|t| measures(t, &name));
    let sealed = mine().find(|trial| trial.phase != Phase::Matured);
    let frozen = series.frozen.as_ref();
    let weeks = frozen.map(|f| f64::from(f.last_day.number() - f.first_day.number() + 1) / 7.0);
    let starts = mine().filter(|trial| trial.phase != Phase::Planned);
    Kpi {
        project: project.to_owned(),
        primary: spec.primary,
        kind: match spec.kind {
            KpiType::Mean => "mean",
            KpiType::Proportion => "proportion",
        }
        .to_owned(),
        direction: match spec.direction {
            Direction::Increase => "increase",
            Direction::Decrease => "decrease",
        }
        .to_owned(),
        source: match spec.source {
            Source::Decisions => "decisions",
            Source::Csv => "csv",
        }
        .to_owned(),
        value_if_not_acted: match spec.value_if_not_acted {
            Some(NotActed::Amount(amount)) => fmt::value(amount, &spec.unit),
            Some(NotActed::Observed) => "as observed".to_owned(),
            None => "nothing".to_owned(),
        },
        maturity: length(spec.maturity),
        baseline_frozen_at: frozen.map(|frozen| frozen.at),
        baseline_weeks: weeks.map(|weeks| (weeks * 10.0).round() / 10.0),
        arms_sealed_until: sealed.map(|trial| trial.registered.matured_at),
        lines: Lines {
            label: format!("{name} by day"),
            unit: spec.unit.clone(),
            series: lines(series, sealed),
            marks: starts
                .map(|trial| Mark {
                    day: trial.registered.starts_at.day(),
                    label: format!("{} starts", trial.name),
                })
                .collect(),
            reference: None,
        },
        name,
    }
}

/// Whether a trial's effect can be read from this KPI's arms.
fn measures(trial: &TrialView, kpi: &str) -> bool {
    let plan = &trial.registered.plan;
    plan.kpi.name.as_str() == kpi || plan.guardrails.iter().any(|g| g.kpi.name.as_str() == kpi)
}

fn lines(series: &Series, sealed: Option<&TrialView>) -> Vec<Line> {
    let mut lines = vec![line("history", series.history.iter())];
    let of = |arm: &'static str| series.points.iter().filter(move |point| point.arm == arm);
    lines.push(line("shadow", of("shadow")));
    match sealed {
        Some(trial) => {
            let from: Day = trial.registered.starts_at.day();
            let before = move |point: &&Point| point.day < from;
            // Arms of an earlier trial were looked at; those of this one are not told apart.
            for arm in ARMS {
                lines.push(line(arm, of(arm).filter(before)));
            }
            lines.push(line("both arms together", of(ALL).filter(move |p| p.day >= from)));
        }
        None => {
            for arm in ARMS {
                lines.push(line(arm, of(arm)));
            }
        }
    }
    lines.retain(|line| !line.points.is_empty());
    if lines.iter().all(|line| line.name == "history") {
        let all = line("all cases", of(ALL));
        lines.extend(Some(all).filter(|line| !line.points.is_empty()));
    }
    lines
}

fn line<'a>(name: &str, points: impl Iterator<Item = &'a Point>) -> Line {
    let mut points: Vec<Drawn> = points
        .filter_map(|point| {
            let value = point.value.filter(|value| value.is_finite())?;
            Some(Drawn { day: point.day, value, lower: None, upper: None, n: Some(point.n) })
        })
        .collect();
    points.sort_by_key(|point| point.day);
    Line { name: name.to_owned(), points }
}
