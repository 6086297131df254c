//! Families cbpe, cbpe_multiclass and dle.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::drift::labels;
use crate::{
    calc::input::{Answer, Fields, Refusal},
    insufficient::require,
    unlabelled::{
        ChunkMetric,
        cbpe::{self, Cbpe},
        cbpe_multiclass,
        dle::{self, Dle},
    },
};

fn metrics(names: &[&str], values: &[ChunkMetric]) -> Value {
    let map: Map<String, Value> = names
        .iter()
        .zip(values)
        .map(|(name, metric)| {
            let block = json!({
                "value": metric.value, "sampling_error": metric.sampling_error,
                "realized": metric.realized,
                "upper_confidence_boundary": metric.upper_confidence,
                "lower_confidence_boundary": metric.lower_confidence,
                "upper_threshold": metric.upper_threshold,
                "lower_threshold": metric.lower_threshold, "alert": metric.alert,
            });
            ((*name).to_owned(), block)
        })
        .collect();
    Value::Object(map)
}

fn chunk_size(fields: &Fields<'_>) -> Result<usize, Refusal> {
    let size = fields.index("chunk_size")?;
    require(size >= 1, "chunk size", "at least 1")?;
    Ok(size)
}

/// The decision threshold out of a rule such as `1 if p >= 0.5`.
fn threshold(fields: &Fields<'_>) -> Result<f64, Refusal> {
    if !fields.has("y_pred_rule") {
        return Ok(0.5);
    }
    let threshold = fields
        .text("y_pred_rule")?
        .strip_prefix("1 if p >= ")
        .and_then(|text| text.trim().parse::<f64>().ok())
        .filter(|threshold| threshold.is_finite());
    threshold.ok_or_else(|| Refusal::Invalid("`y_pred_rule` must be `1 if p >= t`".to_owned()))
}

fn scores(fields: &Fields<'_>, name: &str) -> Result<cbpe::Scores, Refusal> {
    let given = fields.object(name)?;
    let p = given.numbers("p")?;
    let y = if given.has("y") { given.numbers_opt("y")? } else { vec![None; p.len()] };
    let label = |y: Option<f64>| match y {
        None => Ok(None),
        Some(0.0) => Ok(Some(false)),
        Some(1.0) => Ok(Some(true)),
        Some(_) => Err(Refusal::Invalid("`y` must hold 0 and 1".to_owned())),
    };
    Ok(cbpe::Scores { p, y: y.into_iter().map(label).collect::<Result<_, _>>()? })
}

pub(crate) fn cbpe(fields: &Fields<'_>) -> Answer {
    let (reference, analysis) = (scores(fields, "reference")?, scores(fields, "analysis")?);
    let fitted = Cbpe::fit(&reference, threshold(fields)?, chunk_size(fields)?)?;
    let chunks: Vec<Value> = fitted
        .estimate(&analysis)?
        .iter()
        .map(|chunk| metrics(&cbpe::METRICS, &chunk.metrics))
        .collect();
    let y: Vec<bool> = reference.y.iter().flatten().copied().collect();
    // Shown whether it is used or not, so that an auditor sees what calibration would do.
    let isotonic = crate::unlabelled::calibration::Isotonic::fit(&reference.p, &y)?;
    let first: Vec<f64> = analysis.p.iter().take(20).map(|p| isotonic.predict(*p)).collect();
    Ok(json!({
        "chunks": chunks, "needs_calibration": fitted.needs_calibration(),
        "isotonic_on_analysis_first20": first,
    }))
}

fn class_scores(
    fields: &Fields<'_>,
    name: &str,
    columns: &BTreeMap<String, String>,
) -> Result<cbpe_multiclass::Scores, Refusal> {
    let given = fields.object(name)?;
    let mut p = BTreeMap::new();
    for (class, column) in columns {
        p.insert(class.clone(), given.numbers(column)?);
    }
    let predicted: Option<Vec<String>> = labels("yhat", given.raw("yhat")?)?.into_iter().collect();
    let predicted =
        predicted.ok_or_else(|| Refusal::Invalid("`yhat` must be complete".to_owned()))?;
    let actual =
        if given.has("y") { labels("y", given.raw("y")?)? } else { vec![None; predicted.len()] };
    Ok(cbpe_multiclass::Scores { p, predicted, actual })
}

pub(crate) fn cbpe_multiclass(fields: &Fields<'_>) -> Answer {
    let mut columns = BTreeMap::new();
    for (class, column) in fields.object("probabilities")?.entries() {
        match column {
            Value::String(column) => columns.insert(class.clone(), column.clone()),
            _ => return Err(Refusal::Invalid("`probabilities` must name columns".to_owned())),
        };
    }
    let reference = class_scores(fields, "reference", &columns)?;
    let analysis = class_scores(fields, "analysis", &columns)?;
    let fitted = cbpe_multiclass::Cbpe::fit(&reference, chunk_size(fields)?)?;
    let chunks: Vec<Value> = fitted
        .estimate(&analysis)?
        .iter()
        .map(|chunk| metrics(&cbpe_multiclass::METRICS, &chunk.metrics))
        .collect();
    Ok(json!({"chunks": chunks}))
}

fn predictions(
    fields: &Fields<'_>,
    name: &str,
    features: &[String],
) -> Result<dle::Predictions, Refusal> {
    let given = fields.object(name)?;
    let predicted = given.numbers("y_pred")?;
    let actual = if given.has("y_true") {
        given.numbers_opt("y_true")?
    } else {
        vec![None; predicted.len()]
    };
    let features =
        features.iter().map(|feature| given.numbers(feature)).collect::<Result<_, _>>()?;
    Ok(dle::Predictions { features, predicted, actual })
}

pub(crate) fn dle(fields: &Fields<'_>) -> Answer {
    let features: Option<Vec<String>> =
        labels("features", fields.raw("features")?)?.into_iter().collect();
    let features =
        features.ok_or_else(|| Refusal::Invalid("`features` must hold names".to_owned()))?;
    let reference = predictions(fields, "reference", &features)?;
    let analysis = predictions(fields, "analysis", &features)?;
    let fitted = Dle::fit(&reference, chunk_size(fields)?)?;
    let chunks: Vec<Value> = fitted
        .estimate(&analysis)?
        .iter()
        .map(|chunk| metrics(&dle::METRICS, &chunk.metrics))
        .collect();
    Ok(json!({"chunks": chunks}))
}
