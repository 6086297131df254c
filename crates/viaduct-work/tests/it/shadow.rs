//! S1: the model against what was done, on the same cases.

use viaduct_base::{Span, Timestamp};
use viaduct_domain::assign::Variant;
use viaduct_domain::kpi::NotActed;
use viaduct_work::evidence::cases::{Case, entities_per_week, shadow};

use crate::world::{Dice, at, case, kpi, rule, score, settled, spec};

fn window() -> (Timestamp, Timestamp) {
    (at("2026-01-01"), at("2026-01-29"))
}

/// Everybody was called. A third would have been skipped by the model; those lost 4 each on
/// average, the others gained 2.
fn called() -> Vec<Case> {
    let mut dice = Dice::new(3);
    (0..3_000)
        .map(|number| {
            let moment = window().0 + Span::minutes(number * 13 % 40_000);
            let mut case = case(moment, &format!("lead-{number}"), Variant::Shadow);
            let skip = number % 3 == 0;
            case.output = Some(score(if skip { 0.05 } else { 0.3 }));
            let mean = if skip { -4.0 } else { 2.0 };
            settled(case, mean + dice.normal(), 7)
        })
        .collect()
}

#[test]
fn a_planted_gain_is_found() {
    let spec = spec();
    let found = shadow(&called(), (kpi(&spec), rule(&spec)), 1, window(), at("2026-02-19"));
    // Skipping saves 4 in a third of the cases.
    assert!((found.differences.mean - 4.0 / 3.0).abs() < 0.1, "{:?}", found.differences);
    assert_eq!((found.differences.n, found.unknown, found.entities), (3_000, 0, 3_000));
    assert!(!found.replayed);
    assert!((found.handled.mean - 0.0).abs() < 0.1 && (found.model.mean - 4.0 / 3.0).abs() < 0.1);
}

#[test]
fn less_is_better_turns_the_sign() {
    let mut spec = spec();
    spec.kpis[0].direction = viaduct_domain::kpi::Direction::Decrease;
    let found = shadow(&called(), (kpi(&spec), rule(&spec)), 1, window(), at("2026-02-19"));
    assert!((found.differences.mean + 4.0 / 3.0).abs() < 0.1, "{:?}", found.differences);
}

#[test]
fn only_matured_shadow_cases_of_the_version_in_the_window_count() {
    let spec = spec();
    let now = at("2026-02-19");
    let with = |change: &dyn Fn(&mut Case)| {
        let mut cases = called();
        cases.iter_mut().take(500).for_each(change);
        shadow(&cases, (kpi(&spec), rule(&spec)), 1, window(), now).differences.n
    };
    assert_eq!(with(&|_| ()), 3_000);
    assert_eq!(with(&|case| case.variant = Variant::Champion), 2_500);
    assert_eq!(with(&|case| case.model_version = 2), 2_500);
    assert_eq!(with(&|case| case.at = at("2025-12-31T23:59:59Z")), 2_500);
    assert_eq!(with(&|case| case.at = window().1), 2_500);
    // Half way only what is 21 days old counts, and nothing of it is unknown.
    let half = shadow(&called(), (kpi(&spec), rule(&spec)), 1, window(), at("2026-02-01"));
    let old = called().iter().filter(|c| c.at <= at("2026-01-11")).count() as u64;
    assert_eq!((half.differences.n, half.unknown), (old, 0));
}

#[test]
fn what_nobody_can_know_is_counted_and_never_guessed() {
    let spec = spec();
    let now = at("2026-02-19");
    // The process skipped, the model would have called: nobody saw what a call had brought.
    let mut cases = called();
    for case in cases.iter_mut().skip(1).step_by(3) {
        case.action = "skip".to_owned();
    }
    let found = shadow(&cases, (kpi(&spec), rule(&spec)), 1, window(), now);
    assert_eq!((found.unknown, found.differences.n), (1_000, 2_000));
    // Without a declared amount, a skip of the model is not known either.
    let mut observed = spec.clone();
    observed.kpis[0].value_if_not_acted = Some(NotActed::Observed);
    let found = shadow(&called(), (kpi(&observed), rule(&observed)), 1, window(), now);
    assert_eq!((found.unknown, found.differences.n), (1_000, 2_000));
    // No outcome, no output, an output without the rule's number.
    let mut cases = called();
    cases[0].outcomes.clear();
    cases[1].output = None;
    let found = shadow(&cases, (kpi(&spec), rule(&spec)), 1, window(), now);
    assert_eq!((found.unknown, found.differences.n), (2, 2_998));
}

#[test]
fn a_broken_score_is_unknown_and_no_skip() {
    let spec = spec();
    let mut cases = called();
    for case in &mut cases {
        case.output = Some(score(f64::NAN));
    }
    let found = shadow(&cases, (kpi(&spec), rule(&spec)), 1, window(), at("2026-02-19"));
    // A model that answers NaN must not earn the gain of having skipped everybody.
    assert_eq!((found.unknown, found.differences.n), (3_000, 0));
}

#[test]
fn a_replay_says_so_even_by_one_row() {
    let spec = spec();
    let mut cases = called();
    cases[2_999].replayed = true;
    assert!(shadow(&cases, (kpi(&spec), rule(&spec)), 1, window(), at("2026-02-19")).replayed);
}

#[test]
fn entities_are_counted_once_and_a_moment_is_no_week() {
    let day = |number: i64| at("2026-01-01") + Span::days(number);
    let cases: Vec<Case> =
        (0..28).map(|n| case(day(n), &format!("e{}", n % 14), Variant::Shadow)).collect();
    // 14 entities in 28 days.
    let weekly = entities_per_week(&cases).unwrap();
    assert!((weekly - 3.5).abs() < 0.2, "{weekly}");
    assert_eq!(entities_per_week(&cases[..1]), None);
    assert_eq!(entities_per_week(&[]), None);
    // Callers that name no entity give no traffic of entities.
    let nobody: Vec<Case> = (0..28).map(|n| case(day(n), "", Variant::Shadow)).collect();
    assert_eq!(entities_per_week(&nobody), None);
}
