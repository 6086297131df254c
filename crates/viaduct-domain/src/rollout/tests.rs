use proptest::prelude::*;
use serde_json::json;
use viaduct_base::{Span, Timestamp};

use super::*;

const START: Timestamp = Timestamp::from_micros(1_000_000_000);

fn short() -> Plan {
    let step = |bp| Step::share(bp, Span::seconds(10), 50);
    Plan {
        steps: vec![Step::shadow(Span::seconds(10), 50), step(500), step(5_000)],
        conditions: Plan::usual_conditions(),
    }
}

fn clean(n: u64) -> Evidence {
    Evidence { n, readings: vec![Reading::share(0, n), Reading::share(0, n)], held: None }
}

fn later(seconds: i64) -> Timestamp {
    START + Span::seconds(seconds)
}

#[test]
fn a_clean_rollout_walks_through_its_steps() {
    let (plan, mut state, mut now) = (short(), State::begin(START, "asked for"), START);
    let mut events = Vec::new();
    for _ in 0..3 {
        now = now + Span::seconds(10);
        let moved = next(&plan, &state, &clean(50), now);
        events.push(moved.event);
        state = moved.state;
    }
    assert_eq!(events, [Event::Advanced, Event::Advanced, Event::Finished]);
    assert_eq!((state.phase, state.step), (Phase::Full, 2));
    let after = next(&plan, &state, &clean(50), now + Span::days(1));
    assert_eq!((after.event, after.state), (Event::Held, state));
}

#[test]
fn a_step_waits_for_time_and_rows_and_says_so() {
    let (plan, state) = (short(), State::begin(START, "asked for"));
    let moved = next(&plan, &state, &clean(30), later(4));
    assert_eq!(moved.event, Event::Held);
    assert_eq!(moved.waits[0], "the step lasts at least PT10S: PT7S to go");
    assert_eq!(moved.waits[1], "30 of 50 rows are in");
}

#[test]
fn a_breach_rolls_back_also_while_paused() {
    let (plan, mut state) = (short(), State::begin(START, "asked for"));
    let bad =
        Evidence { readings: vec![Reading::share(3, 60), Reading::share(0, 60)], ..clean(60) };
    for phase in [Phase::Running, Phase::Paused] {
        state.phase = phase;
        let moved = next(&plan, &state, &bad, later(1));
        assert_eq!((moved.event, moved.state.phase), (Event::RolledBack, Phase::RolledBack));
        assert_eq!(moved.state.reason, "error_rate is 0.05 over 60 cases: more than 0.01");
    }
}

#[test]
fn an_unknown_condition_holds_the_step_for_ever_and_nobody_can_wave_it_through() {
    let mut plan = short();
    let fact = "fact:calibration.ece".parse().unwrap();
    plan.conditions.push(Condition::at_most(fact, 0.05, 1));
    let state = State::begin(START, "asked for");
    let mut evidence = clean(1_000);
    evidence.readings.push(Reading::missing("the project has no such fact"));
    let moved = next(&plan, &state, &evidence, START + Span::days(300));
    assert_eq!(moved.event, Event::Held);
    let why = "fact:calibration.ece cannot be evaluated: the project has no such fact";
    assert_eq!(moved.waits, [why]);
    let refused = command(&plan, &state, Command::Advance, &evidence, later(60)).unwrap_err();
    assert_eq!(refused.detail, format!("the step cannot pass: {why}"));
}

#[test]
fn people_pause_resume_advance_and_take_back() {
    let (plan, state) = (short(), State::begin(START, "asked for"));
    let paused =
        command(&plan, &state, Command::Pause { reason: "lunch".into() }, &clean(60), later(1))
            .unwrap();
    assert_eq!(paused.state.phase, Phase::Paused);
    let held = next(&plan, &paused.state, &clean(60), later(100));
    assert_eq!((held.event, held.waits), (Event::Held, vec!["it is paused: lunch".to_owned()]));
    let resumed = command(&plan, &paused.state, Command::Resume, &clean(60), later(2)).unwrap();
    assert_eq!((resumed.state.phase, resumed.state.since), (Phase::Running, START));
    assert!(command(&plan, &resumed.state, Command::Resume, &clean(60), later(2)).is_err());
    let on = command(&plan, &resumed.state, Command::Advance, &clean(60), later(3)).unwrap();
    assert_eq!((on.event, on.state.step), (Event::Advanced, 1));
    let full = State { phase: Phase::Full, ..on.state };
    let back = Command::RollBack { reason: "complaints".into() };
    let moved = command(&plan, &full, back.clone(), &clean(0), later(9)).unwrap();
    assert_eq!(moved.state.phase, Phase::RolledBack);
    assert!(command(&plan, &moved.state, back, &clean(0), later(9)).is_err());
    assert!(command(&plan, &full, Command::Advance, &clean(0), later(9)).is_err());
}

#[test]
fn plans_are_read_with_every_mistake() {
    let read = plan(&json!({"steps": [{"shadow": true, "min_time": "PT1M", "min_n": 5},
        {"share": 0.05}, {"share": 0.5, "manual": true}],
        "conditions": [{"what": "error_rate", "max": 0.02, "min_n": 10},
                       {"what": "fact:score.psi_week", "max": 0.2}]}))
    .unwrap();
    assert_eq!(read.steps[1].share_bp, 500);
    assert!(read.steps[2].manual && !read.is_shadow_only());
    let text = serde_json::to_string(&read).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), read);
    assert_eq!(plan(&json!({})).unwrap(), Plan::default());
    let bad = plan(&json!({"steps": [{"share": 0.5}, {"share": 0.1}, {"share": 7}, {}],
        "conditions": [{"what": "eror_rate", "max": 1}, {"what": "nan_rate"}], "stepz": 1}))
    .unwrap_err();
    let said: Vec<String> = bad.iter().map(|e| format!("{}: {}", e.pointer, e.detail)).collect();
    let said = said.join("\n");
    for part in [
        "/stepz: `stepz` is not a key of a rollout: did you mean `steps`?",
        "/steps/2/share: `share` is 7: it lies between 0 and 1",
        "/steps/3: a step needs `shadow: true`",
        "/steps/1: steps go up",
        "/conditions/0/what: `eror_rate` is not a measure of a rollout; did you mean `error_rate`?",
        "/conditions/1: the condition on `nan_rate` needs `max` or `min`",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
}

#[test]
fn low_traffic_tells_how_long_a_step_needs() {
    let step = Step::share(500, Span::minutes(10), 100);
    assert_eq!(step.needs(1.0), Some(Span::seconds(2_000)));
    assert_eq!(step.needs(1_000.0), Some(Span::minutes(10)));
    assert_eq!(step.needs(0.0), None);
    assert_eq!(forecast(&step, 50, START, later(300)), Some(Span::seconds(300)));
    assert_eq!(forecast(&step, 0, START, later(300)), None);
    assert_eq!(forecast(&step, 100, START, later(590)), Some(Span::seconds(10)));
}

fn reading() -> impl Strategy<Value = Reading> {
    prop_oneof![
        (0.0..0.2f64, 0u64..200).prop_map(|(value, n)| Reading::Measured { value, n }),
        Just(Reading::missing("nothing")),
        (0u64..200).prop_map(|n| Reading::Measured { value: f64::NAN, n }),
    ]
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let held = prop_oneof![4 => Just(None), 1 => Just(Some("a trial runs".to_owned()))];
    (0u64..200, prop::collection::vec(reading(), 0..3), held)
        .prop_map(|(n, readings, held)| Evidence { n, readings, held })
}

proptest! {
    /// Whatever comes: steps go up one by one, a breach ends it, nothing unknown passes, and an ended
    /// rollout stays where it is.
    #[test]
    fn laws_of_the_machine(course in prop::collection::vec((evidence(), 0i64..30, any::<bool>()), 1..40)) {
        let plan = short();
        let (mut state, mut now) = (State::begin(START, "asked for"), START);
        for (evidence, seconds, pushes) in course {
            now = now + Span::seconds(seconds);
            let before = state.clone();
            let moved = if pushes {
                match command(&plan, &state, Command::Advance, &evidence, now) {
                    Ok(moved) => moved,
                    Err(_) => continue,
                }
            } else {
                next(&plan, &state, &evidence, now)
            };
            let breached = moved.judged.iter().any(|j| j.verdict == Verdict::Breached);
            let unknown = moved.judged.iter().any(|j| j.verdict == Verdict::Unknown);
            prop_assert_eq!(moved.judged.len(), plan.conditions.len());
            match moved.event {
                Event::Advanced => {
                    prop_assert_eq!(moved.state.step, before.step + 1);
                    prop_assert!(!breached && !unknown && evidence.held.is_none());
                    prop_assert!(before.phase.is_open());
                }
                Event::Finished => {
                    prop_assert_eq!(before.step + 1, plan.steps.len());
                    prop_assert!(!breached && !unknown && evidence.held.is_none());
                }
                Event::RolledBack => prop_assert!(breached && before.phase.is_open()),
                _ => prop_assert_eq!(&moved.state, &before),
            }
            if !before.phase.is_open() {
                prop_assert_eq!(&moved.state, &before);
            } else if breached && !pushes {
                prop_assert_eq!(moved.state.phase, Phase::RolledBack);
            }
            state = moved.state;
        }
    }
}
