//! Families of single series: interrupted_time_series, structural_time_series, synthetic_control.

use serde_json::json;

use crate::{
    calc::input::{Answer, Fields, Refusal, numbers},
    value::{
        local_level::{LocalLevel, Parameters},
        segmented, synthetic,
    },
};

pub(crate) fn interrupted_time_series(fields: &Fields<'_>) -> Answer {
    let y = fields.numbers("y")?;
    let lags = if fields.has("maxlags") {
        fields.index("maxlags")?
    } else {
        segmented::lags_default(y.len())
    };
    let found = segmented::segmented(&y, fields.index("intervention_index")?, lags)?;
    let (lower, upper) = found.interval_average(0.95);
    let h = found.periods_after as f64;
    let ar1 = found.ar1.map(|ar1| {
        json!({
            "rho": ar1.rho, "beta": ar1.beta, "se": ar1.se,
            "average_effect_post": ar1.average_effect, "se_average": ar1.se_average,
        })
    });
    Ok(json!({
        "beta": found.beta, "se_hac": found.se_hac, "se_ols": found.se_ols, "p_hac": found.p_hac,
        "average_effect_post": found.average_effect, "se_average": found.se_average,
        "ci95_average": [lower, upper],
        "cumulative_effect_post": found.average_effect * h,
        "ci95_cumulative": [lower * h, upper * h],
        "durbin_watson": found.durbin_watson, "ar1_errors": ar1,
        "counterfactual_last": found.counterfactual_last, "maxlags": lags,
    }))
}

fn parameters(fields: &Fields<'_>, name: &str) -> Result<Parameters, Refusal> {
    let given = fields.object(name)?;
    Ok(Parameters {
        sigma2_irregular: given.number("sigma2_irregular")?,
        sigma2_level: given.number("sigma2_level")?,
        beta: given.number_or("beta", 0.0)?,
    })
}

pub(crate) fn structural_time_series(fields: &Fields<'_>) -> Answer {
    let y = fields.numbers("y")?;
    let x = if fields.has("x") { Some(fields.numbers("x")?) } else { None };
    let model = LocalLevel::new(&y, x.as_deref(), fields.index("intervention_index")?)?;
    let fixed = if fields.has("fixed_params") {
        Some(model.log_likelihood(&parameters(fields, "fixed_params")?)?)
    } else {
        None
    };
    let (best, value) = model.fit()?;
    let used = if fields.has("params_for_forecast") {
        parameters(fields, "params_for_forecast")?
    } else {
        best
    };
    let found = model.forecast(&used)?;
    Ok(json!({
        "loglike_at_fixed_params": fixed,
        "mle": {
            "sigma2_irregular": best.sigma2_irregular, "sigma2_level": best.sigma2_level,
            "beta": best.beta, "loglike": value,
        },
        "forecast_mean": found.mean, "forecast_se": found.se,
        "average_effect": found.average_effect, "average_effect_se": found.average_effect_se,
        "ci95_average": [found.interval.lower, found.interval.upper],
        "cumulative_effect": found.cumulative_effect, "p_one_sided": found.p_one_sided,
    }))
}

pub(crate) fn synthetic_control(fields: &Fields<'_>) -> Answer {
    let treated = fields.numbers("treated")?;
    let donors: Vec<Vec<f64>> = fields
        .array("donors")?
        .iter()
        .map(|donor| numbers("donors", donor))
        .collect::<Result<_, _>>()?;
    let found =
        synthetic::synthetic_control(&treated, &donors, fields.index("intervention_index")?)?;
    Ok(json!({
        "weights": found.weights, "pre_sse": found.pre_sse, "pre_rmspe": found.pre_rmspe,
        "average_effect": found.average_effect, "cumulative_effect": found.cumulative_effect,
        "rmspe_ratio": found.rmspe_ratio, "placebo_p": found.placebo_p,
        "placebo_ratios": found.placebo_ratios,
    }))
}
