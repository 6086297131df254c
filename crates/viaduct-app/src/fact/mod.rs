//! What the platform's collectors write: facts, estimates, KPI points. No request comes here.

mod collect;

use viaduct_base::{Day, Error, EstimateId, Fault, KpiId, ProjectId, Timestamp, TrialId};
use viaduct_domain::fact::{Fact, FactKey, Measurement};
use viaduct_domain::kpi::DailyPoint;
use viaduct_store::estimate::{self, EstimateRow};
use viaduct_store::kpi_point::{self, PointRow};
use viaduct_store::{Scope, fact};

use crate::App;
use crate::gate::fact_row;

/// An estimate to be stored.
#[derive(Debug, Clone)]
pub struct NewEstimate {
    /// The KPI.
    pub kpi: KpiId,
    /// The trial, for one.
    pub trial: Option<TrialId>,
    /// `trial` or `shadow`.
    pub design: &'static str,
    /// The grade that the platform gives.
    pub grade: char,
    /// The verdict of the decision rule.
    pub verdict: Option<String>,
    /// The estimate.
    pub estimate: viaduct_stats::Estimate,
    /// What the effect is measured in.
    pub unit: String,
    /// Where the rows come from.
    pub provenance: &'static str,
    /// From when to when.
    pub window: Option<(Timestamp, Timestamp)>,
    /// The model version, checks and reasons behind it.
    pub body: serde_json::Value,
}

impl App {
    /// Makes facts of measurements and appends them. One that does not fit the row of its name is
    /// a bug of a collector: it is logged and left out, and the gate says `not_enough_data`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn record_measurements(
        &self,
        project: ProjectId,
        made: Vec<Measurement>,
    ) -> Result<Vec<Fact>, Error> {
        let now = self.now();
        let workspace = self.workspace();
        let mut facts = Vec::with_capacity(made.len());
        for measurement in made {
            let name = measurement.name;
            let key = FactKey { id: viaduct_base::FactId::new(now), workspace, project };
            match Fact::record(key, measurement, now) {
                Ok(fact) => facts.push(fact),
                Err(error) => {
                    tracing::error!(fact.name = %name, %error, "a measurement is no fact")
                }
            }
        }
        let rows = facts.iter().map(fact_row).collect::<Result<Vec<_>, _>>()?;
        self.store()
            .write("append_facts", move |tx| -> Result<(), Error> {
                for row in &rows {
                    fact::append(tx, row)?;
                }
                Ok(())
            })
            .await?;
        Ok(facts)
    }

    /// Stores an estimate; estimates are never changed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn record_estimate(
        &self,
        project: ProjectId,
        new: NewEstimate,
    ) -> Result<EstimateId, Error> {
        let (now, scope) = (self.now(), Scope::of(self.workspace()));
        let found = &new.estimate;
        let body = serde_json::json!({ "estimate": found, "detail": new.body });
        let row = EstimateRow {
            id: EstimateId::new(now),
            project_id: project,
            kpi_id: Some(new.kpi),
            trial_id: new.trial,
            design: new.design.to_owned(),
            grade: new.grade.to_string(),
            verdict: new.verdict,
            effect: Some(found.effect),
            lower: Some(found.lower).filter(|v| v.is_finite()),
            upper: Some(found.upper).filter(|v| v.is_finite()),
            level: found.level,
            n_model: i64::try_from(found.n_treated).unwrap_or(i64::MAX),
            n_control: i64::try_from(found.n_control).unwrap_or(i64::MAX),
            unit: new.unit,
            provenance: new.provenance.to_owned(),
            window_from: new.window.map(|w| w.0),
            window_to: new.window.map(|w| w.1),
            body_json: serde_json::to_string(&body)
                .map_err(|e| Fault::caused("write an estimate", e))?,
            computed_at: now,
        };
        let id = row.id;
        self.store()
            .write("insert_estimate", move |tx| estimate::insert(tx, &scope, &row))
            .await
            .map_err(Error::from)?;
        Ok(id)
    }

    /// Writes computed points of a KPI in place of what was computed before for these days.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn record_points(
        &self,
        project: ProjectId,
        kpi: KpiId,
        points: Vec<DailyPoint>,
        known: Vec<(Day, f64, u64)>,
    ) -> Result<(), Error> {
        let (now, scope) = (self.now(), Scope::of(self.workspace()));
        let clock = self.clock_word();
        let row = |day: Day, arm: &str, value: Option<f64>, n: u64| PointRow {
            project_id: project,
            kpi_id: kpi,
            day,
            arm: arm.to_owned(),
            value,
            n: i64::try_from(n).unwrap_or(i64::MAX),
            clock: clock.to_owned(),
            computed_at: now,
        };
        let mut rows: Vec<PointRow> =
            known.into_iter().map(|(day, value, n)| row(day, "known", Some(value), n)).collect();
        rows.extend(points.iter().map(|point| {
            let arm = point.arm.map_or("", |arm| arm.as_str());
            row(point.day, arm, point.value, point.n)
        }));
        self.store()
            .write("put_points", move |tx| -> Result<(), Error> {
                for row in &rows {
                    kpi_point::put(tx, &scope, row)?;
                }
                Ok(())
            })
            .await
    }
}
