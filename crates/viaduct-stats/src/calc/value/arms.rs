//! Families that compare two arms: welch, proportion, ratio_delta, cuped, sequential_acs, bayes,
//! noninferiority, paired.

use serde_json::{Value, json};

use crate::{
    calc::input::{Answer, Fields, Refusal, counts, number, numbers_opt},
    dist::student,
    insufficient::{Insufficient, Reason, require_finite},
    metrics,
    moments::{Moments, PairMoments},
    value::{
        agreement, bayes, cuped, intervals, noninferiority, paired, proportion, ratio, sequential,
        welch,
    },
};

const LEVEL: f64 = 0.95;

pub(crate) fn welch(fields: &Fields<'_>) -> Answer {
    let (a, b) = (fields.sample("a")?, fields.sample("b")?);
    let found = welch::difference((a.n, a.mean, a.variance()?), (b.n, b.mean, b.variance()?))?;
    let (lower, upper) = found.interval(LEVEL);
    let half = student::upper_quantile(0.05, found.dof) * found.se;
    let uplift = (a.mean != 0.0).then(|| found.effect / a.mean.abs());
    Ok(json!({
        "mean_a": a.mean, "mean_b": b.mean, "var_a": a.variance()?, "var_b": b.variance()?,
        "diff": found.effect, "se": found.se, "dof": found.dof, "t": found.t(),
        "p_two_sided": found.p_two_sided(),
        "p_b_greater": student::sf(found.t(), found.dof),
        "p_b_less": student::cdf(found.t(), found.dof),
        "ci95": [lower, upper],
        "lower_bound_95_one_sided": found.effect - half,
        "upper_bound_95_one_sided": found.effect + half,
        "relative_abs_baseline": {"uplift": uplift},
    }))
}

pub(crate) fn proportion(fields: &Fields<'_>) -> Answer {
    let (n_a, x_a) = (fields.count("n_a")?, fields.count("x_a")?);
    let (n_b, x_b) = (fields.count("n_b")?, fields.count("x_b")?);
    let estimate = proportion::proportion(x_a, n_a, x_b, n_b, LEVEL)?;
    let unpooled = proportion::unpooled(x_a, n_a, x_b, n_b)?;
    let pooled = proportion::pooled(x_a, n_a, x_b, n_b)?;
    let newcombe = proportion::newcombe(x_a, n_a, x_b, n_b, LEVEL)?;
    let half = -crate::dist::normal::quantile(0.025) * estimate.se;
    let (wilson_a, wilson_b) =
        (intervals::wilson(x_a, n_a, LEVEL)?, intervals::wilson(x_b, n_b, LEVEL)?);
    let wald = unpooled.map(|_| [estimate.effect - half, estimate.effect + half]);
    Ok(json!({
        "p_a": estimate.mean_control, "p_b": estimate.mean_treated, "diff": estimate.effect,
        "se_unpooled": estimate.se,
        "z_unpooled": unpooled.map(|test| test.z), "p_unpooled": unpooled.map(|test| test.p),
        "ci95_wald": wald,
        "z_pooled": pooled.z, "p_pooled": pooled.p,
        "ci95_newcombe": [newcombe.lower, newcombe.upper],
        "p_fisher_exact": proportion::fisher(x_a, n_a, x_b, n_b)?,
        "chi2": pooled.z * pooled.z, "p_chi2": pooled.p,
        "wilson95_a": [wilson_a.lower, wilson_a.upper],
        "wilson95_b": [wilson_b.lower, wilson_b.upper],
        "recommended": {
            "ci95": [estimate.lower, estimate.upper], "p": estimate.p_value,
            "formula": estimate.formula,
        },
    }))
}

pub(crate) fn ratio_delta(fields: &Fields<'_>) -> Answer {
    let arm = |num: &str, den: &str| -> Result<ratio::Ratio, Refusal> {
        let (num, den) = (fields.numbers(num)?, fields.numbers(den)?);
        Ok(ratio::ratio_of(&PairMoments::of(&num, &den)?)?)
    };
    let (a, b) = (arm("num_a", "den_a")?, arm("num_b", "den_b")?);
    let found = ratio::ratio_difference(&a, &b)?;
    let (lower, upper) = found.interval(LEVEL);
    let relative =
        welch::relative((a.n, a.ratio, a.variance), (b.n, b.ratio, b.variance)).ok().map(|r| {
            let (lower, upper) = r.interval(LEVEL);
            json!({"uplift": r.effect, "se": r.se, "ci95": [lower, upper],
                   "p_two_sided": r.p_two_sided()})
        });
    Ok(json!({
        "ratio_a": a.ratio, "ratio_b": b.ratio, "var_a": a.variance, "var_b": b.variance,
        "diff": found.effect, "se": found.se, "dof": found.dof, "ci95": [lower, upper],
        "p_two_sided": found.p_two_sided(), "relative": relative,
    }))
}

pub(crate) fn cuped(fields: &Fields<'_>) -> Answer {
    let mut x = fields.numbers_opt("x_a")?;
    let n_a = x.len();
    x.extend(numbers_opt("x_b", fields.raw("x_b")?)?);
    let missing = cuped::impute_covariate(&mut x);
    let x: Vec<f64> = x.into_iter().flatten().collect();
    let a = PairMoments::of(&fields.numbers("y_a")?, &x[..n_a])?;
    let b = PairMoments::of(&fields.numbers("y_b")?, &x[n_a..])?;
    let found = cuped::cuped_difference(&a, &b)?;
    let (lower, upper) = found.adjusted.interval(LEVEL);
    let relative_se = cuped::relative_variance(&a, &b).ok().map(f64::sqrt);
    Ok(json!({
        "theta_pooled": found.theta, "theta_within_arm": found.theta_within,
        "diff_unadjusted": found.unadjusted.effect, "se_unadjusted": found.unadjusted.se,
        "p_unadjusted": found.unadjusted.p_two_sided(),
        "diff_adjusted": found.adjusted.effect, "se_adjusted": found.adjusted.se,
        "dof": found.adjusted.dof, "ci95": [lower, upper],
        "p_two_sided": found.adjusted.p_two_sided(),
        "variance_reduction": found.variance_reduction,
        "units_without_history": missing, "relative_se_with_covariance": relative_se,
    }))
}

pub(crate) fn sequential_acs(fields: &Fields<'_>) -> Answer {
    let alpha = fields.number("alpha")?;
    let planned = fields.number_or("tuning_parameter", sequential::TUNING_DEFAULT)?;
    let mut running: f64 = 1.0;
    let mut looks = Vec::new();
    let given = fields.array("looks")?;
    if given.is_empty() {
        return Err(
            Insufficient::from(Reason::TooFewRows { what: "looks", needed: 1, got: 0 }).into()
        );
    }
    for look in given {
        let look = Fields::of_value("looks", look)?;
        let (a, b) = (look.sample("a")?, look.sample("b")?);
        let level = 1.0 - alpha;
        let fixed = crate::welch(&a, &b, level)?;
        let found =
            sequential::look(fixed.effect, fixed.se, a.n.saturating_add(b.n), alpha, planned)?;
        running = running.min(found.p_value);
        looks.push(json!({
            "est": fixed.effect, "se": fixed.se,
            "ci": [fixed.effect - found.half_width, fixed.effect + found.half_width],
            "p": found.p_value, "p_running_min": running, "fixed_horizon_p": fixed.p_value,
        }));
    }
    Ok(json!({"looks": looks, "rho": sequential::mixture(alpha, planned)?.sqrt()}))
}

pub(crate) fn bayes(fields: &Fields<'_>) -> Answer {
    if fields.has("x_a") {
        return beta_binomial(fields);
    }
    let is_proportion = fields.flag_or("proportion", false)?;
    let arm = |name: &str| -> Result<(f64, f64, f64), Refusal> {
        let given = fields.object(name)?;
        let n = given.count("n")?;
        crate::insufficient::require_rows("arm", n, if is_proportion { 1 } else { 2 })?;
        if is_proportion {
            let sum = given.number("sum")?;
            crate::insufficient::require(
                (0.0..=n as f64).contains(&sum),
                "events",
                "between 0 and the units",
            )?;
            let p = sum / n as f64;
            Ok((n as f64, p, p * (1.0 - p)))
        } else {
            let moments = fields.sample(name)?;
            Ok((n as f64, moments.mean, moments.variance()?))
        }
    };
    let ((n_a, m_a, v_a), (n_b, m_b, v_b)) = (arm("a")?, arm("b")?);
    let is_relative = match fields.text("difference_type")? {
        "relative" => true,
        "absolute" => false,
        _ => {
            let rule = "`difference_type` must be `relative` or `absolute`";
            return Err(Refusal::Invalid(rule.to_owned()));
        }
    };
    let size = m_a.abs();
    let needs_baseline = |what| {
        if size == 0.0 { Err(Insufficient::from(Reason::ZeroDenominator(what))) } else { Ok(()) }
    };
    let (effect, variance) = if is_relative {
        needs_baseline("the mean of control")?;
        let ratio = m_b / m_a;
        ((m_b - m_a) / size, v_b / n_b / size / size + v_a / n_a * (ratio / size).powi(2))
    } else {
        (m_b - m_a, v_a / n_a + v_b / n_b)
    };
    require_finite("effect", &[effect, variance])?;
    let prior = if fields.has("prior") {
        let given = fields.object("prior")?;
        let factor = match (given.text("scale")?, is_relative) {
            ("relative", false) => size,
            ("absolute", true) => 1.0 / size,
            ("relative", true) | ("absolute", false) => 1.0,
            _ => {
                let rule = "`scale` must be `relative` or `absolute`";
                return Err(Refusal::Invalid(rule.to_owned()));
            }
        };
        let prior = bayes::Prior {
            mean: given.number("mean")? * factor,
            variance: given.number("variance")? * factor * factor,
        };
        given.flag_or("proper", true)?.then_some(prior)
    } else {
        None
    };
    let direction = if fields.flag_or("lower_is_better", false)? {
        noninferiority::Direction::Decrease
    } else {
        noninferiority::Direction::Increase
    };
    let found = bayes::posterior(effect, variance.sqrt(), prior, direction)?;
    let interval = found.interval(LEVEL);
    Ok(json!({
        "chance_to_beat": found.chance_to_beat, "effect": found.effect, "sd": found.sd,
        "ci95": [interval.lower, interval.upper],
        "risk_choose_control": found.risk_choose_control,
        "risk_choose_treatment": found.risk_choose_treatment,
    }))
}

fn beta_binomial(fields: &Fields<'_>) -> Answer {
    let prior = match fields.has("prior") {
        false => (1.0, 1.0),
        true => match fields.array("prior")? {
            [a, b] => (number("prior", a)?, number("prior", b)?),
            _ => return Err(Refusal::Invalid("`prior` must be two numbers".to_owned())),
        },
    };
    let found = bayes::beta_binomial(
        (fields.count("x_a")?, fields.count("n_a")?),
        (fields.count("x_b")?, fields.count("n_b")?),
        prior,
    )?;
    Ok(json!({
        "prob_b_greater": found.probability_greater,
        "ci95_a": [found.control.lower, found.control.upper],
        "ci95_b": [found.treated.lower, found.treated.upper],
    }))
}

pub(crate) fn noninferiority(fields: &Fields<'_>) -> Answer {
    let margin = fields.number("relative_margin")?;
    let direction = fields.direction("preferred_direction")?;
    let alpha = fields.number_or("alpha", 0.05)?;
    let found = if fields.has("x_a") {
        noninferiority::non_inferiority_proportion(
            (fields.count("x_a")?, fields.count("n_a")?),
            (fields.count("x_b")?, fields.count("n_b")?),
            margin,
            direction,
            alpha,
        )?
    } else {
        let (a, b) = (fields.sample("a")?, fields.sample("b")?);
        noninferiority::non_inferiority_mean(&a, &b, margin, direction, alpha)?
    };
    Ok(json!({
        "diff": found.effect, "margin_abs": found.margin, "z": found.z, "p": found.p_value,
        "non_inferior": found.is_non_inferior, "bound": found.bound,
    }))
}

pub(crate) fn paired(fields: &Fields<'_>) -> Answer {
    if fields.has("before") {
        let (before, after) = (fields.numbers("before")?, fields.numbers("after")?);
        crate::insufficient::require_same_length("before and after", before.len(), after.len())?;
        let differences: Vec<f64> = after.iter().zip(&before).map(|(a, b)| a - b).collect();
        require_finite("differences", &differences)?;
        let estimate = paired::paired(&Moments::of(&differences), LEVEL)?;
        let lower = crate::one_sided_lower(&estimate, LEVEL)?;
        return Ok(json!({
            "diff": estimate.effect, "se": estimate.se, "t": estimate.effect / estimate.se,
            "dof": estimate.dof, "p": estimate.p_value, "ci95": [estimate.lower, estimate.upper],
            "lower_bound_95_one_sided": lower,
            "wilcoxon_p": paired::wilcoxon(&differences).ok(),
            "median_difference": metrics::quantile(&differences, 0.5)?,
        }));
    }
    let key = "table_first_correct_rows_second_correct_cols";
    let rows = |name: &str| -> Result<Vec<Vec<u64>>, Refusal> {
        fields.array(name)?.iter().map(|row: &Value| counts(name, row)).collect()
    };
    if fields.has(key) {
        let table = match rows(key)?.as_slice() {
            [first, second] => match (first.as_slice(), second.as_slice()) {
                ([a, b], [c, d]) => [[*a, *b], [*c, *d]],
                _ => return Err(Refusal::Invalid(format!("`{key}` must be two by two"))),
            },
            _ => return Err(Refusal::Invalid(format!("`{key}` must be two by two"))),
        };
        let found = agreement::mcnemar(table)?;
        return Ok(json!({
            "n": found.n, "accuracy_first": found.accuracy_first,
            "accuracy_second": found.accuracy_second, "p_exact": found.p_exact,
            "chi2_corrected": found.chi2_corrected, "p_corrected": found.p_corrected,
        }));
    }
    let found = agreement::cohens_kappa(&rows("table")?, LEVEL)?;
    Ok(json!({"kappa": found.kappa, "se": found.se, "ci95": [found.lower, found.upper]}))
}
