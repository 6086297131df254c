use super::*;
use proptest::prelude::*;
use serde_json::json;

use crate::manifest::tests::term_deposit;
use crate::output::Cell;

fn contract(properties: Value) -> Contract {
    Contract::from_value(document(properties)).unwrap()
}

fn document(properties: Value) -> Value {
    json!({
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": "t", "version": "1.0.0",
        "status": "active", "schema": [{"name": "rows", "logicalType": "object",
        "properties": properties}]
    })
}

fn row(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn lead() -> Map<String, Value> {
    row(json!({
        "age": 56, "job": "housemaid", "marital": "married", "education": "basic.4y",
        "default": "no", "housing": "no", "loan": "no", "contact": "telephone", "month": "may",
        "day_of_week": "mon", "campaign": 1, "pdays": 999, "previous": 0,
        "poutcome": "nonexistent", "emp.var.rate": 1.1, "cons.price.idx": 93.994,
        "cons.conf.idx": -36.4, "euribor3m": 4.857, "nr.employed": 5191
    }))
}

fn problems(contract: &Contract, given: Value) -> Vec<String> {
    let errors = contract.check_row(&row(given)).unwrap_err();
    errors.iter().map(|e| format!("{} {}", e.pointer, e.detail)).collect()
}

#[test]
fn a_lead_is_typed_in_field_order() {
    let contract = term_deposit().contract.unwrap();
    let typed = contract.check_row(&lead()).unwrap();
    let names: Vec<_> = typed.iter().map(|(name, _)| name).collect();
    assert_eq!(names, contract.field_names().collect::<Vec<_>>());
    assert_eq!(typed.get("age"), Some(&Cell::I64(56)));
    assert_eq!(typed.get("nr.employed"), Some(&Cell::F64(5191.0)));
    assert_eq!(typed.get("job"), Some(&Cell::Text("housemaid".into())));
    assert_eq!(typed.get("duration"), Some(&Cell::Null), "known only after the call");
    assert!(typed.ignored.is_empty() && typed.outside.is_empty());
}

#[test]
fn bad_rows_name_every_field_and_quote_no_value() {
    let contract = term_deposit().contract.unwrap();
    let mut bad = lead();
    bad.remove("job");
    bad.insert("age".into(), json!("fifty-six"));
    bad.insert("marital".into(), Value::Null);
    bad.insert("campaign".into(), json!(1.5));
    bad.insert("emp.var.rate".into(), json!(1e39));
    bad.insert("month".into(), json!(["may"]));
    let errors = contract.check_row(&bad).unwrap_err();
    let said: Vec<_> = errors.iter().map(|e| format!("{} {}", e.pointer, e.detail)).collect();
    assert_eq!(
        said,
        [
            "/age `age` is text: the contract wants an integer",
            "/job `job` is missing: the contract requires it",
            "/marital `marital` is null: the contract says it never is",
            "/month `month` is a list: the contract wants text",
            "/campaign `campaign` is not a whole number of 64 bits: the contract wants an integer",
            "/emp.var.rate `emp.var.rate` is beyond float32's range (3.4e38): send a smaller number, or declare `physicalType: double`",
        ]
    );
    let refusal = Contract::refuse_row(errors);
    assert_eq!(refusal.kind, Kind::ContractViolation);
    assert_eq!(refusal.detail, "`age` is text: the contract wants an integer (and 5 more)");
}

#[test]
fn nulls_extras_and_values_outside() {
    let contract = term_deposit().contract.unwrap();
    let mut given = lead();
    given.insert("euribor3m".into(), Value::Null);
    given.insert("customer_id".into(), json!("c-1"));
    given.insert("job".into(), json!("astronaut"));
    given.insert("age".into(), json!(130));
    given.insert("campaign".into(), json!(2.0));
    let typed = contract.check_row(&given).unwrap();
    assert!(typed.get("euribor3m").unwrap().as_f64().unwrap().is_nan());
    assert_eq!(typed.get("campaign"), Some(&Cell::I64(2)));
    assert_eq!(typed.ignored, ["customer_id"]);
    let outside: Vec<_> = typed.outside.iter().map(|e| e.detail.as_str()).collect();
    assert_eq!(
        outside,
        ["`age` is above the contract's maximum", "`job` is none of the contract's 12 values"]
    );
}

#[test]
fn widths() {
    let contract = contract(json!([
        {"name": "f", "logicalType": "number", "physicalType": "float32"},
        {"name": "d", "logicalType": "number", "physicalType": "DOUBLE"},
        {"name": "i", "logicalType": "integer"},
        {"name": "s", "logicalType": "integer", "physicalType": "int32"},
        {"name": "n", "physicalType": "decimal(18,2)"}
    ]));
    // The largest float32 passes, the next step that rounds to infinity does not; rounding is fine.
    for (given, fits) in [
        (json!({"f": 3.4028234663852886e38}), true),
        (json!({"f": 3.5e38}), false),
        (json!({"f": -3.5e38}), false),
        (json!({"f": 0.1}), true),
        (json!({"f": 1e-60}), true),
        (json!({"f": 16_777_217}), true),
        (json!({"d": 3.5e38}), true),
        (json!({"n": 3.5e38}), true),
        (json!({"i": i64::MAX}), true),
        (json!({"i": u64::MAX}), false),
        (json!({"i": 1e300}), false),
        (json!({"s": 2_147_483_647}), true),
        (json!({"s": 2_147_483_648_i64}), false),
        (json!({"i": true}), false),
    ] {
        assert_eq!(contract.check_row(&row(given.clone())).is_ok(), fits, "{given}");
    }
}

#[test]
fn other_types() {
    let contract = contract(json!([
        {"name": "flag", "logicalType": "boolean", "required": true},
        {"name": "day", "logicalType": "date"},
        {"name": "at", "logicalType": "timestamp"},
        {"name": "odd", "logicalType": "date", "logicalTypeOptions": {"format": "dd.MM.yyyy"}},
        {"name": "tags", "logicalType": "array"},
        {"name": "a/b~c", "logicalType": "string", "required": true,
         "customProperties": [{"property": "viaduct.nullable", "value": true}]}
    ]));
    let good = json!({"flag": false, "day": "2026-01-31", "at": "2026-01-31T09:00:00Z",
        "odd": "31.01.2026", "tags": ["x"], "a/b~c": null});
    let typed = contract.check_row(&row(good)).unwrap();
    assert_eq!(typed.get("tags"), Some(&Cell::Text(r#"["x"]"#.into())));
    assert_eq!(
        problems(&contract, json!({"flag": "false", "day": "31.01.2026", "at": "soon"})),
        [
            "/flag `flag` is text: the contract wants true or false",
            "/day `day` is not a day: use `2026-01-31`",
            "/at `at` is not a time: use RFC 3339 such as `2026-01-31T09:00:00Z`",
            "/a~1b~0c `a/b~c` is missing: the contract requires it",
        ]
    );
}

#[test]
fn coverage() {
    let contract = term_deposit().contract.unwrap();
    let inputs: Vec<String> = ["age", "duration", "salary"].map(str::to_owned).into();
    let covered = contract.signature_coverage(&inputs);
    assert_eq!((covered.covered, covered.total), (2, 3));
    assert_eq!(covered.missing, ["salary"]);
    assert_eq!(contract.known_after_decision(&inputs), ["duration"]);
    assert_eq!(contract.availability_coverage(&inputs).missing, ["salary"]);
    assert_eq!(contract.classified().share(), Some(1.0));
    assert!(contract.purpose_approved("marketing") && !contract.purpose_approved("credit"));
    assert_eq!(contract.signature_coverage(&[]).share(), None);
}

#[test]
fn both_versions_of_the_standard_and_lossless() {
    let mut old = document(json!([{"name": "c", "logicalType": "string", "quality":
        [{"type": "library", "rule": "validValues", "validValues": ["a", "b"]}]}]));
    old["apiVersion"] = json!("v3.0.2");
    old["slaProperties"] = json!([{"property": "latency", "value": 4, "unit": "d"}]);
    old["schema"][0]["properties"][0]["myOwn"] = json!({"kept": [1, 2.5, null]});
    let contract = Contract::from_value(old.clone()).unwrap();
    assert_eq!(contract.field("c").unwrap().values, [json!("a"), json!("b")]);
    assert_eq!(serde_json::to_value(&contract).unwrap(), old);
    let back: Contract = serde_json::from_value(old).unwrap();
    assert_eq!(back.hash(), contract.hash());
    assert_eq!(back.field("c"), contract.field("c"));
}

#[test]
fn of_several_objects_one_is_the_request() {
    let mut two = document(json!([{"name": "a", "logicalType": "string"}]));
    let outcomes =
        json!({"name": "outcomes", "properties": [{"name": "y", "logicalType": "integer"}]});
    two["schema"].as_array_mut().unwrap().push(outcomes);
    let errors = Contract::from_value(two.clone()).unwrap_err();
    assert!(errors[0].detail.contains("has 2 objects"), "{errors:?}");
    two["customProperties"] = json!([{"property": "viaduct.input", "value": "outcomes"}]);
    let contract = Contract::from_value(two.clone()).unwrap();
    assert_eq!((contract.object(), contract.field_names().next()), ("outcomes", Some("y")));
    two["customProperties"][0]["value"] = json!("nobody");
    assert!(Contract::from_value(two).unwrap_err()[0].detail.contains("not in `schema`"));
}

#[test]
fn documents_that_are_no_contract() {
    for (document, expected) in [
        (
            json!([]),
            vec![
                " a contract is an ODCS document: a mapping that begins with `apiVersion: v3.1.0`",
            ],
        ),
        (
            json!({}),
            vec![
                " `apiVersion` is missing: an ODCS document needs it",
                " `kind` is missing: an ODCS document needs it",
                " `id` is missing: an ODCS document needs it",
                " `version` is missing: an ODCS document needs it",
                " `status` is missing: an ODCS document needs it",
                " `schema` is missing: name one object with its `properties`",
            ],
        ),
        (document(json!({})), vec!["/schema/0/properties `properties` must be a list"]),
        (
            document(json!([])),
            vec!["/schema/0 `properties` is missing: list the fields of a request"],
        ),
        (
            document(json!([{"name": "a"}, {"logicalType": "string"}, "c"])),
            vec![
                "/schema/0/properties/0 `logicalType` of `a` is missing: use `string`, `number`, `integer`, `boolean`, `date`, `timestamp` or `time`",
                "/schema/0/properties/1 `name` is missing: an ODCS document needs it",
                "/schema/0/properties/2 a field is a mapping with `name` and `logicalType`",
            ],
        ),
    ] {
        let errors = Contract::from_value(document).unwrap_err();
        let said: Vec<_> = errors.iter().map(|e| format!("{} {}", e.pointer, e.detail)).collect();
        assert_eq!(said, expected);
    }
}

proptest! {
    /// Any number a client can send is either typed finite or refused; never an infinity.
    #[test]
    fn numbers_never_become_infinite(bits in any::<u64>()) {
        let contract = contract(json!([{"name": "f", "logicalType": "number", "required": true}]));
        let number = f64::from_bits(bits);
        let given = Map::from_iter([("f".to_owned(), json!(number))]);
        match contract.check_row(&given) {
            Ok(typed) => {
                let cell = typed.get("f").and_then(Cell::as_f64).unwrap();
                prop_assert!((cell as f32).is_finite());
            }
            Err(_) => prop_assert!(!number.is_finite() || !(number as f32).is_finite()),
        }
    }
}

fn policy(name: &str, policy: Option<&str>, default: Option<Value>) -> Value {
    let mut own = Vec::new();
    own.extend(policy.map(|word| json!({"property": "viaduct.on_violation", "value": word})));
    own.extend(default.map(|value| json!({"property": "viaduct.default", "value": value})));
    json!({
        "name": name, "logicalType": "number", "physicalType": "float", "required": true,
        "logicalTypeOptions": {"minimum": 0, "maximum": 10}, "customProperties": own,
    })
}

#[test]
fn each_field_says_what_a_violation_does() {
    let contract = contract(json!([
        policy("plain", None, None),
        policy("strict", Some("refuse"), None),
        policy("mended", Some("default"), Some(json!(5))),
        policy("loose", Some("count"), None),
    ]));
    let good = json!({"plain": 1, "strict": 1, "mended": 1, "loose": 1});
    let with = |field: &str, value: Value| {
        let mut given = row(good.clone());
        given.insert(field.into(), value);
        given
    };
    let outside = |field: &str, value: Value| {
        let typed = contract.check_row(&with(field, value)).unwrap();
        let places = typed.outside.iter().map(|e| e.pointer.clone()).collect::<Vec<_>>();
        (typed.get(field).cloned().unwrap(), places.len(), typed.defaulted.len())
    };
    assert_eq!(outside("plain", json!(11)), (Cell::F64(11.0), 1, 0));
    assert!(contract.check_row(&with("plain", json!("x"))).is_err());
    for bad in [json!(11), json!("x"), json!(null)] {
        assert!(contract.check_row(&with("strict", bad.clone())).is_err());
        assert_eq!(outside("mended", bad), (Cell::F64(5.0), 0, 1));
    }
    assert_eq!(outside("loose", json!(11)), (Cell::F64(11.0), 1, 0));
    assert_eq!(outside("loose", json!("x")), (Cell::Null, 1, 0));
    let mut short = row(good.clone());
    short.remove("mended");
    short.remove("loose");
    let typed = contract.check_row(&short).unwrap();
    assert_eq!(
        (typed.get("mended"), typed.get("loose")),
        (Some(&Cell::F64(5.0)), Some(&Cell::Null))
    );
}

#[test]
fn a_policy_that_cannot_work_is_refused_with_the_contract() {
    let refused = |property: Value| {
        let errors = Contract::from_value(document(json!([property]))).unwrap_err();
        errors[0].detail.clone()
    };
    let said = refused(policy("a", Some("default"), None));
    assert!(said.contains("viaduct.default, value"), "{said}");
    let said = refused(policy("a", Some("ignore"), None));
    assert!(said.contains("`refuse`, `default` or `count`"), "{said}");
    let said = refused(policy("a", Some("default"), Some(json!("five"))));
    assert!(said.contains("`a` is text"), "{said}");
}

#[test]
fn a_renamed_column_is_named() {
    let contract = contract(json!([policy("emp_var_rate", None, None), policy("age", None, None)]));
    let said = problems(&contract, json!({"emp.var.rate": 1, "age": 2, "zip": 3}));
    assert!(
        said[0].contains("has `emp.var.rate`") && said[0].contains("was `emp_var_rate` renamed?")
    );
    let said = problems(&contract, json!({"emp_var_rate": 1, "customer_age": 2}));
    assert!(said[0].contains("has `customer_age`"), "{said:?}");
    let said = problems(&contract, json!({"emp_var_rate": 1, "years": 2, "zip": 3}));
    assert!(said[0].ends_with("came instead: `years`, `zip`"), "{said:?}");
    let said = problems(&contract, json!({"emp_var_rate": 1}));
    assert!(said[0].ends_with("the contract requires it"), "{said:?}");
    let columns = Columns {
        rows: 2,
        columns: vec![
            ("emp_var_rate".into(), crate::columns::Cells::F32(vec![1.0, 2.0]).into()),
            ("agee".into(), crate::columns::Cells::F32(vec![1.0, 2.0]).into()),
        ],
    };
    let errors = contract.check_columns(columns).unwrap_err();
    assert!(errors[1].0 == 1 && errors[1].1.detail.contains("has `agee`"), "{errors:?}");
}

fn cell() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-3i64..14).prop_map(|n| json!(n)),
        Just(json!(2.5)),
        Just(json!(1e39)),
        Just(Value::Null),
    ]
}

proptest! {
    /// Columns are checked as their rows would be, whatever stands in them.
    #[test]
    fn columns_and_rows_agree(cells in proptest::collection::vec((cell(), cell(), cell()), 1..6)) {
        let mut whole = policy("whole", Some("count"), None);
        whole["logicalType"] = json!("integer");
        let mut free = policy("free", None, None);
        free["required"] = json!(false);
        let contract = contract(json!([policy("a", Some("default"), Some(json!(5))), whole, free]));
        let rows: Vec<_> = cells
            .iter()
            .map(|(a, b, c)| row(json!({"a": a, "whole": b, "free": c})))
            .collect();
        let untyped: Vec<_> = rows.iter().map(|row| TypedRow {
            cells: row.iter().map(|(name, value)| (name.as_str().into(), match value {
                Value::Null => Cell::Null,
                value => Cell::F64(value.as_f64().unwrap()),
            })).collect(),
            ..Default::default()
        }).collect();
        let columns = Columns::from_rows(&untyped).unwrap();
        let typed: Vec<_> = rows.iter().map(|row| contract.check_row(row)).collect();
        match contract.check_columns(columns) {
            Ok(checked) => for (number, row) in typed.into_iter().enumerate() {
                let row = row.unwrap();
                prop_assert_eq!(&checked.columns.typed_row(number).cells, &row.cells);
                let count = |all: &[(usize, Arc<str>)]| all.iter().filter(|(n, _)| *n == number).count();
                prop_assert_eq!(count(&checked.outside), row.outside.len());
                prop_assert_eq!(count(&checked.defaulted), row.defaulted.len());
            },
            Err(errors) => {
                let bad: usize = typed.iter().filter_map(|row| row.as_ref().err()).map(Vec::len).sum();
                prop_assert_eq!(errors.len(), bad);
            }
        }
    }
}
