//! Measures a project: KPI points, every fact that has a producer, the trial's one look.

use std::collections::HashSet;

use serde_json::json;
use viaduct_app::App;
use viaduct_app::fact::NewEstimate;
use viaduct_base::{ClockKind, Day, Error, Fault, ProjectId, Timestamp};
use viaduct_domain::fact::Provenance;
use viaduct_domain::kpi::{DailyPoints, KpiSpec};
use viaduct_domain::rule::{Deed, Rule};
use viaduct_store::{Scope, estimate};

use super::{Cache, ground, model_evidence};
use crate::evidence::cases::{Case, known_by_day};
use crate::evidence::trial::Analysis;
use crate::measure::{self, Ground};

/// Measures and writes; every figure comes from rows read here.
pub(super) async fn run(app: &App, id: ProjectId, cache: &Cache) -> Result<(), Error> {
    let now = app.now();
    let rows = ground::rows(app, id).await?;
    if !rows.project.standing.stage.is_live() {
        return Ok(());
    }
    let endpoint = rows.gate.endpoint.as_ref().map(|row| row.id);
    let cases = match endpoint {
        Some(endpoint) => ground::cases(app, endpoint, rows.cases_from(now), now).await?,
        None => Vec::new(),
    };
    let spec = &rows.project.spec;
    let known = match (spec.primary_kpi(), &spec.rule) {
        (Some(kpi), Some(rule)) => known_by_day(&cases, kpi, rule, now),
        _ => Default::default(),
    };
    if let (Some(kpi), Some(rule), Some(row)) = (spec.primary_kpi(), &spec.rule, &rows.kpi) {
        let points = daily(&cases, kpi, rule, now);
        let known = known.iter().map(|(day, m)| (*day, m.mean, m.n)).collect();
        app.record_points(id, row.id, points, known).await?;
    }
    let model = model_evidence::of(app, &rows, cache).await?;
    let overlap = ground::overlap(app, &rows, &cases, now).await?;
    let days: HashSet<Day> = known.keys().copied().collect();
    let subjects = |kind| rows.subjects.get(&kind).map(|subject| subject.id.clone());
    let ground = Ground {
        now,
        clock: app.clock_kind(),
        spec,
        contract: spec.contract.as_ref(),
        subjects: &subjects,
        cases: &cases,
        requests: endpoint
            .map(|endpoint| ground::requests(app.decisions(), endpoint, now))
            .unwrap_or_default(),
        kpi: rows.kpi_state(&days, now),
        overlap,
        model: model.as_deref(),
        shadow_window: shadow_window(&rows),
        trial: rows.trial.as_ref().map(|(id, trial)| (*id, trial)),
        owners: rows.owners.clone(),
    };
    app.record_measurements(id, measure::measure(&ground)).await?;
    record_shadow(app, &ground, &rows, id).await?;
    record_look(app, &ground, &rows, id).await
}

/// When shadow cases of the bound version count. A rule or a KPI changed after the binding starts
/// the planned time again: chosen on cases already seen, it would be judged by the same cases.
fn shadow_window(rows: &ground::Rows) -> Option<(Timestamp, Timestamp)> {
    let bound = rows.gate.binding.as_ref()?;
    let project = &rows.project;
    let from = bound.bound_at.max(project.since("rule")).max(project.since("kpis"));
    Some((from, from + bound.shadow_until.since(bound.bound_at)))
}

fn daily(
    cases: &[Case],
    kpi: &KpiSpec,
    rule: &Rule,
    now: Timestamp,
) -> Vec<viaduct_domain::kpi::DailyPoint> {
    let mut points = DailyPoints::new(kpi, now);
    for case in cases {
        let done = rule.deed(&case.action).unwrap_or(Deed::Acted);
        let outcome = viaduct_domain::kpi::outcome_at(&case.outcomes, now);
        points.add(case.at, Some(case.variant), kpi.value_of(outcome, done));
    }
    points.finish()
}

/// Takes the trial's look once and stores it. Its facts are written each time from what was seen
/// then, so that they stay fresh and never change.
async fn record_look(
    app: &App,
    ground: &Ground<'_>,
    rows: &ground::Rows,
    id: ProjectId,
) -> Result<(), Error> {
    let (Some((trial, _)), Some(kpi)) = (ground.trial, &rows.kpi) else { return Ok(()) };
    let scope = Scope::of(app.workspace());
    let before = app
        .store()
        .read("latest_estimate", move |tx| estimate::latest_by_trial(tx, &scope, id, trial))
        .await
        .map_err(Error::from)?;
    if let Some(row) = before {
        let again = measure::look_taken(ground, trial, analysis_of(&row)?);
        return app.record_measurements(id, again.measurements).await.map(|_| ());
    }
    let Some(looked) = measure::look(ground) else { return Ok(()) };
    app.record_measurements(id, looked.measurements).await?;
    let analysis = looked.analysis;
    let verdict = serde_json::to_value(analysis.decision.verdict).ok();
    let new = NewEstimate {
        kpi: kpi.id,
        trial: Some(trial),
        design: "trial",
        grade: looked.grade,
        verdict: verdict.and_then(|v| v.as_str().map(str::to_owned)),
        estimate: analysis.effect.clone(),
        unit: unit(rows),
        provenance: provenance(app, analysis.replayed).as_str(),
        window: Some(analysis.exposures),
        body: json!({ "analysis": analysis, "plan_hash": rows.trial.as_ref().map(|t| t.1.hash.clone()) }),
    };
    app.record_estimate(id, new).await.map(|_| ())
}

/// What a stored look saw.
fn analysis_of(row: &estimate::EstimateRow) -> Result<Analysis, Error> {
    #[derive(serde::Deserialize)]
    struct Body {
        detail: Detail,
    }
    #[derive(serde::Deserialize)]
    struct Detail {
        analysis: Analysis,
    }
    let body: Body = serde_json::from_str(&row.body_json)
        .map_err(|e| Fault::caused(format!("estimate `{}` does not read", row.id), e))?;
    Ok(body.detail.analysis)
}

/// Stores the shadow comparison of a version once, when its one look may be taken.
async fn record_shadow(
    app: &App,
    ground: &Ground<'_>,
    rows: &ground::Rows,
    id: ProjectId,
) -> Result<(), Error> {
    let (Some(found), Some(kpi), Some(model)) =
        (measure::shadow_estimate(ground), &rows.kpi, ground.model)
    else {
        return Ok(());
    };
    let scope = Scope::of(app.workspace());
    let before = app
        .store()
        .read("latest_estimate", move |tx| estimate::latest(tx, &scope, id, "shadow"))
        .await
        .map_err(Error::from)?;
    let version = json!(model.version);
    let since = json!(ground.shadow_window.map(|window| window.0));
    let same = before.as_ref().is_some_and(|row| {
        serde_json::from_str::<serde_json::Value>(&row.body_json).is_ok_and(|body| {
            body.pointer("/detail/model_version") == Some(&version)
                && body.pointer("/detail/since") == Some(&since)
        })
    });
    if same {
        return Ok(());
    }
    let new = NewEstimate {
        kpi: kpi.id,
        trial: None,
        design: "shadow",
        grade: 'S',
        verdict: None,
        estimate: found.estimate,
        unit: unit(rows),
        provenance: provenance(app, found.replayed).as_str(),
        window: found.window,
        body: json!({ "model_version": version, "since": since, "unknown_counterfactuals": found.unknown }),
    };
    app.record_estimate(id, new).await.map(|_| ())
}

fn unit(rows: &ground::Rows) -> String {
    rows.project.spec.primary_kpi().map(|kpi| kpi.unit.clone()).unwrap_or_default()
}

fn provenance(app: &App, replayed: bool) -> Provenance {
    match (replayed, app.clock_kind()) {
        (true, _) => Provenance::Replayed,
        (false, ClockKind::Simulated) => Provenance::Simulated,
        (false, ClockKind::System) => Provenance::Live,
    }
}
