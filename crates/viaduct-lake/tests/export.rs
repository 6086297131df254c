//! What was exported is what the log says, read back by the parquet crate.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::collections::BTreeMap;
use std::fs::File;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use viaduct_base::{ClockKind, DecisionId, EndpointId, Span, Timestamp, WorkspaceId};
use viaduct_decisions::{DecisionLog, DecisionRow, Durability, Record, RefusedRow};
use viaduct_lake::{Kind, Plan, export};

fn row(number: i64, inputs: Value, output: Option<Value>) -> DecisionRow {
    let at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let at = at + Span::seconds(number);
    DecisionRow {
        id: DecisionId::new(at),
        at,
        clock: ClockKind::System,
        replayed: number % 2 == 1,
        workspace: WorkspaceId::from_u128(1),
        endpoint: EndpointId::from_u128(1),
        endpoint_name: "churn".into(),
        project: None,
        stage: "pilot".into(),
        department: None,
        consumer: None,
        entity_hash: if number == 0 { String::new() } else { format!("e{number}") },
        keys: BTreeMap::from([("order".to_owned(), number.to_string())]),
        trial: None,
        variant: "champion".into(),
        bucket: Some(17),
        flags: vec![],
        model: "churn".into(),
        model_version: 3,
        contract_hash: None,
        rule_hash: None,
        inputs: inputs.as_object().unwrap().clone(),
        output: output.clone(),
        answered: output.unwrap_or(Value::Null),
        incumbent: None,
        model_action: None,
        action: "call".into(),
        latency_us: 40,
    }
}

fn read(path: &std::path::Path) -> (RecordBatch, usize) {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let groups = builder.metadata().num_row_groups();
    let batches: Vec<_> = builder.build().unwrap().map(Result::unwrap).collect();
    (arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap(), groups)
}

#[test]
fn typed_columns_where_types_agree_and_json_where_they_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = DecisionLog::open(&dir.path().join("log"), Durability::Os).unwrap();
    let said =
        |p: f64| Some(json!({"label": "yes", "probability": p, "probabilities": {"yes": p}}));
    let rows = [
        row(0, json!({"age": 41, "rate": 1, "mixed": 1, "list": [1, 2], "none": null}), said(0.25)),
        row(1, json!({"age": 42, "rate": 0.5, "mixed": "x", "ok": true}), said(0.5)),
        row(2, json!({"age": null, "rate": null, "mixed": null}), None),
    ];
    let records: Vec<_> = rows.iter().cloned().map(Record::from).collect();
    log.append(&records).unwrap();
    log.append(&[Record::Refused(RefusedRow {
        at: rows[0].at,
        endpoint: rows[0].endpoint,
        consumer: None,
        replayed: false,
        errors: vec![],
    })])
    .unwrap();
    let always = (Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));
    let scan = || log.scan(None, always.0, always.1);
    let plan = Plan::of(scan()).unwrap();
    let kinds: BTreeMap<_, _> = plan.columns().collect();
    assert_eq!((kinds["input.age"], kinds["input.rate"]), (Kind::Int, Kind::Float));
    assert_eq!((kinds["input.mixed"], kinds["input.list"]), (Kind::Json, Kind::Json));

    // What the plan has not seen is not lost.
    log.append(&[row(3, json!({"age": "old", "new": 7}), Some(json!(0.5))).into()]).unwrap();
    let path = dir.path().join("out.parquet");
    let report = export(&plan, scan(), File::create(&path).unwrap()).unwrap();
    assert_eq!((report.decisions, report.skipped), (4, 1));
    assert_eq!(report.bytes, std::fs::metadata(&path).unwrap().len());

    let (found, _) = read(&path);
    let column = |name: &str| found.column_by_name(name).unwrap().clone();
    let ages = column("input.age");
    let ages = ages.as_primitive::<Int64Type>();
    assert_eq!(ages.iter().collect::<Vec<_>>(), [Some(41), Some(42), None, None]);
    let rates = column("input.rate");
    let rates = rates.as_primitive::<Float64Type>();
    assert_eq!(rates.iter().collect::<Vec<_>>(), [Some(1.0), Some(0.5), None, None]);
    let texts = |name: &str| {
        let cells = column(name);
        cells.as_string::<i32>().iter().map(|t| t.map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(texts("input.mixed")[..2], [Some("1".into()), Some("\"x\"".into())]);
    assert_eq!(texts("input.list")[0].as_deref(), Some("[1,2]"));
    assert!(texts("input.none").iter().all(Option::is_none));
    let p = column("output.probabilities.yes");
    assert_eq!(p.as_primitive::<Float64Type>().value(1), 0.5);
    assert_eq!(texts("output.label")[2], None);
    let other: Value = serde_json::from_str(texts("other")[3].as_ref().unwrap()).unwrap();
    assert_eq!(other, json!({"input.age": "old", "input.new": 7, "output": 0.5}));
    assert_eq!(texts("id")[1], Some(rows[1].id.to_string()));
    assert_eq!(texts("entity_hash")[..2], [None, Some("e1".into())]);
    assert_eq!(texts("keys")[1].as_deref(), Some("{\"order\":\"1\"}"));
    assert_eq!(
        serde_json::from_str::<Value>(texts("answered")[0].as_ref().unwrap()).unwrap(),
        rows[0].answered
    );
    let at = column("at");
    assert!(matches!(at.data_type(), DataType::Timestamp(_, Some(zone)) if &**zone == "UTC"));
    assert_eq!(at.as_primitive::<TimestampMicrosecondType>().value(1), rows[1].at.as_micros());
    assert!(column("replayed").as_boolean().value(1));
    assert_eq!(column("bucket").as_primitive::<Int64Type>().value(0), 17);
}

#[test]
fn many_rows_come_in_row_groups_and_none_is_an_empty_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("many.parquet");
    let rows = || (0..120_000).map(|n| Ok(row(n, json!({"n": n}), None).into()));
    let plan = Plan::of(rows()).unwrap();
    let report = export(&plan, rows(), File::create(&path).unwrap()).unwrap();
    assert_eq!(report.decisions, 120_000);
    let (found, groups) = read(&path);
    assert_eq!((found.num_rows(), groups), (120_000, 2));
    let numbers = found.column_by_name("input.n").unwrap().clone();
    let numbers = numbers.as_primitive::<Int64Type>();
    assert!(numbers.values().iter().enumerate().all(|(at, n)| at as i64 == *n));
    let report =
        export(&Plan::default(), std::iter::empty(), File::create(&path).unwrap()).unwrap();
    assert_eq!(report.decisions, 0);
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
    assert!(builder.schema().field_with_name("id").is_ok());
    assert_eq!(builder.build().unwrap().count(), 0);
}
