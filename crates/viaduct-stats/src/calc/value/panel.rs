//! Families of panels and departments: did, staggered_adoption, meta_departments.

use serde_json::{Map, Value, json};

use crate::{
    calc::input::{Answer, Fields, Refusal, array, number, whole},
    dist::student,
    insufficient::{Insufficient, Reason},
    value::{
        did, imputation, meta,
        panel::{Observation, Panel},
    },
};

/// Rows by the names in `columns`; `start` is the unit's first treated period where present.
fn rows(fields: &Fields<'_>) -> Result<(Panel, Vec<i64>), Refusal> {
    let names: Vec<&str> = if fields.has("columns") {
        let columns = fields.array("columns")?;
        columns.iter().map(|name| name.as_str().unwrap_or_default()).collect()
    } else {
        vec!["unit", "time", "d", "y"]
    };
    let position = |name: &str| {
        names
            .iter()
            .position(|other| *other == name)
            .ok_or_else(|| Refusal::Invalid(format!("`columns` must name `{name}`")))
    };
    let (unit, time, d, y) = (position("unit")?, position("time")?, position("d")?, position("y")?);
    let start = names.iter().position(|name| *name == "start");
    let mut starts = Vec::new();
    let mut observations = Vec::new();
    for row in fields.array("rows")? {
        let row = array("rows", row)?;
        let cell = |at: usize| {
            row.get(at).ok_or_else(|| Refusal::Invalid("`rows` must fill all columns".to_owned()))
        };
        let treated = number("d", cell(d)?)?;
        if treated != 0.0 && treated != 1.0 {
            return Err(Refusal::Invalid("`d` must be 0 or 1".to_owned()));
        }
        observations.push(Observation {
            unit: whole("unit", cell(unit)?)?,
            time: whole("time", cell(time)?)?,
            is_treated: treated == 1.0,
            y: number("y", cell(y)?)?,
        });
        if let Some(start) = start {
            starts.push(whole("start", cell(start)?)?);
        }
    }
    if start.is_none() {
        starts = first_treated(&observations);
    }
    Ok((Panel::new(observations)?, starts))
}

fn first_treated(rows: &[Observation]) -> Vec<i64> {
    let mut first = std::collections::BTreeMap::new();
    for row in rows.iter().filter(|row| row.is_treated) {
        let start = first.entry(row.unit).or_insert(row.time);
        *start = row.time.min(*start);
    }
    rows.iter().map(|row| first.get(&row.unit).copied().unwrap_or(i64::MAX)).collect()
}

pub(crate) fn did(fields: &Fields<'_>) -> Answer {
    let (panel, _) = rows(fields)?;
    let found = did::did(&panel)?;
    let block = |se: f64| {
        let (lower, upper) = found.interval(se, 0.95);
        let t = found.effect / se;
        (t, student::two_sided(t, found.dof), [lower, upper])
    };
    let (t, p, interval) = block(found.se);
    let mut answer = json!({
        "effect": found.effect, "se_cluster_cr0": found.se_cr0,
        "recommended": {
            "se": found.se, "dof": found.dof, "t": t, "p": p, "ci95": interval,
            "convention": "unit fixed effects nested in the clusters are not counted in K \
                (fixest/reghdfe default): K = 1 + number of periods",
        },
        "dof": found.dof, "n_obs": found.n, "n_clusters": found.clusters,
        "four_means": {
            "control_pre": found.means.control_pre, "control_post": found.means.control_post,
            "treated_pre": found.means.treated_pre, "treated_post": found.means.treated_post,
        },
    });
    let all = found.se_all_dummies.map(|se| (se, block(se)));
    if let Value::Object(map) = &mut answer {
        if let Some((se, (t, p, interval))) = all {
            map.insert("se_cluster".to_owned(), json!(se));
            map.insert("t".to_owned(), json!(t));
            map.insert("p".to_owned(), json!(p));
            map.insert("ci95".to_owned(), json!(interval));
        }
        if let Some(trend) = found.pretrend {
            let block = json!({
                "slope_difference": trend.slope_difference, "se": trend.se, "p": trend.p,
            });
            map.insert("pretrend".to_owned(), block);
        }
        if let Some(permutation) = found.permutation {
            let block = json!({"p": permutation.p, "arrangements": permutation.arrangements});
            map.insert("permutation".to_owned(), block);
        }
    }
    Ok(answer)
}

pub(crate) fn staggered_adoption(fields: &Fields<'_>) -> Answer {
    let (panel, starts) = rows(fields)?;
    let found = imputation::imputation(&panel, &starts)?;
    let profile: Map<String, Value> = found
        .by_periods_since_start
        .iter()
        .map(|(since, gap)| (since.to_string(), json!(gap)))
        .collect();
    Ok(json!({
        "att": found.att, "se_cluster_did2s": found.se,
        "effect_by_periods_since_start": profile, "twfe_effect": found.twfe_effect,
    }))
}

pub(crate) fn meta_departments(fields: &Fields<'_>) -> Answer {
    let (effects, se) = (fields.numbers("effects")?, fields.numbers("se")?);
    if effects.is_empty() {
        let reason = Reason::TooFewRows { what: "departments", needed: 2, got: 0 };
        return Err(Insufficient::from(reason).into());
    }
    let found = meta::random_effects(&effects, &se)?;
    let prediction = found.prediction.map(|interval| [interval.lower, interval.upper]);
    Ok(json!({
        "fixed": {"effect": found.fixed.0, "se": found.fixed.1},
        "Q": found.q, "I2": found.i2, "tau2": found.tau2,
        "random": {
            "effect": found.effect, "se": found.se, "se_hartung_knapp": found.se_hartung_knapp,
            "se_used": found.se_used,
            "ci95": [found.mean_interval.lower, found.mean_interval.upper],
        },
        "prediction_interval_80": prediction, "repeatable": found.is_repeatable(),
    }))
}
