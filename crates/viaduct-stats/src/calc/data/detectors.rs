//! Family detectors.

use serde_json::json;

use crate::{
    calc::input::{Answer, Fields, Refusal},
    detectors::{
        Adwin, AdwinParameters, Ddm, DdmParameters, Detector, Eddm, EddmParameters, HddmA,
        HddmParameters, HddmW, Mode, PageHinkley, PageHinkleyParameters, indices,
    },
    insufficient::{require, require_finite, require_rows},
    value::plan::Sides,
};

/// Largest count or clock: beyond it no stream that fits here is long enough.
const COUNT_MAX: f64 = 1e9;

fn positive(fields: &Fields<'_>, name: &'static str, default: f64) -> Result<f64, Refusal> {
    let value = fields.number_or(name, default)?;
    require(value > 0.0 && value <= COUNT_MAX, name, "above 0 and at most 10^9")?;
    Ok(value)
}

fn whole(fields: &Fields<'_>, name: &'static str, default: u64) -> Result<u64, Refusal> {
    let value = fields.count_or(name, default)?;
    require(value >= 1 && value as f64 <= COUNT_MAX, name, "from 1 to 10^9")?;
    Ok(value)
}

fn probability(fields: &Fields<'_>, name: &'static str, default: f64) -> Result<f64, Refusal> {
    let value = fields.number_or(name, default)?;
    require(value > 0.0 && value < 1.0, name, "between 0 and 1")?;
    Ok(value)
}

fn hddm(given: &Fields<'_>) -> Result<HddmParameters, Refusal> {
    Ok(HddmParameters {
        drift_confidence: probability(given, "drift_confidence", 0.001)?,
        warning_confidence: probability(given, "warning_confidence", 0.005)?,
        sides: if given.flag_or("two_sided_test", false)? { Sides::Two } else { Sides::One },
    })
}

pub(crate) fn detectors(fields: &Fields<'_>) -> Answer {
    let stream = fields.numbers("stream")?;
    require_rows("stream", stream.len() as u64, 1)?;
    require_finite("stream", &stream)?;
    let given = fields.object("params")?;
    let name = fields.text("detector")?;
    let is_rate = matches!(name, "DDM" | "EDDM" | "HDDM_A" | "HDDM_W");
    if is_rate && !stream.iter().all(|value| *value == 0.0 || *value == 1.0) {
        let reason = format!("`stream` of {name} must hold 0 and 1 with 1 = error");
        return Err(Refusal::Invalid(reason));
    }
    let mut detector: Box<dyn Detector> = match name {
        "ADWIN" => Box::new(Adwin::new(AdwinParameters {
            delta: probability(&given, "delta", 0.002)?,
            clock: whole(&given, "clock", 32)?,
            max_buckets: whole(&given, "max_buckets", 5)? as usize,
            min_window_length: whole(&given, "min_window_length", 5)? as f64,
            grace_period: given.count_or("grace_period", 10)? as f64,
        })),
        "PageHinkley" => Box::new(PageHinkley::new(PageHinkleyParameters {
            min_instances: whole(&given, "min_instances", 30)? as f64,
            delta: given.number_or("delta", 0.005)?,
            threshold: positive(&given, "threshold", 50.0)?,
            alpha: {
                let alpha = given.number_or("alpha", 1.0 - 0.0001)?;
                require(alpha > 0.0 && alpha <= 1.0, "alpha", "above 0 and at most 1")?;
                alpha
            },
            mode: match given.has("mode") {
                false => Mode::Both,
                true => match given.text("mode")? {
                    "up" => Mode::Up,
                    "down" => Mode::Down,
                    "both" => Mode::Both,
                    _ => {
                        let rule = "`mode` must be `up`, `down` or `both`";
                        return Err(Refusal::Invalid(rule.to_owned()));
                    }
                },
            },
        })),
        "DDM" => Box::new(Ddm::new(DdmParameters {
            warm_start: whole(&given, "warm_start", 30)? as f64,
            warning_threshold: positive(&given, "warning_threshold", 2.0)?,
            drift_threshold: positive(&given, "drift_threshold", 3.0)?,
        })),
        "EDDM" => {
            let alpha = probability(&given, "alpha", 0.95)?;
            let beta = probability(&given, "beta", 0.9)?;
            require(alpha >= beta, "alpha", "at least beta")?;
            let warm_start = whole(&given, "warm_start", 30)? as f64;
            Box::new(Eddm::new(EddmParameters { warm_start, alpha, beta }))
        }
        "HDDM_A" => Box::new(HddmA::new(hddm(&given)?)),
        "HDDM_W" => Box::new(HddmW::new(hddm(&given)?, probability(&given, "lambda_val", 0.05)?)),
        _ => {
            let names = "ADWIN, PageHinkley, DDM, EDDM, HDDM_A and HDDM_W";
            return Err(Refusal::Invalid(format!("`detector` must be one of {names}")));
        }
    };
    let (drifts, warnings) = indices(detector.as_mut(), &stream);
    Ok(json!({"drift_at": drifts, "warning_at": warnings}))
}
