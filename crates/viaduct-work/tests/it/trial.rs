//! The one look at a registered trial.

use viaduct_base::{Span, Timestamp};
use viaduct_domain::assign::Variant;
use viaduct_domain::kpi::OutcomeStatus;
use viaduct_domain::manifest::ProjectSpec;
use viaduct_stats::SrmLevel;
use viaduct_stats::decision::Verdict;
use viaduct_work::evidence::cases::Case;
use viaduct_work::evidence::trial::{Analysis, NoLook, analyse};

use crate::world::{
    Dice, at, case, drawn, population, report, rule, settled, spec_without_guardrail, trial,
};

/// The moment at which everything of the example's trial has matured.
fn end() -> Timestamp {
    at("2026-05-04")
}

fn look(spec: &ProjectSpec, cases: &[Case], now: Timestamp) -> Result<Analysis, NoLook> {
    let (id, made) = trial(spec);
    let mut cases = cases.to_vec();
    for case in &mut cases {
        if case.trial.is_some() {
            case.trial = Some(id);
        }
    }
    analyse(id, &made, rule(spec), &cases, now)
}

fn healthy(effect: f64) -> Vec<Case> {
    population(trial(&spec_without_guardrail()).0, 4_000, 5.0, effect)
}

#[test]
fn a_planted_effect_is_found_and_passes() {
    let found = look(&spec_without_guardrail(), &healthy(3.0), end()).unwrap();
    let effect = &found.effect;
    assert!(effect.lower < 3.0 && 3.0 < effect.upper, "{effect:?}");
    assert!((effect.effect - 3.0).abs() < 1.0, "{effect:?}");
    assert_eq!((effect.n_control, effect.n_treated), (2_000, 2_000));
    assert_eq!(found.decision.verdict, Verdict::Pass, "{:?}", found.decision);
    assert_eq!(found.srm.level, SrmLevel::Ok);
    assert_eq!((found.contamination, found.missing, found.unassigned), (0.0, (0, 0), 0));
    assert_eq!(found.missing_outcomes_p, None);
    assert_eq!(found.exposure_problem, None);
    assert!(!found.replayed);
}

#[test]
fn intervals_cover_the_truth_as_often_as_they_say() {
    let spec = spec_without_guardrail();
    let (id, _) = trial(&spec);
    let mut dice = Dice::new(1);
    let rounds = 300;
    let mut covered = 0;
    for _ in 0..rounds {
        let cases = drawn(&mut dice, id, 300, 5.0, 3.0);
        let found = look(&spec, &cases, end()).unwrap().effect;
        covered += usize::from(found.lower <= 3.0 && 3.0 <= found.upper);
    }
    // 95 % of 300, give or take three standard deviations.
    assert!((274..=296).contains(&covered), "{covered} of {rounds}");
}

#[test]
fn no_effect_is_no_pass_and_harm_fails() {
    let spec = spec_without_guardrail();
    let nothing = look(&spec, &healthy(0.0), end()).unwrap();
    assert_eq!(nothing.decision.verdict, Verdict::Hold, "{:?}", nothing.effect);
    let harm = look(&spec, &healthy(-3.0), end()).unwrap();
    assert_eq!(harm.decision.verdict, Verdict::Fail);
}

#[test]
fn a_kpi_that_should_fall_passes_by_falling() {
    let mut spec = spec_without_guardrail();
    spec.kpis[0].direction = viaduct_domain::kpi::Direction::Decrease;
    let (id, _) = trial(&spec);
    let fell = look(&spec, &population(id, 4_000, 5.0, -3.0), end()).unwrap();
    assert_eq!(fell.decision.verdict, Verdict::Pass);
    let rose = look(&spec, &population(id, 4_000, 5.0, 3.0), end()).unwrap();
    assert_eq!(rose.decision.verdict, Verdict::Fail);
}

#[test]
fn before_the_end_has_matured_nothing_is_shown() {
    let spec = spec_without_guardrail();
    for now in ["2026-02-01", "2026-03-20", "2026-04-13", "2026-05-03T23:59:59Z"] {
        let refused = look(&spec, &healthy(3.0), at(now)).unwrap_err();
        assert_eq!(refused, NoLook::TooEarly { matured_at: end() }, "{now}");
        assert!(!refused.to_string().contains("p ="), "{refused}");
    }
    assert!(look(&spec, &healthy(3.0), end()).is_ok());
}

#[test]
fn a_broken_split_is_invalid() {
    let mut cases = healthy(3.0);
    let mut kept = 0;
    // 300 of 2,000 holdout units are lost on the way.
    cases.retain(|case| {
        kept += usize::from(case.variant == Variant::Holdout);
        case.variant == Variant::Champion || kept > 300
    });
    let found = look(&spec_without_guardrail(), &cases, end()).unwrap();
    assert_eq!(found.srm.level, SrmLevel::Alert);
    assert_eq!(found.decision.verdict, Verdict::Invalid, "{:?}", found.decision);
}

#[test]
fn the_split_is_counted_over_units_and_not_over_cases() {
    let mut cases = healthy(3.0);
    // Champions come back three times each; their number is still the planned one.
    let again: Vec<Case> =
        cases.iter().filter(|c| c.variant == Variant::Champion).cloned().collect();
    for days in [1, 2] {
        cases.extend(again.iter().cloned().map(|mut case| {
            case.at = (case.at + Span::days(days)).min(at("2026-04-12"));
            case
        }));
    }
    let found = look(&spec_without_guardrail(), &cases, end()).unwrap();
    assert_eq!((found.effect.n_control, found.effect.n_treated), (2_000, 2_000));
    assert_eq!(found.srm.level, SrmLevel::Ok);
}

#[test]
fn units_in_two_arms_make_it_invalid() {
    let spec = spec_without_guardrail();
    let twice = |units: usize, with_outcome: bool| {
        let mut cases = healthy(3.0);
        let other: Vec<Case> = cases
            .iter()
            .filter(|case| case.variant == Variant::Holdout)
            .take(units)
            .map(|first| {
                let mut second = first.clone();
                second.variant = Variant::Champion;
                if !with_outcome {
                    second.outcomes.clear();
                }
                second
            })
            .collect();
        cases.extend(other);
        look(&spec, &cases, end()).unwrap()
    };
    assert_eq!(twice(20, true).decision.verdict, Verdict::Pass, "half a percent is bearable");
    let found = twice(60, true);
    assert!(found.contamination > 0.01, "{}", found.contamination);
    assert_eq!(found.decision.verdict, Verdict::Invalid);
    // Being treated contaminates, whether or not an outcome came back.
    let found = twice(60, false);
    assert!(found.contamination > 0.01, "{}", found.contamination);
    assert_eq!(found.decision.verdict, Verdict::Invalid);
}

#[test]
fn outcomes_missing_in_one_arm_make_it_invalid() {
    let spec = spec_without_guardrail();
    let without = |share: usize, arm: Option<Variant>| {
        let mut cases = healthy(3.0);
        let chosen = cases.iter_mut().filter(|case| arm.is_none_or(|arm| case.variant == arm));
        for case in chosen.step_by(share) {
            case.outcomes.clear();
        }
        look(&spec, &cases, end()).unwrap()
    };
    let lopsided = without(10, Some(Variant::Champion));
    assert_eq!(lopsided.missing, (0, 200));
    assert!(lopsided.missing_outcomes_p.unwrap() < 0.001);
    assert_eq!(lopsided.decision.verdict, Verdict::Invalid);
    // Missing units still count as exposed: the split is whole.
    assert_eq!(lopsided.srm.level, SrmLevel::Ok);
    let even = without(9, None);
    assert!(even.missing.0 > 150 && even.missing.1 > 150, "{:?}", even.missing);
    assert_eq!(even.decision.verdict, Verdict::Pass, "{:?}", even.decision);
}

#[test]
fn an_exposure_before_the_registration_makes_it_invalid() {
    let mut cases = healthy(3.0);
    cases[0].at = at("2026-02-28");
    let found = look(&spec_without_guardrail(), &cases, end()).unwrap();
    assert!(found.exposure_problem.unwrap().contains("before the plan was registered"));
    assert_eq!(found.decision.verdict, Verdict::Invalid);
}

#[test]
fn a_case_after_the_end_makes_it_invalid() {
    let mut cases = healthy(3.0);
    cases[0].at = at("2026-04-13");
    let found = look(&spec_without_guardrail(), &cases, end()).unwrap();
    assert_eq!(found.decision.verdict, Verdict::Invalid);
}

#[test]
fn a_changed_plan_makes_it_invalid() {
    let spec = spec_without_guardrail();
    let (id, mut made) = trial(&spec);
    made.plan.alpha = 0.2;
    let found = analyse(id, &made, rule(&spec), &population(id, 4_000, 5.0, 3.0), end()).unwrap();
    assert!(found.exposure_problem.unwrap().contains("has changed since it was registered"));
    assert_eq!(found.decision.verdict, Verdict::Invalid);
}

#[test]
fn only_units_that_the_platform_assigned_count() {
    let spec = spec_without_guardrail();
    let mut cases = healthy(3.0);
    let whole = look(&spec, &cases, end()).unwrap();
    let moment = at("2026-03-05");
    for number in 0..50 {
        let mut stray = case(moment, &format!("stray-{number}"), Variant::Champion);
        stray.trial = Some(trial(&spec).0);
        stray.unassigned = true;
        cases.push(settled(stray, 1e6, 1));
        let mut nobody = case(moment, "", Variant::Holdout);
        nobody.trial = Some(trial(&spec).0);
        cases.push(settled(nobody, -1e6, 1));
        // Of another trial, of no trial.
        cases.push(settled(case(moment, "other", Variant::Champion), 1e6, 1));
    }
    let found = look(&spec, &cases, end()).unwrap();
    assert_eq!(found.unassigned, 100);
    assert_eq!(found.effect, whole.effect);
}

#[test]
fn a_replay_says_so() {
    let mut cases = healthy(3.0);
    cases[17].replayed = true;
    assert!(look(&spec_without_guardrail(), &cases, end()).unwrap().replayed);
}

#[test]
fn late_corrected_and_partial_reports_keep_their_order() {
    let spec = spec_without_guardrail();
    let (id, _) = trial(&spec);
    let plain = look(&spec, &healthy(3.0), end()).unwrap();
    // A correction replaces the value; one that is known only later does not.
    let mut cases = healthy(3.0);
    for case in cases.iter_mut().filter(|case| case.variant == Variant::Champion) {
        let value = case.outcomes[0].value.unwrap();
        let known = case.at + Span::days(14);
        case.outcomes.push(report(value + 1.0, known, OutcomeStatus::Corrected));
        let later = end() + Span::days(1);
        case.outcomes.push(report(-1e6, later, OutcomeStatus::Corrected));
        // A partial one after the settled one never counts.
        let after = case.at + Span::days(20);
        case.outcomes.push(report(1e6, after, OutcomeStatus::Partial));
    }
    let found = look(&spec, &cases, end()).unwrap();
    assert!((found.effect.effect - plain.effect.effect - 1.0).abs() < 1e-9, "{:?}", found.effect);
    // A report that comes after the look is no outcome yet.
    let mut late = healthy(3.0);
    for case in &mut late {
        case.trial = Some(id);
        case.outcomes[0].observed_at = end() + Span::days(3);
    }
    assert!(matches!(look(&spec, &late, end()), Err(NoLook::Insufficient(_))));
}

#[test]
fn a_later_day_sees_what_the_look_saw() {
    let spec = spec_without_guardrail();
    let mut cases = healthy(3.0);
    let seen = look(&spec, &cases, end()).unwrap();
    for case in cases.iter_mut().step_by(3) {
        let later = end() + Span::hours(5);
        case.outcomes.push(report(-500.0, later, OutcomeStatus::Corrected));
    }
    let again = look(&spec, &cases, end() + Span::days(40)).unwrap();
    assert_eq!(again.effect, seen.effect);
    assert_eq!(again.decision, seen.decision);
}

#[test]
fn a_skipped_case_is_worth_the_declared_amount_only_once_it_is_reported() {
    let spec = spec_without_guardrail();
    let mut cases = healthy(3.0);
    let skipped = cases.iter_mut().filter(|case| case.variant == Variant::Champion).step_by(4);
    for case in skipped {
        case.action = "skip".to_owned();
        case.outcomes[0].value = None;
        case.outcomes[0].label = None;
    }
    let found = look(&spec, &cases, end()).unwrap();
    assert_eq!(found.missing, (0, 0), "an empty report after a skip says: nothing happened");
    // A quarter of the champions is now worth 0 instead of 8.
    assert!((found.effect.effect - 1.0).abs() < 1.0, "{:?}", found.effect);
    for case in cases.iter_mut().filter(|case| case.action == "skip") {
        case.outcomes.clear();
    }
    let found = look(&spec, &cases, end()).unwrap();
    assert_eq!(found.missing, (0, 500));
    assert_eq!(found.decision.verdict, Verdict::Invalid);
}

#[test]
fn a_guardrail_without_evidence_is_no_pass() {
    let mut spec = spec_without_guardrail();
    let mut guarded = crate::world::spec();
    std::mem::swap(&mut spec.trial, &mut guarded.trial);
    let (id, _) = trial(&spec);
    // Nobody reports complaints apart from the label: all labels false, no variation.
    let mut cases = population(id, 4_000, 50.0, 3.0);
    for case in &mut cases {
        case.outcomes[0].label = Some(false.into());
    }
    let found = look(&spec, &cases, end()).unwrap();
    assert_eq!(found.decision.verdict, Verdict::Hold, "{:?}", found.decision);
    assert!(found.decision.reasons.iter().any(|why| why.contains("complaints")));
}

#[test]
fn a_proportion_uses_counts() {
    let mut spec = spec_without_guardrail();
    spec.kpis[0].kind = viaduct_domain::kpi::KpiType::Proportion;
    let (id, _) = trial(&spec);
    let mut cases = population(id, 4_000, 0.0, 0.0);
    let mut seen = 0;
    for case in &mut cases {
        seen += 1;
        let wanted = if case.variant == Variant::Champion { seen % 10 < 4 } else { seen % 10 < 3 };
        case.outcomes[0].label = Some(wanted.into());
        case.outcomes[0].value = None;
    }
    let found = look(&spec, &cases, end()).unwrap();
    let by_hand = |arm: Variant| {
        let of: Vec<_> = cases.iter().filter(|c| c.variant == arm).collect();
        let yes = of.iter().filter(|c| c.outcomes[0].label == Some(true.into())).count();
        yes as f64 / of.len() as f64
    };
    let truth = by_hand(Variant::Champion) - by_hand(Variant::Holdout);
    assert!((found.effect.effect - truth).abs() < 1e-12, "{:?} {truth}", found.effect);
}
