//! `on_violation: fallback`: rows that the contract stops get an answer, and only they.

use serde_json::{Value, json};
use viaduct_base::{ConsumerId, Digest, Kind, Secret};
use viaduct_decisions::{Flag, Record};
use viaduct_domain::assign::Variant;
use viaduct_gateway::{
    CallKey, ConsumerSnapshot, EndpointSnapshot, Fallback, InferCall, InputTensor, Mode,
    PredictCall, TensorData, VariantCounts,
};

use crate::world::{World, call, endpoint, lead, refusal, trial};

fn sparing(mode: Mode) -> EndpointSnapshot {
    EndpointSnapshot {
        fallback: Fallback::Constant {
            output: Some(json!({"value": -1})),
            action: Some("ask a person".into()),
        },
        fallback_on_violation: true,
        business_as_usual: None,
        ..endpoint(mode)
    }
}

fn renamed(number: u64) -> Value {
    let mut row = lead(number);
    let age = row.as_object_mut().unwrap().remove("age").unwrap();
    row["customer_age"] = age;
    row
}

fn refused_rows(world: &World) -> usize {
    logged(world, |record| matches!(record, Record::Refused(_)))
}

fn logged(world: &World, is_wanted: fn(&Record) -> bool) -> usize {
    let (log, all) = (world.gateway.log(), "2026-03-01T07:00:00Z".parse().unwrap());
    let end = "2026-03-02T00:00:00Z".parse().unwrap();
    let records = log.scan(Some(endpoint(Mode::Unowned).id), all, end).flatten();
    records.filter(is_wanted).count()
}

fn champion(world: &World) -> VariantCounts {
    let counts = world.gateway.counts("term-deposit").unwrap();
    counts.into_iter().find(|count| count.variant == Variant::Champion).unwrap()
}

#[test]
fn a_bad_row_among_good_ones_gets_the_fallback_and_they_the_model() {
    let world = World::new(sparing(Mode::Unowned));
    let answers = world.ask(vec![lead(59), renamed(7), lead(1), renamed(8)]).unwrap();
    let fallen: Vec<_> = answers.iter().map(|answer| answer.is_fallback).collect();
    assert_eq!(fallen, [false, true, false, true]);
    let versions: Vec<_> = answers.iter().map(|answer| answer.model_version).collect();
    assert_eq!(versions, [Some(3), None, Some(3), None]);
    let alone = world.ask(vec![lead(59)]).unwrap().remove(0);
    assert_eq!(answers[0].output, alone.output, "row 0 is the answer of row 0");
    assert_eq!(answers[1].output, Some(json!({"value": -1})));
    assert_eq!(answers[1].action.as_deref(), Some("ask a person"));
    assert!(answers[0].contract.is_some() && answers[1].contract.is_none());

    // Each is in the log under the id that was answered, and nothing is kept of the bad ones.
    let (good, bad) = (world.row(&answers[2]), world.row(&answers[3]));
    assert_eq!((good.inputs["age"].as_f64(), good.keys["lead_id"].as_str()), (Some(21.0), "1"));
    assert_eq!(bad.flags, [Flag::Fallback]);
    assert!(bad.inputs.is_empty() && bad.contract_hash.is_none());
    assert_eq!(bad.keys["lead_id"], "8");
    assert_eq!(bad.entity_hash, world.row(&world.ask(vec![lead(8)]).unwrap()[0]).entity_hash);
    assert_eq!(refused_rows(&world), 2, "stopped rows are told as refused all the same");
    let champion = champion(&world);
    assert_eq!((champion.violations, champion.fallbacks, champion.rows), (2, 2, 6));
    assert_eq!(champion.refused, 0, "a row that was answered is counted once");
}

#[test]
fn rows_that_are_not_alike_get_the_fallback() {
    let world = World::new(sparing(Mode::Unowned));
    let mut odd = renamed(2);
    odd["extra"] = json!([1, 2]);
    let answers = world.ask(vec![renamed(1), odd, json!({"age": "old"}), json!({})]).unwrap();
    assert_eq!(answers.len(), 4);
    assert!(answers.iter().all(|answer| answer.is_fallback && answer.model_version.is_none()));
}

#[test]
fn more_mistakes_than_a_refusal_tells_get_the_fallback_for_all() {
    let world = World::new(sparing(Mode::Unowned));
    let mut rows: Vec<_> = (0..1_200).map(renamed).collect();
    rows.push(lead(59));
    let answers = world.ask(rows).unwrap();
    assert_eq!(answers.len(), 1_201);
    assert!(answers.iter().all(|answer| answer.is_fallback));
    let champion = champion(&world);
    assert_eq!((champion.violations, champion.rows, champion.refused), (1_200, 1_201, 0));
}

#[test]
fn without_an_answer_the_caller_gets_the_first_reason_and_nothing_is_decided() {
    let bare = EndpointSnapshot { fallback: Fallback::BusinessAsUsual, ..sparing(Mode::Unowned) };
    let world = World::new(bare);
    let refused = refusal(world.ask(vec![renamed(1)]));
    assert_eq!(refused.kind, Kind::ContractViolation);
    let counts = champion(&world);
    assert_eq!((counts.violations, counts.rows, counts.refused), (1, 0, 1));
    let mut odd = renamed(2);
    odd["customer_id"] = json!({"id": 2});
    world.publish(sparing(Mode::Unowned));
    let refused = refusal(world.ask(vec![lead(59), odd]));
    assert_eq!(
        (refused.kind, refused.errors[0].pointer.as_str()),
        (Kind::ContractViolation, "/rows/1/age")
    );
    assert_eq!(logged(&world, |record| matches!(record, Record::Decision(_))), 0);
    assert_eq!(refused_rows(&world), 2);
}

#[test]
fn in_a_trial_a_bad_row_keeps_its_arm() {
    let world = World::new(EndpointSnapshot {
        business_as_usual: endpoint(Mode::Unowned).business_as_usual,
        ..sparing(trial(5_000))
    });
    let good = world.ask((0..40).map(lead).collect()).unwrap();
    let bad = world.ask((0..40).map(|n| if n % 2 == 0 { renamed(n) } else { lead(n) }).collect());
    for (n, (good, bad)) in good.iter().zip(bad.unwrap()).enumerate() {
        assert_eq!(good.variant, bad.variant);
        assert_eq!(bad.is_fallback, n % 2 == 0 && bad.variant == Variant::Champion);
    }
}

#[test]
fn a_consumers_rows_are_taken_once() {
    let key = "vdk_spared";
    let consumer = ConsumerSnapshot {
        id: ConsumerId::from_u128(3),
        name: "app".into(),
        key_hash: Digest::of(key.as_bytes()),
        department: None,
        rate_per_second: None,
        burst: None,
        quota_per_day: Some(6),
    };
    let world =
        World::new(EndpointSnapshot { consumers: vec![consumer], ..sparing(Mode::Unowned) });
    let ask = |rows| {
        let key = CallKey::Key(Secret::new(key.to_owned()));
        world.gateway.predict(PredictCall { key, ..call(rows) })
    };
    let answers = ask(vec![renamed(1), lead(2)]).unwrap();
    assert_eq!(answers[0].model_version.xor(answers[1].model_version), Some(3));
    let row = world.row(&answers[0]);
    assert_eq!(row.consumer, Some(ConsumerId::from_u128(3)));
    assert!(ask(vec![renamed(1), lead(2)]).is_ok());
    assert!(ask(vec![renamed(1), lead(2)]).is_ok(), "six rows of six");
    assert_eq!(refusal(ask(vec![lead(2)])).kind, Kind::QuotaUsed);
}

fn infer(inputs: Vec<(&str, TensorData)>, outputs: &[&str]) -> InferCall {
    let tensor = |(name, data): (&str, TensorData)| {
        let count = match &data {
            TensorData::Float(cells) => cells.len(),
            TensorData::Text(cells) => cells.len(),
            _ => panic!("not needed here"),
        };
        InputTensor { name: name.into(), shape: vec![count as i64, 1], data }
    };
    InferCall {
        endpoint: "term-deposit".into(),
        key: CallKey::Absent,
        inputs: inputs.into_iter().map(tensor).collect(),
        outputs: outputs.iter().map(|name| (*name).to_owned()).collect(),
        entity: None,
        keys: None,
        replayed: false,
    }
}

fn texts(cells: &[&str]) -> TensorData {
    TensorData::Text(cells.iter().map(|text| Some((*text).to_owned())).collect())
}

#[test]
fn tensors_are_spared_as_rows_are() {
    let world = World::new(sparing(Mode::Unowned));
    // NaN is null, which the contract does not take: row 0 is bad, row 1 is good.
    let mixed = infer(
        vec![
            ("age", TensorData::Float(vec![f64::NAN, 80.0])),
            ("job", texts(&["student", "retired"])),
            ("viaduct.entity", texts(&["c-1", "c-2"])),
        ],
        &["probability", "value", "action", "viaduct.decision_id"],
    );
    let answer = world.gateway.infer(mixed).unwrap();
    let TensorData::Float(probability) = &answer.outputs[0].data else { panic!() };
    assert!(probability[0].is_nan() && probability[1] > 0.9, "{probability:?}");
    let TensorData::Float(value) = &answer.outputs[1].data else { panic!() };
    assert!(value[0] == -1.0 && value[1].is_nan(), "{value:?}");
    assert_eq!(answer.outputs[2].data, texts(&["ask a person", "call"]));
    let TensorData::Text(ids) = &answer.outputs[3].data else { panic!() };
    let id = |row: usize| ids[row].as_ref().unwrap().parse().unwrap();
    let (bad, good) = (0, 1);
    let row = |row| world.gateway.log().get(id(row)).unwrap().unwrap();
    assert!(row(bad).inputs.is_empty() && row(good).inputs.len() == 2);
    assert!(!row(bad).entity_hash.is_empty() && row(bad).entity_hash != row(good).entity_hash);

    // A renamed column stops every row; what the caller wants is there, empty.
    let renamed = infer(
        vec![
            ("customer_age", TensorData::Float(vec![20.0, 80.0])),
            ("job", texts(&["student", "retired"])),
        ],
        &["label", "probability"],
    );
    let answer = world.gateway.infer(renamed).unwrap();
    let TensorData::Float(probability) = &answer.outputs[1].data else { panic!() };
    assert!(probability.len() == 2 && probability.iter().all(|cell| cell.is_nan()));
    assert_eq!(answer.model_version, None);

    // What cannot be read has no rows to answer.
    let wide = TensorData::Float(vec![1.0, 2.0, 3.0]);
    let mut unread = infer(vec![("x", wide)], &[]);
    unread.inputs[0].shape = vec![1, 3];
    let refused = world.gateway.infer(unread).unwrap_err();
    assert!(matches!(&refused, viaduct_base::Error::Refused(r) if r.kind == Kind::InvalidInput));
}
