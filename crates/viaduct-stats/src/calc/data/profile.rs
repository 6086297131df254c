//! Family profile.

use serde_json::{Map, Value, json};

use super::drift::{is_numeric, labels};
use crate::{
    calc::input::{Answer, Fields},
    drift::binning::Binning,
    insufficient::Insufficient,
    profile::{self, Numeric, QUANTILES},
};

pub(crate) fn profile(fields: &Fields<'_>) -> Answer {
    if is_numeric(fields)? {
        return Ok(numeric(&profile::numeric(&fields.numbers_opt("values")?)?)?);
    }
    let found = profile::categorical(&labels("values", fields.raw("values")?)?)?;
    Ok(json!({
        "rows": found.rows, "nulls": found.nulls, "distinct": found.distinct, "top": found.top,
        "entropy_nats": found.entropy, "gini_impurity": found.gini_impurity,
        "min_len": found.lengths.0, "max_len": found.lengths.1, "mean_len": found.lengths.2,
    }))
}

fn numeric(found: &Numeric) -> Result<Value, Insufficient> {
    let mut linear = Map::new();
    let mut continuous = Vec::new();
    for q in QUANTILES {
        let value = found.quantile(q)?;
        linear.insert(q.to_string(), json!(value));
        continuous.push(value);
    }
    let histogram = |binning: &Binning| -> Result<Value, Insufficient> {
        let (edges, counts) = found.histogram(binning)?;
        Ok(json!({"counts": counts, "edges": edges}))
    };
    let discrete = [0.05, 0.5, 0.95].map(|q| found.quantile_discrete(q));
    Ok(json!({
        "rows": found.rows, "nulls": found.nulls, "distinct": found.distinct,
        "min": found.min, "max": found.max, "mean": found.mean,
        "std_sample": found.variance.map(f64::sqrt), "std_pop": found.variance_population.sqrt(),
        "var_sample": found.variance, "skew_pandas": found.skew,
        "kurtosis_excess_pandas": found.kurtosis, "median": found.quantile(0.5)?,
        "mad_median": found.mad, "zeros": found.zeros, "negatives": found.negatives,
        "quantiles_linear": linear, "duckdb_quantile_cont": continuous,
        "duckdb_quantile_disc": discrete,
        "histogram_sturges": histogram(&Binning::Sturges)?,
        "histogram_doane": histogram(&Binning::Doane)?,
    }))
}
