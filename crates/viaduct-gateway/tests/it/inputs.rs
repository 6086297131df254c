//! What of the inputs is accepted, and what of them is kept.

use serde_json::{Value, json};
use viaduct_base::Kind;
use viaduct_decisions::Flag;
use viaduct_domain::contract::Contract;
use viaduct_gateway::{EndpointSnapshot, InputRetention, Mode};

use crate::world::{World, endpoint, lead, refusal};

fn contract(age: Value, job_class: &str) -> Contract {
    Contract::from_value(json!({
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": "leads", "version": "1.0.0",
        "status": "active",
        "schema": [{
            "name": "leads", "logicalType": "object",
            "properties": [
                {"name": "age", "logicalType": "number", "physicalType": "float", "required": true,
                 "logicalTypeOptions": {"minimum": 17, "maximum": 100}, "customProperties": age},
                {"name": "job", "logicalType": "string", "required": true,
                 "classification": job_class},
            ],
        }],
    }))
    .unwrap()
}

fn with(age: Value, job_class: &str) -> EndpointSnapshot {
    EndpointSnapshot { contract: Some(contract(age, job_class)), ..endpoint(Mode::Unowned) }
}

#[test]
fn a_field_refuses_defaults_or_counts() {
    let policy = |word| {
        json!([{"property": "viaduct.on_violation", "value": word},
                               {"property": "viaduct.default", "value": 79}])
    };
    let old = |age| {
        let mut row = lead(1);
        row["age"] = age;
        row
    };
    let world = World::new(with(policy("refuse"), "public"));
    assert_eq!(refusal(world.ask(vec![old(json!(170))])).kind, Kind::ContractViolation);
    world.publish(with(policy("default"), "public"));
    let answers = world.ask(vec![old(json!("x")), lead(1)]).unwrap();
    assert_eq!(answers[0].action.as_deref(), Some("call"), "79 stands in");
    let row = world.row(&answers[0]);
    assert_eq!((row.flags.as_slice(), &row.inputs["age"]), (&[Flag::Defaulted][..], &json!(79.0)));
    assert!(world.row(&answers[1]).flags.is_empty());
    world.publish(with(policy("count"), "public"));
    assert!(world.ask(vec![old(json!(170))]).is_ok());
    let mut text = String::new();
    world.gateway.write_metrics(&mut text);
    for line in [
        "viaduct_predict_defaulted_total{endpoint=\"term-deposit\",field=\"age\"} 1",
        "viaduct_predict_outside_total{endpoint=\"term-deposit\",field=\"age\"} 1",
        "viaduct_predict_violations_total{endpoint=\"term-deposit\",field=\"age\"} 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}

#[test]
fn a_callers_renamed_column_is_named_to_caller_and_owner() {
    let world = World::new(endpoint(Mode::Unowned));
    let mut row = lead(1);
    row["Age"] = row["age"].clone();
    row.as_object_mut().unwrap().remove("age");
    let refused = refusal(world.ask(vec![row]));
    assert_eq!(refused.errors[0].pointer, "/rows/0/age");
    assert!(refused.detail.contains("has `Age`") && refused.detail.contains("was `age` renamed?"));
}

#[test]
fn personal_fields_are_hashed_and_nothing_is_kept_where_nothing_may_be() {
    let world = World::new(with(json!([]), "PII"));
    let logged = |world: &World| {
        let answers = world.ask(vec![lead(1), lead(2), lead(4)]).unwrap();
        let rows: Vec<_> = answers.iter().map(|answer| world.row(answer)).collect();
        assert!(rows.iter().all(|row| row.entity_hash.len() == 32 && row.output.is_some()));
        assert_eq!(rows[0].keys["lead_id"], "1");
        rows.into_iter().map(|row| row.inputs).collect::<Vec<_>>()
    };
    let inputs = logged(&world);
    assert_eq!(inputs[0]["age"], json!(21.0));
    let hash = inputs[0]["job"].as_str().unwrap();
    assert!(hash.starts_with('#') && hash.len() == 33, "{hash}");
    assert_ne!(inputs[0]["job"], inputs[1]["job"]);
    assert_eq!(inputs[0]["job"], inputs[2]["job"], "the same job has the same hash");
    let retained = |retention| EndpointSnapshot { retention, ..with(json!([]), "public") };
    world.publish(retained(InputRetention::Hashed));
    assert!(logged(&world)[0].values().all(|v| v.as_str().is_some_and(|v| v.starts_with('#'))));
    world.publish(retained(InputRetention::None));
    assert!(logged(&world).iter().all(serde_json::Map::is_empty));
}
