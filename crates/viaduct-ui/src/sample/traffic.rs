//! Sample decisions, traffic and KPI lines.

use super::{at, day, hash, id, wobble};
use crate::chart::bars::{Bars, Bucket};
use crate::chart::line::{Lines, Mark, Point, Reference, Series};
use crate::view::*;

pub(super) fn decision_rows(count: i64) -> Vec<DecisionRow> {
    (0..count)
        .map(|i| {
            let probability = 0.02 + 0.4 * wobble(i) * wobble(i + 91);
            let holdout = wobble(i + 7) < 0.5;
            let call = holdout || probability >= 0.12;
            let known = i > 3;
            DecisionRow {
                id: id("dec", 9_000 + i as u64),
                at: at(131, 9 - i / 4),
                subject: format!("lead-{}", 10_482 - i),
                variant: if holdout { "holdout" } else { "champion" }.into(),
                action: if call { "call" } else { "skip" }.into(),
                output: Some(format!("{probability:.3}")),
                model: "term-deposit 2".into(),
                outcome: known.then(|| {
                    if wobble(i + 40) < 0.2 { "subscribed, €11.40" } else { "no, −€1.20" }.into()
                }),
                latency_us: 380 + (900.0 * wobble(i + 3)) as i64,
            }
        })
        .collect()
}

pub(super) fn traffic(days: i64) -> Bars {
    let bucket = |i: i64| {
        let total = 84.0 + 50.0 * wobble(i) - if (i % 7) > 4 { 70.0 } else { 0.0 };
        let holdout = (total * (0.46 + 0.08 * wobble(i + 5))).round();
        Bucket {
            label: crate::fmt::day_short(day(131 - days + i)),
            counts: vec![(total - holdout).round(), holdout],
        }
    };
    Bars {
        label: "Decisions by day and variant".into(),
        series: vec!["champion".into(), "holdout".into()],
        buckets: (0..days).map(bucket).collect(),
    }
}

fn series(name: &str, days: std::ops::Range<i64>, level: f64, slope: f64, seed: i64) -> Series {
    let points = days.clone().map(|d| {
        let n = 60 + (40.0 * wobble(d * 3 + seed)) as i64;
        let drift = slope * (d - days.start) as f64 / (days.end - days.start) as f64;
        let value = level + drift + 0.5 * (wobble(d + seed) - 0.5);
        let half = 2.6 / (n as f64).sqrt();
        Point {
            day: day(d),
            value,
            lower: Some(value - half),
            upper: Some(value + half),
            n: Some(n),
        }
    });
    Series { name: name.into(), points: points.collect() }
}

impl Kpi {
    /// History, then two arms.
    pub fn sample() -> Self {
        Self {
            project: "term-deposit".into(),
            name: "margin-per-lead".into(),
            primary: true,
            kind: "mean".into(),
            direction: "increase".into(),
            source: "decisions".into(),
            value_if_not_acted: "€0".into(),
            maturity: "21 days".into(),
            baseline_frozen_at: Some(at(3, 8)),
            baseline_weeks: Some(26.0),
            arms_sealed_until: None,
            lines: Lines {
                label: "Margin per lead by day, history and both arms".into(),
                unit: "EUR".into(),
                series: vec![
                    series("history", 0..62, 0.55, 0.1, 3),
                    series("champion", 62..110, 0.95, 0.1, 11),
                    series("holdout", 62..110, 0.6, -0.02, 29),
                ],
                marks: vec![Mark { day: day(62), label: "trial starts".into() }],
                reference: Some(Reference { value: 0.0, label: "break-even".into() }),
            },
        }
    }

    /// While the trial runs: both arms in one line.
    pub(super) fn sample_sealed() -> Self {
        let mut kpi = Self::sample();
        kpi.arms_sealed_until = Some(at(125, 0));
        kpi.lines.series.truncate(1);
        kpi.lines.series.push(series("both arms together", 62..95, 0.78, 0.05, 17));
        kpi
    }

    /// Before the trial: history alone.
    pub(super) fn sample_history() -> Self {
        let mut kpi = Self::sample();
        kpi.lines.series.truncate(1);
        kpi.lines.marks.clear();
        kpi
    }

    pub(super) fn sample_empty() -> Self {
        let lines = Lines { unit: "EUR".into(), ..Lines::default() };
        Self { baseline_frozen_at: None, baseline_weeks: None, lines, ..Self::sample() }
    }
}

impl Trial {
    /// Looked at once, as planned.
    pub fn sample() -> Self {
        let arm = |name: &str, units, mean| Arm {
            name: name.into(),
            share: 0.5,
            units,
            decisions: units + 18,
            matured: units,
            mean,
        };
        Self {
            id: id("tri", 1),
            name: "pilot-1".into(),
            state: TrialState::Done,
            kpi: "margin-per-lead".into(),
            unit: "EUR".into(),
            registered_at: at(60, 9),
            plan_hash: hash(12),
            starts_at: at(62, 0),
            ends_at: at(104, 0),
            look_at: at(125, 0),
            now: at(131, 9),
            break_even: Some(0.15),
            plan: "α 5 %, power 80 %, one look".into(),
            arms: vec![arm("champion", 2_968, Some(1.021)), arm("holdout", 2_936, Some(0.601))],
            effect: Some(Effect::sample()),
            others: vec![Effect {
                label: "guardrail: calls that were unwanted".into(),
                estimate: -0.08,
                lower: -0.21,
                upper: 0.05,
                ..Effect::sample()
            }],
            checks: vec![
                check("Sample ratio", Status::Pass, "p = 0.41"),
                check("Contamination", Status::Pass, "0.3 % of units in two arms"),
                check("Missing outcomes", Status::Pass, "4.1 % and 4.4 %"),
                check("Plan before first case", Status::Pass, "2 days"),
            ],
            verdict: Some(
                "The champion earns more than business as usual: the whole interval lies above zero."
                    .into(),
            ),
        }
    }

    /// Running: no number may be seen.
    pub(super) fn sample_sealed() -> Self {
        let done = Self::sample();
        Self {
            state: TrialState::Running,
            now: at(95, 9),
            effect: None,
            others: Vec::new(),
            verdict: None,
            checks: vec![
                check("Sample ratio", Status::Pass, "p = 0.62"),
                check("Missing outcomes", Status::NotEnoughData, "n 84 of 200"),
            ],
            arms: done
                .arms
                .iter()
                .map(|a| Arm { mean: None, matured: a.units / 3, ..a.clone() })
                .collect(),
            ..done
        }
    }
}

fn check(name: &str, status: Status, finding: &str) -> TrialCheck {
    TrialCheck { name: name.into(), status, finding: finding.into() }
}

impl Effect {
    /// A grade A effect.
    pub fn sample() -> Self {
        Self {
            label: "champion − holdout".into(),
            estimate: 0.42,
            lower: 0.05,
            upper: 0.79,
            level: 0.95,
            unit: "EUR".into(),
            per: Some("lead".into()),
            n: Some(5_904),
            grade: "A".into(),
            method: "Welch, difference of means".into(),
            provenance: Provenance::Simulated,
        }
    }
}
