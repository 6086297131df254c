//! Facts, trials, KPIs, reruns and the clock.

use serde_json::{Value, json};

use crate::apply::bring_history;
use crate::args::{ClockVerb, KpiVerb, TrialVerb};
use crate::client::segment;
use crate::{Failure, Session, table};

pub(crate) fn collect(session: &mut Session<'_>, project: &str) -> Result<(), Failure> {
    let path = format!("/api/v1/projects/{}/collect", segment(project));
    let answer = session.client.post(&path, json!({}))?;
    let columns = ["name", "value", "unit", "n", "provenance", "note", "producer"];
    session.printer.answer(&answer, |answer, paint| {
        table::list(answer, &columns, "nothing could be measured", paint)
    })
}

pub(crate) fn trial(session: &mut Session<'_>, verb: &TrialVerb) -> Result<(), Failure> {
    let answer = match verb {
        TrialVerb::Register { project, starts_at } => {
            let body = starts_at.as_ref().map_or(json!({}), |at| json!({"starts_at": at}));
            session.client.post(&format!("/api/v1/projects/{}/trials", segment(project)), body)?
        }
        TrialVerb::Show { trial } => {
            session.client.get(&format!("/api/v1/trials/{}", segment(trial)))?
        }
    };
    session.printer.answer(&answer, table::describe)
}

pub(crate) fn kpi(session: &mut Session<'_>, verb: &KpiVerb) -> Result<(), Failure> {
    match verb {
        KpiVerb::Freeze { project, kpi } => {
            let path =
                format!("/api/v1/projects/{}/kpis/{}/freeze", segment(project), segment(kpi));
            let answer = session.client.post(&path, json!({}))?;
            session.printer.answer(&answer, table::describe)
        }
        KpiVerb::History { project, kpi, file: Some(file) } => {
            let answer = bring_history(session, project, kpi, file)?;
            session.printer.answer(&answer, table::describe)
        }
        KpiVerb::History { project, kpi, file: None } => {
            let path =
                format!("/api/v1/projects/{}/kpis/{}/points", segment(project), segment(kpi));
            let answer = session.client.get(&path)?;
            let columns = ["date", "day", "arm", "value", "n", "source"];
            session.printer.answer(&answer, |answer, paint| {
                table::list(answer, &columns, "no points yet", paint)
            })
        }
    }
}

pub(crate) fn reproduce(session: &mut Session<'_>, project: &str) -> Result<(), Failure> {
    let path = format!("/api/v1/projects/{}/reproduce", segment(project));
    let answer = session.client.post(&path, json!({}))?;
    session.printer.answer(&answer, table::describe)
}

pub(crate) fn clock(session: &mut Session<'_>, verb: &ClockVerb) -> Result<(), Failure> {
    let answer: Value = match verb {
        ClockVerb::Show => session.client.get("/api/v1/clock")?,
        ClockVerb::Advance { by, to } => {
            let body = match (by, to) {
                (Some(by), _) => json!({"by": by}),
                (None, to) => json!({"to": to}),
            };
            session.client.post("/api/v1/clock/advance", body)?
        }
    };
    session.printer.answer(&answer, table::describe)
}
