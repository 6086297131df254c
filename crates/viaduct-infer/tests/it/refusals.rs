use viaduct_base::{Kind, Refusal};
use viaduct_infer::{LoadError, LoadOptions, PredictError, Runtime, RuntimeConfig};

use crate::python::{MODELS, RUNTIME, model_path, typed};

#[test]
fn what_is_not_onnx_names_the_conversion() {
    let error = RUNTIME.load(&model_path("model.pkl"), LoadOptions::default()).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("pip install skl2onnx") && said.contains("mlflow.onnx.log_model"));
    assert_eq!(Refusal::from(error).kind, Kind::ModelNotServable);
    let garbage = RUNTIME.load_bytes("model.onnx", b"not a model", LoadOptions::default());
    assert!(matches!(garbage, Err(LoadError::Rejected { .. })));
    let absent = RUNTIME.load(&model_path("absent.onnx"), LoadOptions::default());
    assert!(matches!(absent, Err(LoadError::Unreadable { .. })));
}

#[test]
fn a_truncated_model_is_an_error() {
    let bytes = std::fs::read(model_path("forest_zipmap.onnx")).unwrap();
    for keep in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        let result = RUNTIME.load_bytes("model.onnx", &bytes[..keep], LoadOptions::default());
        assert!(matches!(result, Err(LoadError::Rejected { .. })), "{keep}");
    }
}

#[test]
fn rows_that_do_not_fill_the_model_name_the_field() {
    let load = |name| RUNTIME.load(&model_path(name), LoadOptions::default()).unwrap();
    let rows = &MODELS.1["logistic"]["rows"];
    let short = typed(rows, &["a", "b"]);
    let error = load("logistic.onnx").predict(&short).unwrap_err();
    let PredictError::FeatureCount { wanted: 3, given: 2, .. } = &error else { panic!("{error}") };
    assert!(error.to_string().contains("infer_signature"), "{error}");

    let columns = load("columns.onnx");
    let rows = &MODELS.1["columns"]["rows"];
    let error = columns.check_fields(&typed(rows, &["job", "emp.var.rate", "contacted"])[0]);
    assert!(error.unwrap_err().to_string().contains("needs `age`"));
    let mut bad = typed(rows, &["job", "age", "emp.var.rate", "contacted"]);
    bad[4].cells[0].1 = viaduct_domain::output::Cell::Null;
    let error = columns.predict(&bad).unwrap_err().to_string();
    assert!(error.contains("`job` of row 4 is null") && error.contains("text"), "{error}");
}

#[test]
fn a_process_keeps_the_library_that_it_has() {
    let library = RUNTIME.library().to_path_buf();
    let config = RuntimeConfig { library: Some("/nowhere/x.so".into()), ..RuntimeConfig::new("/") };
    assert_eq!(Runtime::find(&config).unwrap().library(), library);
    assert!(RUNTIME.build().contains("ORT"), "{}", RUNTIME.build());
}
