//! One decision rule with four verdicts, after Spotify's published rule (arXiv 2402.11609).
//!
//! Order: invalid, fail, pass, hold. A trial that cannot be trusted is invalid whatever it shows; a
//! guardrail that is inconclusive is not a pass.

use serde::{Deserialize, Serialize};

use crate::{
    insufficient::Insufficient,
    value::{multiple::holm, srm::SrmLevel},
};

/// Share of units in two arms above which a trial is invalid.
pub const CONTAMINATION_MAX: f64 = 0.01;
/// p below which arms differed before the trial, or lose outcomes unequally.
pub const IMBALANCE_P: f64 = 0.001;

/// Which way a success metric moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moved {
    /// In the preferred direction.
    Better,
    /// Against it.
    Worse,
}

/// The registration of the plan against the first exposure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// Before the first exposure.
    BeforeExposure,
    /// After it, or never.
    AfterExposure,
}

/// A success metric: two-sided p and the way it moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Success {
    /// Name of the metric.
    pub name: String,
    /// Two-sided p of the effect (always-valid where results are read before the end).
    pub p_value: f64,
    /// The way it moved.
    pub moved: Moved,
}

/// A guardrail and whether it was shown non-inferior.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Guardrail {
    /// Name of the metric.
    pub name: String,
    /// Whether non-inferiority was shown; inconclusive is `false`.
    pub is_non_inferior: bool,
}

/// A one-sided test in the harmful direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deterioration {
    /// Name of the metric.
    pub name: String,
    /// One-sided p that the metric got worse.
    pub p_value: f64,
}

/// Everything the rule looks at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialEvidence {
    /// False-positive rate, 0.05 by default.
    pub alpha: f64,
    /// Level of the sample-ratio test.
    pub srm: SrmLevel,
    /// Share of units seen in more than one arm.
    pub contamination: f64,
    /// Welch's p of the metric before the trial; absent where there is no history.
    pub pre_period_p: Option<f64>,
    /// Two-proportion p that outcomes are missing at different rates.
    pub missing_outcomes_p: Option<f64>,
    /// When the plan was registered.
    pub registration: Registration,
    /// Success metrics.
    pub success: Vec<Success>,
    /// Guardrails.
    pub guardrails: Vec<Guardrail>,
    /// Deterioration tests.
    pub deterioration: Vec<Deterioration>,
}

impl Default for TrialEvidence {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            srm: SrmLevel::Ok,
            contamination: 0.0,
            pre_period_p: None,
            missing_outcomes_p: None,
            registration: Registration::BeforeExposure,
            success: Vec::new(),
            guardrails: Vec::new(),
            deterioration: Vec::new(),
        }
    }
}

/// The four verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// At least one success metric is better under Holm and every guardrail is non-inferior.
    Pass,
    /// Not decided yet.
    Hold,
    /// Something got worse.
    Fail,
    /// The trial itself cannot be trusted.
    Invalid,
}

/// A verdict and the facts that led to it, in words a person can act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, one fact a line.
    pub reasons: Vec<String>,
}

/// Applies the rule of `value.md` §1.5.8.
///
/// # Errors
/// p-values outside of [0, 1]: a missing figure must not be given as one.
pub fn decide(evidence: &TrialEvidence) -> Result<Decision, Insufficient> {
    use crate::insufficient::require;
    let alpha = evidence.alpha;
    require(alpha > 0.0 && alpha < 1.0, "alpha", "between 0 and 1")?;
    require((0.0..=1.0).contains(&evidence.contamination), "contamination", "between 0 and 1")?;
    let mut given: Vec<f64> = evidence.success.iter().map(|success| success.p_value).collect();
    given.extend(evidence.deterioration.iter().map(|test| test.p_value));
    given.extend(evidence.pre_period_p);
    given.extend(evidence.missing_outcomes_p);
    require(given.iter().all(|p| (0.0..=1.0).contains(p)), "p-values", "between 0 and 1")?;

    let invalid = invalid(evidence);
    if !invalid.is_empty() {
        return Ok(Decision { verdict: Verdict::Invalid, reasons: invalid });
    }
    let failed = failed(evidence);
    if !failed.is_empty() {
        return Ok(Decision { verdict: Verdict::Fail, reasons: failed });
    }
    let p: Vec<f64> = evidence.success.iter().map(|success| success.p_value).collect();
    let adjusted = if p.is_empty() { Vec::new() } else { holm(&p)? };
    let better: Vec<String> = evidence
        .success
        .iter()
        .zip(&adjusted)
        .filter(|(success, p)| success.moved == Moved::Better && **p < alpha)
        .map(|(success, p)| format!("`{}` is better (Holm p {p:.3e})", success.name))
        .collect();
    let mut open: Vec<String> = evidence
        .guardrails
        .iter()
        .filter(|guardrail| !guardrail.is_non_inferior)
        .map(|guardrail| format!("guardrail `{}` is not shown non-inferior", guardrail.name))
        .collect();
    if better.is_empty() {
        open.push(format!("no success metric is better at alpha {alpha} under Holm"));
    }
    if open.is_empty() {
        Ok(Decision { verdict: Verdict::Pass, reasons: better })
    } else {
        Ok(Decision { verdict: Verdict::Hold, reasons: open })
    }
}

fn invalid(evidence: &TrialEvidence) -> Vec<String> {
    let mut reasons = Vec::new();
    if evidence.srm == SrmLevel::Alert {
        reasons.push("the arms did not receive their planned shares".to_owned());
    }
    if evidence.contamination > CONTAMINATION_MAX {
        let share = 100.0 * evidence.contamination;
        reasons.push(format!("{share:.2} % of the units were in more than one arm"));
    }
    if evidence.pre_period_p.is_some_and(|p| p < IMBALANCE_P) {
        reasons.push("the arms differed before the trial".to_owned());
    }
    if evidence.missing_outcomes_p.is_some_and(|p| p < IMBALANCE_P) {
        reasons.push("outcomes are missing at different rates in the arms".to_owned());
    }
    if evidence.registration == Registration::AfterExposure {
        reasons.push("the plan was not registered before the first exposure".to_owned());
    }
    reasons
}

fn failed(evidence: &TrialEvidence) -> Vec<String> {
    let alpha = evidence.alpha;
    let worse = evidence
        .success
        .iter()
        .filter(|success| success.moved == Moved::Worse && success.p_value < alpha)
        .map(|success| {
            format!("`{}` is significantly worse (p {:.3e})", success.name, success.p_value)
        });
    let deteriorated = evidence
        .deterioration
        .iter()
        .filter(|test| test.p_value < alpha)
        .map(|test| format!("`{}` deteriorates (p {:.3e})", test.name, test.p_value));
    worse.chain(deteriorated).collect()
}
