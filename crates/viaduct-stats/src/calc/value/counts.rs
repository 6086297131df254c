//! Families on counts, p-values and plans: srm, intervals, multiple_comparisons, power,
//! group_sequential_bounds, decision_rule.

use serde_json::json;

use crate::{
    calc::input::{Answer, Fields, Refusal, counts},
    insufficient::{Insufficient, Reason, require},
    value::{
        decision, group_sequential, intervals, multiple, plan,
        srm::{self, SrmLevel},
    },
};

pub(crate) fn srm(fields: &Fields<'_>) -> Answer {
    if fields.has("batches") {
        let weights = fields.numbers("probabilities")?;
        let concentration = fields.number_or("dirichlet_concentration", 1000.0)?;
        let mut test = srm::SequentialSrm::new(&weights, concentration)?;
        let batches = fields.array("batches")?;
        if batches.is_empty() {
            let reason = Reason::TooFewRows { what: "batches", needed: 1, got: 0 };
            return Err(Insufficient::from(reason).into());
        }
        let mut running = Vec::with_capacity(batches.len());
        for batch in batches {
            running.push(test.observe(&counts("batches", batch)?)?);
        }
        return Ok(json!({"p_running_min": running}));
    }
    let found = srm::srm(&fields.counts("counts")?, &fields.numbers("weights")?)?;
    Ok(json!({
        "chi2": found.chi2, "dof": found.dof, "p": found.p_value,
        "max_abs_share_deviation": found.max_share_deviation, "level": found.level,
    }))
}

pub(crate) fn intervals(fields: &Fields<'_>) -> Answer {
    let level = fields.number_or("confidence", 0.95)?;
    if fields.has("events_a") {
        let rate = |events: &str, exposure: &str| -> Result<(u64, f64), Refusal> {
            Ok((fields.count(events)?, fields.number(exposure)?))
        };
        let (a, b) = (rate("events_a", "exposure_a")?, rate("events_b", "exposure_b")?);
        return Ok(json!({"p_two_sided": intervals::poisson_ratio(a, b)?}));
    }
    if fields.has("events") {
        let (events, exposure) = (fields.count("events")?, fields.number("exposure_days")?);
        let found = intervals::poisson(events, exposure, level)?;
        let rate = events as f64 / exposure;
        return Ok(json!({"rate": rate, "ci": [found.lower, found.upper]}));
    }
    let (x, n) = (fields.count("x")?, fields.count("n")?);
    let wilson = intervals::wilson(x, n, level)?;
    let exact = intervals::clopper_pearson(x, n, level)?;
    Ok(json!({
        "wilson": [wilson.lower, wilson.upper], "clopper_pearson": [exact.lower, exact.upper],
    }))
}

pub(crate) fn multiple_comparisons(fields: &Fields<'_>) -> Answer {
    let p = fields.numbers("p")?;
    let alpha = fields.number_or("alpha", 0.05)?;
    require(alpha > 0.0 && alpha < 1.0, "alpha", "between 0 and 1")?;
    let block = |adjusted: Vec<f64>| {
        let reject: Vec<bool> = adjusted.iter().map(|p| *p <= alpha).collect();
        json!({"reject": reject, "adjusted": adjusted})
    };
    Ok(json!({
        "bonferroni": block(multiple::bonferroni(&p)?),
        "holm": block(multiple::holm(&p)?),
        "fdr_bh": block(multiple::benjamini_hochberg(&p)?),
    }))
}

fn sides(fields: &Fields<'_>) -> Result<plan::Sides, Refusal> {
    match fields.count_or("sides", 2)? {
        1 => Ok(plan::Sides::One),
        2 => Ok(plan::Sides::Two),
        _ => Err(Refusal::Invalid("`sides` must be 1 or 2".to_owned())),
    }
}

pub(crate) fn power(fields: &Fields<'_>) -> Answer {
    let alpha = fields.number_or("alpha", 0.05)?;
    if fields.has("guardrails") {
        let beta = fields.number("beta")?;
        let guardrails = u32::try_from(fields.count("guardrails")?)
            .map_err(|_| Refusal::Invalid("`guardrails` must be below 2^32".to_owned()))?;
        let inflation = plan::guardrail_inflation(alpha, 1.0 - beta, guardrails)?;
        let successes = fields.count_or("success_metrics", 1)?;
        require(successes >= 1, "success metrics", "at least 1")?;
        return Ok(json!({
            "alpha_success": alpha / successes as f64, "alpha_guardrail": alpha,
            "beta_each": beta / (f64::from(guardrails) + 1.0),
            "power_each": 1.0 - beta / (f64::from(guardrails) + 1.0),
            "sample_inflation": inflation,
        }));
    }
    if fields.has("correlation_pre_post") {
        let rho = fields.number("correlation_pre_post")?;
        require(rho.abs() <= 1.0, "correlation", "between -1 and 1")?;
        let n = fields.count("n_per_arm")?;
        require(n >= 1, "n per arm", "at least 1")?;
        let with = plan::round_up(n as f64 * (1.0 - rho * rho))?;
        return Ok(json!({"n_per_arm_with_cuped": with}));
    }
    if fields.has("cluster_size") {
        let clusters =
            plan::Clusters { size: fields.number("cluster_size")?, icc: fields.number("icc")? };
        require(clusters.size >= 1.0, "cluster size", "at least 1")?;
        require((0.0..=1.0).contains(&clusters.icc), "icc", "between 0 and 1")?;
        let n = fields.count("n_per_arm")?;
        require(n >= 1, "n per arm", "at least 1")?;
        let effect = plan::design_effect(&clusters);
        let clustered = plan::round_up(n as f64 * effect)?;
        return Ok(json!({
            "design_effect": effect, "n_per_arm_clustered": clustered,
            "clusters_per_arm": (clustered as f64 / clusters.size).ceil() as u64,
        }));
    }
    let mut question = if fields.has("p_control") {
        let p = fields.number("p_control")?;
        let mde = match fields.number_opt("relative_mde")? {
            Some(relative) => relative * p,
            None => fields.number("absolute_mde")?,
        };
        require(p > 0.0 && p < 1.0, "control proportion", "between 0 and 1")?;
        require(p + mde >= 0.0 && p + mde <= 1.0, "treated proportion", "between 0 and 1")?;
        plan::Question::of_proportion(p, mde)
    } else {
        plan::Question::of_mean(fields.number("sd")?, fields.number_or("mde", 1.0)?)
    };
    question.alpha = alpha;
    question.power = fields.number_or("power", 0.8)?;
    question.ratio = fields.number_or("ratio_n2_over_n1", 1.0)?;
    question.sides = sides(fields)?;
    if fields.has("sd") && !fields.has("mde") {
        let n = if fields.has("n1") { fields.count("n1")? } else { fields.count("n_per_arm")? };
        return Ok(json!({"mde": plan::minimum_detectable_effect(&question, n)?}));
    }
    let size = plan::sample_size(&question)?;
    let total = size.control_exact + size.treated_exact;
    Ok(json!({
        "n1_normal": size.control_exact, "n1_ceil": size.control,
        "n2_normal": size.treated_exact, "n2_ceil": size.treated,
        "n1_t_exact": plan::control_by_t(&question).ok(),
        "n_per_arm": size.control, "own_total": total, "total_n": size.total(),
    }))
}

pub(crate) fn group_sequential_bounds(fields: &Fields<'_>) -> Answer {
    let power = match fields.has("spending") {
        false => 2.0,
        true => match fields.text("spending")? {
            "alpha*t" => 1.0,
            spending => spending
                .strip_prefix("alpha*t^")
                .and_then(|power| power.parse().ok())
                .ok_or_else(|| Refusal::Invalid("`spending` must be `alpha*t^k`".to_owned()))?,
        },
    };
    let found = group_sequential::bounds(
        &fields.numbers("information_fractions")?,
        fields.number("alpha")?,
        sides(fields)?,
        power,
    )?;
    Ok(json!({"z_bounds": found.z, "nominal_alpha": found.nominal_alpha}))
}

pub(crate) fn decision_rule(fields: &Fields<'_>) -> Answer {
    let named = |index: usize, entry: &Fields<'_>| -> Result<String, Refusal> {
        if entry.has("name") {
            entry.text("name").map(str::to_owned)
        } else {
            Ok(format!("metric {}", index + 1))
        }
    };
    let list = |name: &str| -> Result<Vec<(usize, Fields<'_>)>, Refusal> {
        if !fields.has(name) {
            return Ok(Vec::new());
        }
        let entries = fields.array(name)?.iter().enumerate();
        entries.map(|(index, value)| Ok((index, Fields::of_value(name, value)?))).collect()
    };
    let level = match fields.text("srm")? {
        "ok" => SrmLevel::Ok,
        "warn" => SrmLevel::Warn,
        "alert" => SrmLevel::Alert,
        _ => return Err(Refusal::Invalid("`srm` must be `ok`, `warn` or `alert`".to_owned())),
    };
    let mut evidence = decision::TrialEvidence {
        alpha: fields.number_or("alpha", 0.05)?,
        srm: level,
        contamination: fields.number_or("contamination", 0.0)?,
        pre_period_p: fields.number_opt("pre_period_p")?,
        missing_outcomes_p: fields.number_opt("missing_outcomes_p")?,
        ..decision::TrialEvidence::default()
    };
    if !fields.flag_or("registered_before_exposure", true)? {
        evidence.registration = decision::Registration::AfterExposure;
    }
    for (index, entry) in list("success")? {
        let moved = match entry.text("dir")? {
            "better" => decision::Moved::Better,
            "worse" => decision::Moved::Worse,
            _ => return Err(Refusal::Invalid("`dir` must be `better` or `worse`".to_owned())),
        };
        let p_value = entry.number("p")?;
        evidence.success.push(decision::Success { name: named(index, &entry)?, p_value, moved });
    }
    for (index, entry) in list("guardrails")? {
        let name = named(index, &entry)?;
        let is_non_inferior = entry.flag_or("non_inferior", false)?;
        evidence.guardrails.push(decision::Guardrail { name, is_non_inferior });
    }
    for (index, entry) in list("deterioration")? {
        let (name, p_value) = (named(index, &entry)?, entry.number("p")?);
        evidence.deterioration.push(decision::Deterioration { name, p_value });
    }
    let found = decision::decide(&evidence)?;
    Ok(json!({"verdict": found.verdict, "reasons": found.reasons}))
}
