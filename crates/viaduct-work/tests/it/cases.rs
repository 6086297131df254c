//! Joins, days and dry runs over cases.

use viaduct_base::Span;
use viaduct_domain::assign::Variant;
use viaduct_domain::kpi::OutcomeStatus::{Corrected, Final, Partial};
use viaduct_work::evidence::cases::{Case, dry_run, joined, known_by_day};

use crate::world::{at, case, kpi, report, rule, score, settled, spec};

fn hundred() -> Vec<Case> {
    (0..100)
        .map(|n| {
            let moment = at("2026-01-01") + Span::hours(n);
            settled(case(moment, &format!("e{n}"), Variant::Shadow), 1.0, 1 + n % 10)
        })
        .collect()
}

#[test]
fn matured_decisions_are_joined_or_not() {
    let spec = spec();
    let mut cases = hundred();
    let found = joined(&cases, kpi(&spec), at("2026-03-01")).unwrap();
    assert_eq!((found.matured, found.joined), (100, 100));
    assert!((found.delay_p90_days - 9.1).abs() < 0.2, "{found:?}");
    for case in cases.iter_mut().take(25) {
        case.outcomes.clear();
    }
    // A partial report is no outcome yet.
    for case in cases.iter_mut().skip(25).take(10) {
        case.outcomes[0].status = Partial;
    }
    let found = joined(&cases, kpi(&spec), at("2026-03-01")).unwrap();
    assert_eq!((found.matured, found.joined), (100, 65));
}

#[test]
fn young_decisions_say_nothing_about_the_join() {
    let spec = spec();
    let cases = hundred();
    // Only those of the first day are 21 days old.
    let found = joined(&cases, kpi(&spec), at("2026-01-23") - Span::hours(1)).unwrap();
    assert_eq!(found.matured, 24);
    assert!(joined(&cases, kpi(&spec), at("2026-01-10")).is_err());
    assert!(joined(&[], kpi(&spec), at("2026-03-01")).is_err());
}

#[test]
fn the_first_settled_report_ends_the_wait() {
    let spec = spec();
    let mut cases = hundred();
    for case in &mut cases {
        let moment = case.at;
        case.outcomes = vec![
            report(1.0, moment + Span::days(1), Partial),
            report(1.0, moment + Span::days(5), Final),
            report(2.0, moment + Span::days(30), Corrected),
        ];
    }
    let found = joined(&cases, kpi(&spec), at("2026-03-15")).unwrap();
    assert!((found.delay_p90_days - 5.0).abs() < 1e-9, "{found:?}");
}

#[test]
fn a_day_is_alive_when_a_value_became_known_on_it() {
    let spec = spec();
    let now = at("2026-02-01");
    let days = known_by_day(&hundred(), kpi(&spec), rule(&spec), now);
    assert!(days.keys().all(|day| day.start() <= now));
    assert_eq!(days.values().map(|m| m.n).sum::<u64>(), 100);
    // What is known later is not known now, and a partial report makes no day.
    let mut cases = hundred();
    for case in &mut cases {
        case.outcomes[0].observed_at = now + Span::hours(1);
    }
    assert!(known_by_day(&cases, kpi(&spec), rule(&spec), now).is_empty());
    let mut cases = hundred();
    for case in &mut cases {
        case.outcomes[0].status = Partial;
    }
    assert!(known_by_day(&cases, kpi(&spec), rule(&spec), now).is_empty());
}

#[test]
fn the_dry_run_reads_the_last_days_only() {
    let spec = spec();
    let now = at("2026-01-05T04:00:00Z");
    let mut cases = hundred();
    cases[99].output = Some(score(f64::NAN));
    cases[98].output = None;
    let run = dry_run(&cases, rule(&spec), Span::days(2), now);
    // From 2026-01-03T04 on: hours 52 to 99, one of them without an output.
    assert_eq!((run.rows(), run.unknown()), (47, 1));
    assert_eq!(run.capacity, Some(400));
    assert_eq!(dry_run(&cases, rule(&spec), Span::days(7), at("2026-03-01")).rows(), 0);
}
