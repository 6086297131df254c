//! KPIs: history comes in, is frozen, and points go out.

use serde::Serialize;
use serde_json::json;
use viaduct_base::{Day, Digest, Error, FieldError, Kind, Refusal, Timestamp};
use viaduct_domain::kpi::{HistoryPoint, parse_history};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::kpi::{self, Freeze, KpiRow};
use viaduct_store::kpi_history::{self, HistoryRow};
use viaduct_store::kpi_point::{self, PointRow};
use viaduct_store::{Scope, Tx};

use crate::App;
use crate::audit::Deed;
use crate::project::{Project, load};

/// A KPI's frozen history.
#[derive(Debug, Clone, Serialize)]
pub struct Frozen {
    /// When it was frozen.
    pub at: Timestamp,
    /// Who froze it.
    pub by: String,
    /// The hash of its points.
    pub hash: String,
    /// Its first day.
    pub first_day: Day,
    /// Its last day.
    pub last_day: Day,
    /// How many points.
    pub points: i64,
}

/// A KPI's points, for charts and tables.
#[derive(Debug, Clone, Serialize)]
pub struct Series {
    /// What people brought.
    pub history: Vec<Point>,
    /// What the platform computed.
    pub points: Vec<Point>,
    /// The frozen history.
    pub frozen: Option<Frozen>,
}

/// One point.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    /// The day.
    pub day: Day,
    /// The arm; empty for all together.
    pub arm: String,
    /// The value; none on a day without one.
    pub value: Option<f64>,
    /// Cases behind it.
    pub n: i64,
}

pub(crate) fn find(
    tx: &mut Tx,
    scope: &Scope,
    project: &Project,
    name: &str,
) -> Result<KpiRow, Error> {
    let row = kpi::find_by_name(tx, scope, project.id, name)?.filter(|r| r.removed_at.is_none());
    let none = || {
        let names: Vec<String> =
            project.spec.kpis.iter().map(|k| format!("`{}`", k.name)).collect();
        let detail = format!(
            "the project `{}` has no KPI `{name}`: it has {}",
            project.name(),
            names.join(", ")
        );
        Refusal::new(Kind::NotFound, detail)
    };
    row.ok_or_else(|| none().into())
}

fn frozen(row: &KpiRow) -> Option<Frozen> {
    Some(Frozen {
        at: row.frozen_at?,
        by: row.frozen_by.clone()?,
        hash: row.frozen_hash.clone()?,
        first_day: row.frozen_first_day?,
        last_day: row.frozen_last_day?,
        points: row.frozen_points?,
    })
}

impl App {
    /// Loads dated history from CSV; a day that was loaded before takes the new value.
    ///
    /// # Errors
    /// `invalid-input` with lines; `baseline-frozen` once it is frozen; days in the future.
    pub async fn load_history(
        &self,
        caller: &Caller,
        (project, kpi_name): (String, String),
        csv: String,
    ) -> Result<usize, Error> {
        let scope = self.authorise(caller, Operation::LoadHistory)?;
        let points = parse_history(&csv).map_err(|errors: Vec<FieldError>| {
            Refusal::new(Kind::InvalidInput, "the history is not valid").with_errors(errors)
        })?;
        let (app, caller, now) = (self.clone(), caller.clone(), self.now());
        if let Some(late) = points.iter().find(|p| p.day > now.day()) {
            let detail =
                format!("the history holds {}, which is after today ({})", late.day, now.day());
            return Err(Refusal::new(Kind::InvalidInput, detail).into());
        }
        let source = Digest::of(csv.as_bytes());
        self.store()
            .write("load_history", move |tx| -> Result<usize, Error> {
                let found = load(tx, &scope, &project)?;
                let row = find(tx, &scope, &found, &kpi_name)?;
                if let Some(at) = row.frozen_at {
                    let detail = format!(
                        "the history of `{kpi_name}` was frozen {at}: later values cannot change what units were chosen on"
                    );
                    return Err(Refusal::new(Kind::BaselineFrozen, detail).into());
                }
                for point in &points {
                    kpi_history::put(tx, &scope, &history_row(&row, point, &source, now))?;
                }
                let deed = Deed {
                    action: "kpi.history_loaded",
                    object_kind: "kpi",
                    object_id: &row.id.to_string(),
                    project: Some(found.id),
                    detail: json!({ "kpi": kpi_name, "points": points.len(), "sha256": source }),
                };
                app.record(tx, &caller, now, &deed)?;
                Ok(points.len())
            })
            .await
    }

    /// Freezes a KPI's history: from now on it can be read and not changed.
    ///
    /// # Errors
    /// `baseline-frozen` when it is already; `invalid-input` when nothing was loaded.
    pub async fn freeze_baseline(
        &self,
        caller: &Caller,
        (project, kpi_name): (String, String),
    ) -> Result<Frozen, Error> {
        let scope = self.authorise(caller, Operation::FreezeBaseline)?;
        let (app, caller, now) = (self.clone(), caller.clone(), self.now());
        self.store()
            .write("freeze_baseline", move |tx| -> Result<Frozen, Error> {
                let found = load(tx, &scope, &project)?;
                let row = find(tx, &scope, &found, &kpi_name)?;
                if let Some(at) = row.frozen_at {
                    let detail = format!("the history of `{kpi_name}` is frozen since {at}");
                    return Err(Refusal::new(Kind::BaselineFrozen, detail).into());
                }
                let rows = kpi_history::list(tx, &scope, row.id)?;
                let days = rows.iter().map(|r| r.day).min().zip(rows.iter().map(|r| r.day).max());
                let Some((first_day, last_day)) = days else {
                    let detail = format!(
                        "`{kpi_name}` has no history yet: `viaduct kpi history {project} {kpi_name} FILE` loads a CSV `date,value,n`"
                    );
                    return Err(Refusal::new(Kind::InvalidInput, detail).into());
                };
                let freeze = Freeze {
                    at: now,
                    by: caller.actor().to_owned(),
                    hash: history_hash(&rows).to_string(),
                    first_day,
                    last_day,
                    points: rows.len() as i64,
                };
                kpi::freeze(tx, &scope, row.id, row.revision, &freeze)?;
                let deed = Deed {
                    action: "kpi.baseline_frozen",
                    object_kind: "kpi",
                    object_id: &row.id.to_string(),
                    project: Some(found.id),
                    detail: json!({ "kpi": kpi_name, "hash": freeze.hash, "points": freeze.points }),
                };
                app.record(tx, &caller, now, &deed)?;
                Ok(Frozen {
                    at: freeze.at,
                    by: freeze.by.clone(),
                    hash: freeze.hash.clone(),
                    first_day,
                    last_day,
                    points: freeze.points,
                })
            })
            .await
    }

    /// A KPI's history and points.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn kpi_series(
        &self,
        caller: &Caller,
        (project, kpi_name): (String, String),
    ) -> Result<Series, Error> {
        let scope = self.authorise(caller, Operation::ReadProject)?;
        self.store()
            .read("kpi_series", move |tx| -> Result<Series, Error> {
                let found = load(tx, &scope, &project)?;
                let row = find(tx, &scope, &found, &kpi_name)?;
                let all = (Day::from_number(i32::MIN / 2), Day::from_number(i32::MAX / 2));
                let history = kpi_history::list(tx, &scope, row.id)?;
                let points = kpi_point::list(tx, &scope, row.id, all.0, all.1)?;
                Ok(Series {
                    history: history.into_iter().map(from_history).collect(),
                    points: points.into_iter().map(from_point).collect(),
                    frozen: frozen(&row),
                })
            })
            .await
    }
}

fn from_history(row: HistoryRow) -> Point {
    Point { day: row.day, arm: row.arm, value: Some(row.value), n: row.n }
}

fn from_point(row: PointRow) -> Point {
    Point { day: row.day, arm: row.arm, value: row.value, n: row.n }
}

fn history_row(kpi: &KpiRow, point: &HistoryPoint, source: &Digest, now: Timestamp) -> HistoryRow {
    HistoryRow {
        project_id: kpi.project_id,
        kpi_id: kpi.id,
        day: point.day,
        arm: point.arm.clone().unwrap_or_default(),
        value: point.value,
        n: i64::try_from(point.n).unwrap_or(i64::MAX),
        source: format!("sha256:{source}"),
        recorded_at: now,
    }
}

/// The digest of a history: one line a point, in the store's order (arm, then day).
fn history_hash(rows: &[HistoryRow]) -> Digest {
    let lines: String =
        rows.iter().map(|r| format!("{},{},{:?},{}\n", r.arm, r.day, r.value, r.n)).collect();
    Digest::of(lines.as_bytes())
}
