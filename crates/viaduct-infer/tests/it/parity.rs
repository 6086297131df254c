use serde_json::Value;
use viaduct_domain::columns::{Cells, Column, Columns};
use viaduct_infer::{LoadOptions, PredictError};

use crate::python::{MODELS, RUNTIME, model_path, typed};

fn check(name: &str, fields: &[&str], features: Option<&[&str]>) {
    let features = features.map(|names| names.iter().map(|n| (*n).to_owned()).collect());
    let options = LoadOptions { features, classes: None };
    let model = RUNTIME.load(&model_path(&format!("{name}.onnx")), options).unwrap();
    let expected = &MODELS.1[name];
    let rows = typed(&expected["rows"], fields);
    let outputs = model.predict(&rows).unwrap();
    assert_eq!(outputs.len(), rows.len());
    let close = |found: f64, wanted: &Value| {
        assert!((found - wanted.as_f64().unwrap()).abs() < 1e-5, "{name}: {found} {wanted}");
    };
    for (number, output) in outputs.iter().enumerate() {
        if let Some(labels) = expected.get("label") {
            assert_eq!(output.label.as_ref(), Some(&labels[number]), "{name}");
        }
        if let Some(value) = expected.get("value") {
            close(output.value.unwrap(), &value[number]);
        }
        if let Some(scores) = expected.get("scores") {
            close(output.number("output.scores").unwrap(), &scores[number]);
        }
        let Some(classes) = expected.get("classes").and_then(Value::as_array) else { continue };
        assert_eq!(output.probabilities.len(), classes.len(), "{name}");
        for (class, wanted) in
            classes.iter().zip(expected["probabilities"][number].as_array().unwrap())
        {
            close(output.probabilities[class.as_str().unwrap()], wanted);
        }
        match classes.len() {
            2 => close(output.probability.unwrap(), &expected["probabilities"][number][1]),
            _ => assert_eq!(output.probability, None, "{name}"),
        }
    }
    // Columns give the same, in one run of the same shape.
    let columns = Columns::from_rows(&rows).unwrap();
    let found = model.predict_columns(&columns).unwrap();
    assert_eq!(found.rows, rows.len());
    let found: Vec<_> = (0..rows.len()).map(|row| found.row(row)).collect();
    assert_eq!(serde_json::to_value(&found).unwrap(), serde_json::to_value(&outputs).unwrap());
    // One row at a time gives the same.
    let alone = model.predict(&rows[3..4]).unwrap();
    assert_eq!(alone[0].label, outputs[3].label, "{name}");
    for (class, p) in &alone[0].probabilities {
        // Vectorised kernels round the last bit differently.
        assert!((p - outputs[3].probabilities[class]).abs() < 1e-6, "{name}");
    }
    assert!(model.predict(&[]).unwrap().is_empty());
}

#[test]
fn matrix_models_answer_as_python_does() {
    for name in [
        "logistic",
        "forest_zipmap",
        "forest_strings",
        "forest_int_zipmap",
        "mlp_three_classes",
        "regressor",
        "double",
        "isolation",
        "gaps",
    ] {
        check(name, &["a", "b", "c"], None);
        // The contract's order and further fields do not matter once the features are named.
        check(name, &["c", "b", "a"], Some(&["a", "b", "c"]));
    }
}

#[test]
fn one_input_a_column_is_filled_by_name_in_any_order() {
    check("columns", &["age", "contacted", "emp.var.rate", "job"], None);
    check("columns", &["job", "age", "emp.var.rate", "contacted"], None);
}

#[test]
fn the_signature_tells_names_types_and_shapes() {
    let load = |name| RUNTIME.load(&model_path(name), LoadOptions::default()).unwrap();
    let columns = load("columns.onnx");
    assert_eq!(
        columns.features(),
        ["job", "age", "emp_var_rate", "contacted"],
        "as skl2onnx wrote it"
    );
    let types: Vec<_> =
        columns.signature().inputs.iter().map(|input| input.datatype.as_str()).collect();
    assert_eq!(types, ["BYTES", "INT64", "FP32", "BOOL"]);
    let matrix = load("logistic.onnx");
    assert_eq!(matrix.signature().inputs[0].shape, [-1, 3]);
    assert_eq!(matrix.signature().outputs.len(), 2);
}

#[test]
fn many_threads_ask_one_model() {
    let model = RUNTIME.load(&model_path("forest_zipmap.onnx"), LoadOptions::default()).unwrap();
    let rows = typed(&MODELS.1["forest_zipmap"]["rows"], &["a", "b", "c"]);
    let expected = model.predict(&rows).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(model.predict(&rows).unwrap(), expected);
                }
            });
        }
    });
}

#[test]
fn columns_of_the_models_own_type_are_lent_and_others_converted() {
    let load = |name| RUNTIME.load(&model_path(name), LoadOptions::default()).unwrap();
    let model = load("columns.onnx");
    let rows = typed(&MODELS.1["columns"]["rows"], &["age", "contacted", "emp.var.rate", "job"]);
    let expected = model.predict(&rows).unwrap();
    let mut columns = Columns::from_rows(&rows).unwrap();
    let narrow: Vec<f32> =
        (0..rows.len()).map(|row| columns.columns[2].1.number(row).unwrap() as f32).collect();
    columns.columns[2].1 = Cells::F32(narrow).into();
    let found = model.predict_columns(&columns).unwrap();
    let found: Vec<_> = (0..rows.len()).map(|row| found.row(row)).collect();
    assert_eq!(found, expected);
    let mut nulls = vec![false; rows.len()];
    nulls[4] = true;
    columns.columns[3].1.nulls = Some(nulls);
    let error = model.predict_columns(&columns).unwrap_err();
    assert!(matches!(&error, PredictError::Cell { row: 4, .. }), "{error}");
    assert!(error.to_string().contains("`job` of row 4 is null"), "{error}");
    columns.columns[0].1 = Column::from(Cells::I64(vec![1]));
    assert!(model.predict_columns(&columns).unwrap_err().to_string().contains("columns"));
    assert!(model.predict_columns(&Columns::default()).is_err(), "no field fills the inputs");
}
