//! The numbers behind charts, as CSV. The same values: a sealed arm is sealed here too.

use std::fmt::Write as _;
use std::sync::Arc;

use viaduct_base::{Kind, Refusal};

use super::answer::Answer;
use super::map::kpi;
use super::visit::Visit;
use super::{Answered, endpoint};

/// A cell: quoted where it must be, and never a formula for a spreadsheet.
fn cell(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

/// Every point of a KPI.
pub(super) async fn kpi(visit: Arc<Visit>) -> Answered {
    let (app, caller) = (&visit.app, &visit.caller);
    let found = app.get_project(caller, visit.param("project")).await?;
    let name = visit.param("kpi");
    let spec = found.spec.kpis.iter().find(|kpi| kpi.name.as_str() == name).ok_or_else(|| {
        let detail = format!("the project `{}` has no KPI `{name}`", found.name());
        Refusal::new(Kind::NotFound, detail)
    })?;
    let key = (found.name().to_owned(), name.to_owned());
    let series = app.kpi_series(caller, key).await?;
    let trials = app.list_trials(caller, found.name()).await?;
    let shown = kpi::kpi(found.name(), spec, &series, &trials);
    let mut text = String::from("date,series,value,n\n");
    for line in &shown.lines.series {
        for point in &line.points {
            let n = point.n.map(|n| n.to_string()).unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{},{},{},{n}", point.day, cell(&line.name), point.value);
        }
    }
    Ok(Answer::Csv { file: format!("{}-{name}.csv", found.name()), text })
}

/// An endpoint's decisions by day and variant.
pub(super) async fn traffic(visit: Arc<Visit>) -> Answered {
    let name = visit.param("endpoint");
    let found = visit.app.get_endpoint(&visit.caller, name).await?;
    let bars = endpoint::traffic(&visit, &found).await?.bars;
    let mut text = String::from("day");
    for series in &bars.series {
        let _ = write!(text, ",{}", cell(series));
    }
    text.push('\n');
    for bucket in &bars.buckets {
        text.push_str(&cell(&bucket.label));
        for count in &bucket.counts {
            let _ = write!(text, ",{count}");
        }
        text.push('\n');
    }
    Ok(Answer::Csv { file: format!("{}-traffic.csv", found.name), text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_no_formulas() {
        assert_eq!(cell("champion"), "champion");
        assert_eq!(cell("=1+1"), "'=1+1");
        assert_eq!(cell("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
