//! Whether an ONNX version says what its original says.

use serde_json::Value;

use crate::client::segment;
use crate::printer::Paint;
use crate::{Failure, Session, table};

const TAG: &str = "viaduct.parity";

pub(crate) fn parity(session: &mut Session<'_>, model: &str) -> Result<(), Failure> {
    let Some((name, version)) = model.rsplit_once('/') else {
        return Err(Failure::Usage(format!("`{model}` is no version: write it as in `churn/3`")));
    };
    let (name, version) = (segment(name), segment(version));
    let path = format!("/api/2.0/mlflow/model-versions/get?name={name}&version={version}");
    let answer = session.client.get(&path)?;
    let tags = answer.pointer("/model_version/tags").and_then(Value::as_array);
    let tag = tags.into_iter().flatten().find(|tag| tag["key"] == TAG);
    let Some(text) = tag.and_then(|tag| tag["value"].as_str()) else {
        return Err(Failure::Usage(format!(
            "`{model}` was not compared with its original: it is done when an ONNX version is \
             registered and the server's configuration names `sidecar.python`"
        )));
    };
    let report: Value = serde_json::from_str(text)
        .map_err(|e| Failure::Broken(format!("the report of `{model}` does not read: {e}")))?;
    session.printer.answer(&report, render)
}

fn render(report: &Value, paint: Paint) -> String {
    let text = |key: &str| report.get(key).map(table::cell).unwrap_or_default();
    let verdict = text("verdict");
    match verdict.as_str() {
        "not_checked" => format!("{}: {}", paint.yellow("not checked"), text("reason")),
        _ => {
            let shown =
                if verdict == "equal" { paint.green(&verdict) } else { paint.red(&verdict) };
            let share = report["share_that_differs"].as_f64().unwrap_or(f64::NAN) * 100.0;
            format!(
                "{shown}: {} of {} rows differ from `{}` ({share:.2} %), {} labels among them\n\
                 largest difference {:.1e}; equal within {:e}; checked at {}",
                text("rows_that_differ"),
                text("rows"),
                text("original"),
                text("labels_that_differ"),
                report["largest_difference"].as_f64().unwrap_or(f64::NAN),
                report["tolerance"].as_f64().unwrap_or(f64::NAN),
                text("checked_at"),
            )
        }
    }
}
