//! Families drift_scipy, drift_evidently and drift_nannyml.

use serde_json::{Map, Value, json};

use crate::{
    calc::input::{Answer, Fields, Refusal, array, numbers_opt},
    drift::{
        binning::{Binning, Categories, categories, open_counts, shares},
        contingency::{Correction, Statistic, independence},
        distance::{self, Base, EmptyBins, PSI_FLOOR},
        evidently, nannyml,
        samples::{Ks, Sorted},
    },
    insufficient::Insufficient,
    moments::Moments,
    value::welch,
};

/// The two samples of a case without their missing values.
pub(crate) enum Pair {
    Numeric(Vec<f64>, Vec<f64>),
    Categorical(Vec<String>, Vec<String>),
}

pub(crate) fn is_numeric(fields: &Fields<'_>) -> Result<bool, Refusal> {
    match fields.text("kind")? {
        "numeric" => Ok(true),
        "categorical" => Ok(false),
        _ => Err(Refusal::Invalid("`kind` must be `numeric` or `categorical`".to_owned())),
    }
}

/// Categories by name; numbers and booleans count by how they are written.
pub(crate) fn labels(name: &str, value: &Value) -> Result<Vec<Option<String>>, Refusal> {
    array(name, value)?
        .iter()
        .map(|value| match value {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            Value::Bool(_) | Value::Number(_) => Ok(Some(value.to_string())),
            _ => Err(Refusal::Invalid(format!("`{name}` must hold categories"))),
        })
        .collect()
}

fn pair(fields: &Fields<'_>) -> Result<Pair, Refusal> {
    let (reference, current) = (fields.raw("ref")?, fields.raw("cur")?);
    if is_numeric(fields)? {
        let present = |name, value| -> Result<Vec<f64>, Refusal> {
            Ok(numbers_opt(name, value)?.into_iter().flatten().collect())
        };
        Ok(Pair::Numeric(present("ref", reference)?, present("cur", current)?))
    } else {
        let present = |name, value| -> Result<Vec<String>, Refusal> {
            Ok(labels(name, value)?.into_iter().flatten().collect())
        };
        Ok(Pair::Categorical(present("ref", reference)?, present("cur", current)?))
    }
}

pub(crate) fn scipy(fields: &Fields<'_>) -> Answer {
    match pair(fields)? {
        Pair::Numeric(reference, current) => Ok(scipy_numeric(&reference, &current)?),
        Pair::Categorical(reference, current) => {
            Ok(scipy_categorical(&categories(&reference, &current)?)?)
        }
    }
}

fn scipy_numeric(reference: &[f64], current: &[f64]) -> Result<Value, Insufficient> {
    let sorted = Sorted::new(reference, current)?;
    let ks = sorted.ks();
    let block = |ks: &Ks, p: Option<f64>| json!({"statistic": ks.statistic, "pvalue": p, "location": ks.location, "sign": ks.sign});
    let binning = Binning::ReferenceQuantiles { bins: 10 };
    let edges = binning.edges(reference)?;
    let p = shares(&open_counts(reference, &edges), reference.len() as u64)?;
    let q = shares(&open_counts(current, &edges), current.len() as u64)?;
    let (a, b) = (Moments::of(reference), Moments::of(current));
    let t = a
        .variance()
        .and_then(|va| welch::difference((b.n, b.mean, b.variance()?), (a.n, a.mean, va)));
    let t = t.ok().map(|t| json!({"statistic": t.t(), "pvalue": t.p_two_sided()}));
    Ok(json!({
        "ks_exact": block(&ks, ks.p_exact().ok()),
        "ks_asymp": block(&ks, Some(ks.p_asymptotic())),
        "wasserstein": sorted.wasserstein(), "energy_distance": sorted.energy(), "welch_t": t,
        "quantile_bins_10": {
            "edges": edges, "ref": p, "cur": q,
            "psi": distance::psi(&p, &q, EmptyBins::Floor(PSI_FLOOR))?,
            "js_distance_base2": distance::jensen_shannon(&p, &q, Base::Two)?,
            "js_distance_base_e": distance::jensen_shannon(&p, &q, Base::E)?,
        },
    }))
}

fn scipy_categorical(counts: &Categories) -> Result<Value, Insufficient> {
    let p = shares(&counts.reference, counts.reference.iter().sum())?;
    let q = shares(&counts.current, counts.current.iter().sum())?;
    let test = |statistic, correction| {
        independence(&counts.reference, &counts.current, statistic, correction).ok().map(
            |test| json!({"statistic": test.statistic, "pvalue": test.p_value, "dof": test.dof}),
        )
    };
    Ok(json!({
        "keys": counts.keys, "table": [counts.reference, counts.current],
        "chi2_yates": test(Statistic::Pearson, Correction::Yates),
        "chi2": test(Statistic::Pearson, Correction::None),
        "g_test": test(Statistic::LikelihoodRatio, Correction::Yates),
        "js_distance_base2": distance::jensen_shannon(&p, &q, Base::Two)?,
        "js_distance_base_e": distance::jensen_shannon(&p, &q, Base::E)?,
        "hellinger": distance::hellinger(&p, &q)?, "tvd": distance::total_variation(&p, &q)?,
        "linf": distance::l_infinity(&p, &q)?,
        "psi_floor_1e-4": distance::psi(&p, &q, EmptyBins::Floor(PSI_FLOOR))?,
    }))
}

pub(crate) fn evidently(fields: &Fields<'_>) -> Answer {
    let mut answer = Map::new();
    let block = |score: evidently::Score| {
        json!({
            "name": score.method.name(), "score": score.score, "drifted": score.is_drifted,
            "threshold": score.method.threshold(),
        })
    };
    let mut add = |name: &str, score: Result<evidently::Score, Insufficient>| {
        let value = match score {
            Ok(score) => block(score),
            Err(insufficient) => json!({"error": insufficient.to_string()}),
        };
        answer.insert(name.to_owned(), value);
    };
    match pair(fields)? {
        Pair::Numeric(reference, current) => {
            let field = evidently::Numeric::new(&reference, &current)?;
            evidently::NUMERIC.into_iter().for_each(|m| add(m.name(), field.score(m)));
            add("default", field.preset());
        }
        Pair::Categorical(reference, current) => {
            let counts = categories(&reference, &current)?;
            for method in evidently::CATEGORICAL {
                add(method.name(), evidently::categorical(&counts, method));
            }
            add("default", evidently::categorical_preset(&counts));
        }
    }
    Ok(Value::Object(answer))
}

pub(crate) fn nannyml(fields: &Fields<'_>) -> Answer {
    let value = |value: f64| json!({"value": value});
    match pair(fields)? {
        Pair::Numeric(reference, current) => {
            let found = nannyml::numeric(&reference, &current)?;
            Ok(json!({
                "kolmogorov_smirnov": value(found.kolmogorov_smirnov),
                "jensen_shannon": value(found.jensen_shannon),
                "wasserstein": value(found.wasserstein), "hellinger": value(found.hellinger),
            }))
        }
        Pair::Categorical(reference, current) => {
            let found = nannyml::categorical(&categories(&reference, &current)?)?;
            let chi2 = found.chi2.map(|test| {
                json!({
                    "value": test.statistic, "upper_threshold": null, "lower_threshold": null,
                    "alert": test.p_value < 0.05,
                })
            });
            Ok(json!({
                "chi2": chi2, "jensen_shannon": value(found.jensen_shannon),
                "l_infinity": value(found.l_infinity), "hellinger": value(found.hellinger),
            }))
        }
    }
}
