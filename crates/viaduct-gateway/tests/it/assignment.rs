use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::json;
use viaduct_decisions::Flag;
use viaduct_domain::assign::{Variant, bucket};
use viaduct_gateway::Mode;

use crate::world::{World, call, endpoint, lead, trial};

#[test]
fn the_holdout_has_its_share_and_entities_stick() {
    let world = World::new(endpoint(trial(3_000)));
    let mut variants = HashMap::new();
    for start in (0..6_000).step_by(1_000) {
        let answers = world.ask((start..start + 1_000).map(lead).collect()).unwrap();
        for (number, answer) in (start..).zip(answers) {
            variants.insert(number, answer.variant);
        }
    }
    let holdout = variants.values().filter(|v| **v == Variant::Holdout).count() as f64;
    // Four standard deviations of a binomial share at n = 6,000.
    assert!((holdout - 1_800.0).abs() < 4.0 * (6_000.0f64 * 0.3 * 0.7).sqrt(), "{holdout}");
    // Alone, later, with other inputs and after another snapshot: the same variant.
    world.publish(endpoint(trial(3_000)));
    world.clock.advance(viaduct_base::Span::days(3));
    for number in (0..6_000).step_by(97) {
        let mut again = lead(number);
        again["age"] = json!(33);
        let answer = world.ask(vec![again]).unwrap().remove(0);
        assert_eq!(answer.variant, variants[&number]);
        let row = world.row(&answer);
        let scope = row.trial.unwrap().to_string();
        assert_eq!(row.bucket, Some(bucket("s", &scope, &format!("c-{number}"))));
    }
}

#[test]
fn a_lasting_holdout_beside_the_champion() {
    let mode = Mode::Champion { salt: "s".into(), holdout_bp: 1_000 };
    let world = World::new(endpoint(mode));
    let answers = world.ask((0..2_000).map(lead).collect()).unwrap();
    let holdout = answers.iter().filter(|a| a.variant == Variant::Holdout).count();
    assert!((140..=260).contains(&holdout), "{holdout}");
    let row = world.row(&answers[0]);
    assert_eq!(row.trial, None);
    assert!(row.bucket.is_some());
}

#[test]
fn no_entity_is_flagged() {
    let world = World::new(endpoint(trial(5_000)));
    let mut nobody = lead(1);
    nobody["customer_id"] = json!(null);
    let answer = world.ask(vec![nobody]).unwrap().remove(0);
    let row = world.row(&answer);
    assert_eq!((row.flags.first(), row.entity_hash.as_str()), (Some(&Flag::Unsticky), ""));
}

#[test]
fn another_entity_than_the_registered_one_is_flagged() {
    let world = World::new(endpoint(trial(5_000)));
    let mut other = call(vec![lead(1)]);
    other.entity = Some("lead_id".into());
    let answer = world.gateway.predict(other).unwrap().remove(0);
    assert_eq!(world.row(&answer).flags.first(), Some(&Flag::Override));
    let mut same = call(vec![lead(1)]);
    same.entity = Some("customer_id".into());
    let answer = world.gateway.predict(same).unwrap().remove(0);
    assert!(!world.row(&answer).flags.contains(&Flag::Override));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_is_acknowledged_is_readable_by_id(
        numbers in prop::collection::vec(0u64..500, 1..40),
        holdout_bp in 0u16..=10_000,
        shadow in any::<bool>(),
    ) {
        let world = World::new(endpoint(if shadow { Mode::Shadow } else { trial(holdout_bp) }));
        let rows: Vec<_> = numbers.iter().map(|n| lead(*n)).collect();
        let answers = world.ask(rows).unwrap();
        prop_assert_eq!(answers.len(), numbers.len());
        let mut seen: HashMap<u64, Variant> = HashMap::new();
        let mut ids = std::collections::HashSet::new();
        for (number, answer) in numbers.iter().zip(&answers) {
            prop_assert!(ids.insert(answer.decision_id), "ids are unique");
            let row = world.row(answer);
            prop_assert_eq!(&row.keys["lead_id"], &number.to_string());
            prop_assert_eq!(&row.variant, answer.variant.as_str());
            prop_assert_eq!(Some(row.action.as_str()), answer.action.as_deref());
            prop_assert_eq!(answer.output.clone().unwrap_or_default(), row.answered);
            let sticky = *seen.entry(*number).or_insert(answer.variant);
            prop_assert_eq!(sticky, answer.variant);
            if answer.variant != Variant::Champion {
                prop_assert!(answer.output.is_none(), "no score leaves");
            }
        }
    }
}
