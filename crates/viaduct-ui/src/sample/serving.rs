//! Serving under a sample endpoint: variants, a rollout in its second step, drills.

use super::at;
use crate::view::*;

pub(super) fn variants() -> Vec<VariantRow> {
    let row = |variant: &str, version, share, rows, latency| VariantRow {
        variant: variant.into(),
        version,
        share,
        requests: rows,
        rows,
        failed: 0,
        fallbacks: 0,
        latency,
    };
    vec![
        row("champion", Some(2), Some(0.475), 1_290, Some((88, 140, 310))),
        VariantRow {
            failed: 1,
            ..row("challenger", Some(3), Some(0.025), 68, Some((91, 150, 340)))
        },
        row("holdout", None, Some(0.5), 1_358, None),
    ]
}

pub(super) fn phases() -> Vec<PhaseRow> {
    let row = |name: &str, p50, p99| PhaseRow { name: name.into(), p50: Some(p50), p99 };
    vec![
        row("the whole request", 180.0, Some(612.0)),
        row("inside the model", 88.0, Some(310.0)),
        row("into the decision log (all endpoints)", 14.0, None),
    ]
}

pub(super) fn rollout() -> RolloutPanel {
    let step = |label: &str, state: &str, share, needs: &str| RolloutStep {
        label: label.into(),
        state: state.into(),
        share,
        needs: needs.into(),
    };
    let condition = |verdict: &str, reason: &str| RolloutCondition {
        verdict: verdict.into(),
        reason: reason.into(),
    };
    let event = |hour, text: &str| RolloutEvent {
        at: at(130, hour),
        text: text.into(),
        actor: "system".into(),
    };
    RolloutPanel {
        id: "rol_00000000000000000000000000".into(),
        from: 2,
        to: 3,
        phase: "running".into(),
        reason: "the step before passed; now 5 %".into(),
        steps: vec![
            step("shadow", "done", 0.0, ""),
            step("5 %", "now", 0.05, "68 of 100 rows"),
            step("25 %", "ahead", 0.25, "needs about PT4H"),
            step("50 %", "ahead", 0.5, "needs about PT2H"),
        ],
        conditions: vec![
            condition("met", "nan_rate is 0 over 68 cases"),
            condition("breached", "error_rate is 0.01471 over 68 cases: more than 0.01"),
            condition(
                "unknown",
                "fact:calibration.ece cannot be evaluated: the project has no such fact",
            ),
        ],
        waits: vec!["68 of 100 rows are in".into()],
        forecast: Some("PT35M".into()),
        history: vec![
            event(8, "started (step 1): `term-deposit@champion` points at version 3 now"),
            event(10, "advanced (step 2): the step before passed; now 5 %"),
        ],
    }
}

pub(super) fn killed() -> KilledBy {
    KilledBy { at: at(131, 9), by: "bea".into(), reason: "wrong scores since <noon>".into() }
}

pub(super) fn alerts() -> Vec<Note> {
    vec![Note {
        good: false,
        text: "term-deposit: `age` is missing: the contract requires it, sent by reporting (18 times). \
               reporting: send `age` as the contract says"
            .into(),
        at: at(129, 16),
    }]
}

pub(super) fn drills() -> Vec<Note> {
    let note = |good, text: &str| Note { good, text: text.into(), at: at(128, 10) };
    vec![
        note(true, "rollback passed, run by bea"),
        note(false, "fallback did not pass, run by bea"),
    ]
}

pub(super) fn try_fields() -> Vec<TryField> {
    let field = |name: &str, value: &str, hint: &str, choices: &[&str]| TryField {
        name: name.into(),
        value: value.into(),
        hint: hint.into(),
        required: true,
        choices: choices.iter().map(|choice| (*choice).to_owned()).collect(),
    };
    vec![
        field("age", "41", "integer", &[]),
        field("job", "technician", "string", &["technician", "retired", "<b>other</b>"]),
    ]
}

pub(super) fn tried() -> Tried {
    Tried {
        answered: true,
        text: "{\n  \"variant\": \"champion\"\n}".into(),
        decision: Some("dec_00000000000000000000000000".into()),
    }
}
