//! Reads everything that measuring a project needs, once.

use std::collections::{BTreeMap, HashMap, HashSet};

use viaduct_app::App;
use viaduct_app::endpoint::registered;
use viaduct_app::gate::{Ground as GateGround, current_subjects};
use viaduct_app::project::{Project, load};
use viaduct_base::{
    Day, DecisionId, EndpointId, Error, Fault, ProjectId, Span, Timestamp, TrialId,
};
use viaduct_decisions::{DecisionLog, DecisionRow, Flag, Record};
use viaduct_domain::assign::Variant;
use viaduct_domain::evaluate::CurrentSubject;
use viaduct_domain::fact::SubjectKind;
use viaduct_domain::kpi::{Outcome, OutcomeStatus, Source};
use viaduct_domain::trial::RegisteredTrial;
use viaduct_store::kpi::KpiRow;
use viaduct_store::outcome::{self, OutcomeRow};
use viaduct_store::{Scope, endpoint, kpi, kpi_history, user};

use crate::evidence::cases::Case;
use crate::measure::{Frozen, KpiState, Overlap, OwnerActivity, Owners, Requests};

/// Outcomes read in one go.
const PAGE: usize = 5_000;
/// Entities of other projects are compared over this time.
const OVERLAP_WINDOW: Span = Span::days(90);
/// The window of contract health.
const REQUESTS_WINDOW: i32 = 14;

/// The rows around a project, read in one snapshot of the database.
pub(crate) struct Rows {
    pub(crate) project: Project,
    pub(crate) gate: GateGround,
    pub(crate) subjects: BTreeMap<SubjectKind, CurrentSubject>,
    pub(crate) kpi: Option<KpiRow>,
    pub(crate) history_days: HashSet<Day>,
    pub(crate) owners: Owners,
    pub(crate) trial: Option<(TrialId, RegisteredTrial)>,
    pub(crate) units_chosen_at: Option<Timestamp>,
    /// Endpoints of other projects with a KPI of this name.
    pub(crate) rivals: Vec<EndpointId>,
    pub(crate) rival_projects: u64,
}

/// Reads the rows.
pub(crate) async fn rows(app: &App, id: ProjectId) -> Result<Rows, Error> {
    let scope = Scope::of(app.workspace());
    app.store()
        .read("measure_project", move |tx| -> Result<Rows, Error> {
            let project = load(tx, &scope, &id.to_string())?;
            let gate = GateGround::read(tx, &scope, &project)?;
            let subjects = current_subjects(&project, &gate);
            let primary = project.spec.primary_kpi().map(|kpi| kpi.name.to_string());
            let kpi = match &primary {
                Some(name) => kpi::find_by_name(tx, &scope, id, name)?,
                None => None,
            };
            let history_days = match &kpi {
                Some(row) => kpi_history::list(tx, &scope, row.id)?.iter().map(|r| r.day).collect(),
                None => HashSet::new(),
            };
            let mut activity = |name: Option<&viaduct_base::Name>| -> Result<_, Error> {
                let Some(name) = name else { return Ok(None) };
                let found = user::find_by_name(tx, name.as_str())?;
                Ok(Some(OwnerActivity {
                    name: name.to_string(),
                    is_active: found.as_ref().is_some_and(|u| u.disabled_at.is_none()),
                    signed_in_at: found.and_then(|u| u.signed_in_at),
                }))
            };
            let charter = &project.spec.charter;
            let owners = Owners {
                business: activity(charter.business_owner.as_ref())?,
                technical: activity(charter.technical_owner.as_ref())?,
            };
            let trial = match gate.trial() {
                Some(row) => Some((row.id, registered(row)?)),
                None => None,
            };
            let units_chosen_at = gate.trials.iter().map(|row| row.registered_at).min();
            let (mut rivals, mut rival_projects) = (Vec::new(), 0);
            for other in kpi::list_named(tx, &scope, primary.as_deref().unwrap_or_default())? {
                if other.project_id == id || other.removed_at.is_some() {
                    continue;
                }
                rival_projects += 1;
                let rows = endpoint::list_by_project(tx, &scope, other.project_id)?;
                rivals.extend(rows.into_iter().map(|row| row.id));
            }
            Ok(Rows {
                project,
                gate,
                subjects,
                kpi,
                history_days,
                owners,
                trial,
                units_chosen_at,
                rivals,
                rival_projects,
            })
        })
        .await
}

impl Rows {
    /// From when on cases are needed: the binding's shadow time, the trial, and the last months.
    pub(crate) fn cases_from(&self, now: Timestamp) -> Timestamp {
        let marks = [
            self.gate.binding.as_ref().map(|bound| bound.bound_at),
            self.trial.as_ref().map(|(_, trial)| trial.starts_at),
        ];
        marks.into_iter().flatten().fold(now - Span::days(63), Timestamp::min)
    }

    /// The KPI's state from its rows and the days on which a value became known.
    pub(crate) fn kpi_state(&self, known: &HashSet<Day>, now: Timestamp) -> KpiState {
        let last = now.day();
        // Why: a KPI over decisions lives by its outcomes; what somebody uploads is its past.
        let from_csv = self.project.spec.primary_kpi().is_some_and(|kpi| kpi.source == Source::Csv);
        let live_days = (1..=crate::measure::LIVE_DAYS)
            .map(|back| last.plus(-back))
            .filter(|day| known.contains(day) || (from_csv && self.history_days.contains(day)))
            .count() as u64;
        let frozen = self.kpi.as_ref().and_then(|row| {
            let first = row.frozen_first_day?;
            let week = |day: &Day| (day.number() - first.number()).div_euclid(7);
            Some(Frozen {
                at: row.frozen_at?,
                days: (first, row.frozen_last_day?),
                points: u64::try_from(row.frozen_points?).unwrap_or_default(),
                weeks: self.history_days.iter().map(week).collect::<HashSet<_>>().len() as u64,
                hash: row.frozen_hash.clone()?,
            })
        });
        KpiState { live_days, frozen, units_chosen_at: self.units_chosen_at }
    }
}

/// Decisions of an endpoint since `from`, with every report about them, oldest first.
pub(crate) async fn cases(
    app: &App,
    endpoint: EndpointId,
    from: Timestamp,
    now: Timestamp,
) -> Result<Vec<Case>, Error> {
    let until = now + Span::micros(1);
    let mut outcomes = reports(app, endpoint, (from, until)).await?;
    let log = app.decisions().clone();
    let scanned = tokio::task::spawn_blocking(move || -> Result<Vec<Case>, Error> {
        let mut cases = Vec::new();
        for record in log.scan(Some(endpoint), from, until) {
            match record.map_err(|e| Fault::caused("read the decision log", e))? {
                Record::Decision(row) => cases.push(case(*row, &mut outcomes)),
                Record::Refused(_) | Record::Beside(_) => {}
            }
        }
        Ok(cases)
    });
    scanned.await.map_err(|e| Fault::caused("read the decision log", e))?
}

fn case(row: DecisionRow, outcomes: &mut HashMap<DecisionId, Vec<Outcome>>) -> Case {
    let unassigned = row.flags.iter().any(|f| matches!(f, Flag::Unsticky | Flag::Override));
    Case {
        id: row.id,
        at: row.at,
        entity: row.entity_hash,
        variant: Variant::from_word(&row.variant).unwrap_or(Variant::Shadow),
        trial: row.trial,
        action: row.action,
        output: row.output.and_then(|output| serde_json::from_value(output).ok()),
        model_version: row.model_version,
        unassigned,
        replayed: row.replayed,
        outcomes: outcomes.remove(&row.id).unwrap_or_default(),
    }
}

async fn reports(
    app: &App,
    endpoint: EndpointId,
    window: (Timestamp, Timestamp),
) -> Result<HashMap<DecisionId, Vec<Outcome>>, Error> {
    let scope = Scope::of(app.workspace());
    app.store()
        .read("read_outcomes", move |tx| -> Result<_, Error> {
            let mut found: HashMap<DecisionId, Vec<Outcome>> = HashMap::new();
            let mut place = None;
            loop {
                let (rows, next) =
                    outcome::page(tx, &scope, endpoint, window, place.as_ref(), PAGE)?;
                for row in rows {
                    found.entry(row.decision_id).or_default().push(report(row));
                }
                match next {
                    Some(next) => place = Some(next),
                    None => return Ok(found),
                }
            }
        })
        .await
}

/// Why the later of two moments: a report that says it was seen long ago, and came after a look,
/// must not change what that look could know.
fn report(row: OutcomeRow) -> Outcome {
    Outcome {
        label: row.label_json.and_then(|text| serde_json::from_str(&text).ok()),
        value: row.value,
        observed_at: row.observed_at.max(row.received_at),
        status: match row.status.as_str() {
            "partial" => OutcomeStatus::Partial,
            "corrected" => OutcomeStatus::Corrected,
            _ => OutcomeStatus::Final,
        },
    }
}

/// How many requests of the last days met the contract.
pub(crate) fn requests(log: &DecisionLog, endpoint: EndpointId, now: Timestamp) -> Requests {
    let first = now.day().plus(-REQUESTS_WINDOW);
    let mut out = Requests { from: Some(first.start()), ..Requests::default() };
    for (day, count) in log.counts_per_day(endpoint) {
        if day >= first {
            out.met += count.decisions;
            out.refused += count.refused;
        }
    }
    out
}

/// Entities that other projects decide on the same KPI.
pub(crate) async fn overlap(
    app: &App,
    rows: &Rows,
    cases: &[Case],
    now: Timestamp,
) -> Result<Option<Overlap>, Error> {
    let own: HashSet<String> =
        cases.iter().filter(|c| !c.entity.is_empty()).map(|c| c.entity.clone()).collect();
    if own.is_empty() {
        return Ok(None);
    }
    let (log, rivals) = (app.decisions().clone(), rows.rivals.clone());
    let entities = own.len() as u64;
    let scanned = tokio::task::spawn_blocking(move || -> Result<u64, Error> {
        let mut shared = HashSet::new();
        for rival in rivals {
            for record in log.scan(Some(rival), now - OVERLAP_WINDOW, now + Span::micros(1)) {
                let record = record.map_err(|e| Fault::caused("read the decision log", e))?;
                if let Record::Decision(row) = record
                    && own.contains(&row.entity_hash)
                {
                    shared.insert(row.entity_hash);
                }
            }
        }
        Ok(shared.len() as u64)
    });
    let shared = scanned.await.map_err(|e| Fault::caused("read the decision log", e))??;
    Ok(Some(Overlap { entities, shared, projects: rows.rival_projects }))
}
