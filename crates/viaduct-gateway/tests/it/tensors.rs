use viaduct_base::{Error, Kind};
use viaduct_domain::assign::Variant;
use viaduct_gateway::{CallKey, InferCall, InputTensor, Mode, TensorData};

use crate::world::{World, endpoint, trial};

fn column(name: &str, data: TensorData) -> InputTensor {
    let count = match &data {
        TensorData::Float(cells) => cells.len(),
        TensorData::Text(cells) => cells.len(),
        _ => panic!("not needed here"),
    };
    InputTensor { name: name.into(), shape: vec![count as i64, 1], data }
}

fn texts(cells: &[&str]) -> TensorData {
    TensorData::Text(cells.iter().map(|text| Some((*text).to_owned())).collect())
}

fn call(inputs: Vec<InputTensor>) -> InferCall {
    InferCall {
        endpoint: "term-deposit".into(),
        key: CallKey::Absent,
        inputs,
        outputs: vec![],
        entity: None,
        keys: None,
        replayed: false,
    }
}

fn two() -> Vec<InputTensor> {
    vec![
        column("age", TensorData::Float(vec![20.0, 80.0])),
        column("job", texts(&["student", "retired"])),
    ]
}

#[test]
fn columns_become_rows_and_answers_become_tensors() {
    let world = World::new(endpoint(Mode::Unowned));
    let answer = world.gateway.infer(call(two())).unwrap();
    let names: Vec<_> = answer.outputs.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["label", "probability", "probabilities", "action"]);
    assert_eq!(answer.outputs[0].data, TensorData::Int(vec![0, 1]));
    assert_eq!(answer.outputs[2].shape, [2, 2]);
    assert_eq!(answer.outputs[3].data, texts(&["skip", "call"]));
    assert_eq!(answer.model_version, Some(3));
    assert!(answer.parameters.is_empty());
}

#[test]
fn ours_travel_as_parameters_or_as_tensors() {
    let world = World::new(endpoint(trial(5_000)));
    let mut inputs = two();
    inputs.push(column("viaduct.entity", texts(&["c-1", "c-1"])));
    inputs.push(column("viaduct.keys", texts(&["{\"order\": 7}", "{\"order\": 8}"])));
    inputs.push(column("viaduct.incumbent", texts(&["letter", "letter"])));
    let mut wanted = call(inputs);
    wanted.outputs =
        ["viaduct.decision_id", "viaduct.variant", "action"].map(str::to_owned).to_vec();
    let answer = world.gateway.infer(wanted).unwrap();
    let TensorData::Text(variants) = &answer.outputs[1].data else { panic!() };
    assert_eq!(variants[0], variants[1], "one entity, one variant");
    let found =
        world.gateway.log().by_key(endpoint(Mode::Shadow).id, "order", "8").unwrap().remove(0);
    let TensorData::Text(ids) = &answer.outputs[0].data else { panic!() };
    assert_eq!(ids[1].as_deref(), Some(found.id.to_string().as_str()));
    assert_eq!(found.incumbent, Some("letter".into()));
    assert_eq!(found.inputs.len(), 2, "ours are no inputs");

    let mut one = call(vec![
        column("age", TensorData::Float(vec![80.0])),
        column("job", texts(&["retired"])),
    ]);
    one.entity = Some("c-9".into());
    one.keys = Some("{\"order\": 9}".into());
    let answer = world.gateway.infer(one).unwrap();
    let names: Vec<_> = answer.parameters.iter().map(|p| p.name).collect();
    assert_eq!(names, ["decision_id", "variant", "action", "contract"]);
    let row = world.gateway.log().recent(found.endpoint, 1).unwrap().remove(0);
    assert_eq!(row.id.to_string(), answer.parameters[0].value);
    assert!(row.flags.is_empty(), "the entity sticks");
    let variant = Variant::from_word(&answer.parameters[1].value).unwrap();
    assert_eq!(answer.model_version.is_some(), variant == Variant::Champion);
}

#[test]
fn a_matrix_is_the_features_in_their_order_and_wrong_shapes_are_named() {
    let world = World::new(endpoint(Mode::Unowned));
    let refused = |inputs| match world.gateway.infer(call(inputs)) {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    let matrix = InputTensor {
        name: "input".into(),
        shape: vec![1, 2],
        data: TensorData::Text(vec![Some("20".into()), Some("student".into())]),
    };
    // Two columns are the contract's two features; text is no age.
    let refusal = refused(vec![matrix.clone()]);
    assert_eq!(refusal.kind, Kind::ContractViolation);
    assert_eq!(refusal.errors[0].pointer, "/rows/0/age");
    let wide = InputTensor { shape: vec![2, 1], ..matrix.clone() };
    assert_eq!(refused(vec![wide]).kind, Kind::ContractViolation);
    let torn = InputTensor { shape: vec![3, 2], ..matrix };
    assert!(refused(vec![torn]).detail.contains("2 cells"));
    assert_eq!(refused(vec![]).kind, Kind::InvalidInput);
    let mut uneven = two();
    uneven.push(column("x", TensorData::Float(vec![1.0])));
    assert!(refused(uneven).detail.contains("has 1 rows"));
    let mut unknown = call(two());
    unknown.outputs = vec!["score".into()];
    let Err(Error::Refused(refusal)) = world.gateway.infer(unknown) else { panic!() };
    assert!(refusal.detail.contains("no output `score`"), "{}", refusal.detail);
}

#[test]
fn metadata_is_the_contract() {
    let world = World::new(endpoint(Mode::Unowned));
    let found = world.gateway.metadata("term-deposit").unwrap();
    let inputs: Vec<_> = found.inputs.iter().map(|i| (i.name.as_str(), i.datatype)).collect();
    assert_eq!(inputs, [("duration", "FP64"), ("age", "FP64"), ("job", "BYTES")]);
    let outputs: Vec<_> = found.outputs.iter().map(|o| (o.name.as_str(), o.datatype)).collect();
    assert_eq!(outputs[0], ("label", "INT64"));
    assert_eq!(outputs.last(), Some(&("action", "BYTES")));
    assert!(found.ready && found.versions == ["3"]);
    assert!(world.gateway.metadata("other").is_err());
}
