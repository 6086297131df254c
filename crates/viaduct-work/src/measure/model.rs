//! M1, M2 and M3 from what the model's run carries.

use serde_json::json;
use viaduct_base::digest_json;
use viaduct_domain::fact::{FactName, FactValue, Measurement, Provenance, Subject, SubjectKind};
use viaduct_stats::Estimate;

use super::Ground;
use crate::evidence::leakage::FeatureAuc;
use crate::evidence::model::TimeSplit;

/// The served version and what its run proves. Made once a version, by reading its artifacts.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The version's number.
    pub version: i64,
    /// The inputs that the model reads.
    pub inputs: Vec<String>,
    /// The probes over the run's tables; absent when the run carries none.
    pub probe: Option<Probe>,
}

/// What the tables show.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Loss saved against each baseline, by its column's name.
    pub beats: Vec<(String, Estimate)>,
    /// Training and test in time.
    pub split: Option<TimeSplit>,
    /// Rows of the test that are also training.
    pub id_overlap: Option<u64>,
    /// Strongest single features, strongest first.
    pub feature_aucs: Vec<FeatureAuc>,
    /// Test rows.
    pub rows: u64,
    /// Digest of everything read.
    pub digest: String,
}

/// A training run again in a clean place.
#[derive(Debug, Clone, PartialEq)]
pub struct Reproduction {
    /// The metric's name.
    pub metric: String,
    /// As recorded by the run.
    pub recorded: f64,
    /// As it came out.
    pub again: f64,
    /// Why it is not the same, when it did not even finish.
    pub failed: Option<String>,
    /// Who asked.
    pub asked_by: String,
    /// Digest of source, inputs and command.
    pub digest: String,
}

/// Share by which the rerun's metric may differ.
pub(super) const GAP_MAX: f64 = 0.01;

impl Reproduction {
    /// Relative gap; `None` when the rerun did not finish.
    pub fn gap(&self) -> Option<f64> {
        let scale = self.recorded.abs().max(f64::MIN_POSITIVE);
        let gap = (self.again - self.recorded).abs() / scale;
        (self.failed.is_none() && gap.is_finite()).then_some(gap)
    }
}

pub(super) fn measure(ground: &Ground<'_>) -> Vec<Measurement> {
    let Some(model) = ground.model else { return Vec::new() };
    let mut out = Vec::new();
    if let Some(probe) = &model.probe {
        out.extend(beats(ground, probe));
        out.extend(leaks(ground, probe));
    }
    out.extend(after_decision(ground, model));
    out
}

fn beats(ground: &Ground<'_>, probe: &Probe) -> Vec<Measurement> {
    let inputs = json!({ "tables": probe.digest });
    let named = [
        ("constant", FactName::ModelBeatsConstant),
        ("simple", FactName::ModelBeatsSimple),
        ("current_rule", FactName::ModelBeatsCurrentRule),
    ];
    let mut out: Vec<Measurement> = named
        .into_iter()
        .filter_map(|(column, name)| {
            let (_, estimate) = probe.beats.iter().find(|(found, _)| found == column)?;
            let ends = (estimate.lower, estimate.upper);
            let value = FactValue::interval(estimate.effect, ends, estimate.level);
            let note = format!(
                "squared loss of `{column}` less the model's on the same {} test rows, scored by the platform; paired t",
                probe.rows
            );
            Some(ground.measured(name, value, &inputs)?.n(probe.rows).note(note))
        })
        .collect();
    out.extend(probe.split.and_then(|split| {
        let made =
            ground.measured(FactName::ModelTimeSplit, FactValue::flag(split.holds()), &inputs)?;
        let note =
            format!("training ends {}, the test begins {}", split.train_until, split.test_from);
        Some(made.n(probe.rows).note(note))
    }));
    out
}

fn leaks(ground: &Ground<'_>, probe: &Probe) -> Vec<Measurement> {
    let inputs = json!({ "tables": probe.digest });
    let strongest = probe.feature_aucs.first().and_then(|first| {
        let made = ground.measured(
            FactName::LeakageMaxFeatureAuc,
            FactValue::scalar(first.auc),
            &inputs,
        )?;
        Some(made.n(probe.rows).note(format!("strongest alone: `{}`", first.feature)))
    });
    let overlap = probe.id_overlap.and_then(|count| {
        let value = FactValue::scalar(count as f64);
        let made = ground.measured(FactName::LeakageIdOverlap, value, &inputs)?;
        Some(made.n(probe.rows).note(format!("{count} row ids stand in both tables")))
    });
    strongest.into_iter().chain(overlap).collect()
}

/// Inputs that the contract says are known only afterwards. A field that does not say when it is
/// known leaves the question open: no fact.
fn after_decision(ground: &Ground<'_>, model: &Evidence) -> Option<Measurement> {
    let contract = ground.contract?;
    let said = contract.availability_coverage(&model.inputs);
    let late = contract.known_after_decision(&model.inputs);
    // Why the count too: of a model whose inputs nobody knows, none is known to be harmless.
    if late.is_empty() && (said.total == 0 || !said.missing.is_empty()) {
        return None;
    }
    let inputs = json!({ "contract": contract.hash(), "model_inputs": model.inputs });
    let value = FactValue::scalar(late.len() as f64);
    let made = ground.measured(FactName::LeakageAfterDecisionFeatures, value, &inputs)?;
    let note = if late.is_empty() {
        format!("all {} inputs are known at the decision", model.inputs.len())
    } else {
        format!("known only after the decision: {}", late.join(", "))
    };
    Some(made.n(model.inputs.len() as u64).note(note))
}

pub(super) fn reproduced(
    done: &Reproduction,
    subjects: &dyn Fn(SubjectKind) -> Option<String>,
    provenance: Provenance,
) -> Vec<Measurement> {
    let Ok(digest) = digest_json(&json!({ "rerun": done.digest })) else { return Vec::new() };
    let make = |name: FactName, value: FactValue, note: String| {
        let subject = Subject::new(name.subject_kind(), subjects(name.subject_kind())?);
        let made = Measurement::new(name, subject, value, digest.clone());
        Some(made.provenance(provenance).note(note))
    };
    let gap = done.gap();
    let same = gap.is_some_and(|gap| gap <= GAP_MAX);
    let note = match &done.failed {
        Some(why) => format!("asked by `{}`: {why}", done.asked_by),
        None => format!(
            "asked by `{}`: `{}` was {} and came out as {}",
            done.asked_by, done.metric, done.recorded, done.again
        ),
    };
    let flag = make(FactName::ModelReproduced, FactValue::flag(same), note.clone());
    let scalar =
        gap.and_then(|gap| make(FactName::ModelReproducedMetricGap, FactValue::scalar(gap), note));
    flag.into_iter().chain(scalar).collect()
}
