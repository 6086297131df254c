//! Reference cases with one value broken: an answer in reasonable time, never a panic.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::read;

/// Paths to values of a case, as keys and indices; long arrays give their first two elements.
fn paths(value: &Value, at: Vec<String>, found: &mut Vec<Vec<String>>) {
    found.push(at.clone());
    let mut below = |key: String, value: &Value| {
        let mut path = at.clone();
        path.push(key);
        paths(value, path, found);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| below(key.clone(), value)),
        Value::Array(list) => {
            list.iter().take(2).enumerate().for_each(|(i, value)| below(i.to_string(), value));
        }
        _ => {}
    }
}

fn slot<'a>(value: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, key| match value {
        Value::Object(map) => map.get_mut(key),
        Value::Array(list) => list.get_mut(key.parse::<usize>().ok()?),
        _ => None,
    })
}

#[test]
fn broken_cases_are_answered() {
    let replacements = [
        json!(0),
        json!(-1),
        json!(1e308),
        json!(-1e308),
        json!(1e-308),
        json!(null),
        json!("x"),
        json!([]),
        json!({}),
        json!(true),
        json!(u64::MAX),
        json!([0, 0]),
        json!([1e308, -1e308]),
    ];
    let mut slowest = (Duration::ZERO, String::new());
    let mut runs = 0;
    for line in viaduct_stats::calc::list().lines() {
        let family = line.split('\t').next().expect("a name");
        let Some(file) = read_family(family) else { continue };
        for inputs in file {
            let mut found = Vec::new();
            paths(&inputs, Vec::new(), &mut found);
            for path in found.iter().filter(|path| !path.is_empty()) {
                for replacement in &replacements {
                    let mut broken = inputs.clone();
                    if let Some(slot) = slot(&mut broken, path) {
                        *slot = replacement.clone();
                    }
                    let text = broken.to_string();
                    let start = Instant::now();
                    let answer = viaduct_stats::calc::run(family, &text);
                    let took = start.elapsed();
                    runs += 1;
                    if took > slowest.0 {
                        slowest = (took, format!("{family} {path:?} = {replacement}"));
                    }
                    let parsed: Value = serde_json::from_str(&answer).expect("an answer in JSON");
                    assert!(parsed.is_object(), "{family} {path:?} = {replacement}: {answer}");
                    let zero = json!({"effect": 0.0, "p": 1.0});
                    assert_ne!(parsed, zero);
                }
            }
        }
    }
    println!("{runs} broken cases, slowest {:?} {}", slowest.0, slowest.1);
    assert!(slowest.0 < Duration::from_secs(5), "{slowest:?}");
}

/// The inputs of a family's first two cases.
fn read_family(family: &str) -> Option<Vec<Value>> {
    const OF_DATA: [&str; 8] = [
        "drift_scipy",
        "drift_evidently",
        "drift_nannyml",
        "profile",
        "cbpe",
        "cbpe_multiclass",
        "dle",
        "detectors",
    ];
    if OF_DATA.contains(&family) {
        return data(family);
    }
    let file = read(&format!("value/{family}.json"))?;
    let cases = file["cases"].as_array()?;
    // One case of each set of fields, since the fields choose the method.
    let mut seen: Vec<Vec<String>> = Vec::new();
    let mut inputs = Vec::new();
    for case in cases {
        let keys: Vec<String> = case["inputs"].as_object()?.keys().cloned().collect();
        if !seen.contains(&keys) {
            seen.push(keys);
            inputs.push(case["inputs"].clone());
        }
    }
    Some(inputs)
}

fn data(family: &str) -> Option<Vec<Value>> {
    let pairs = read("drift_inputs.json")?;
    let short = |value: &Value| -> Value {
        value.as_array().map_or(Value::Null, |list| list.iter().take(40).cloned().collect())
    };
    let pair = |kind: &str, name: &str| {
        let pair = &pairs[kind][name];
        json!({"kind": kind, "ref": short(&pair["ref"]), "cur": short(&pair["cur"]),
               "values": short(&pair["ref"])})
    };
    match family {
        "cbpe" => {
            let p: Vec<f64> = (0..60).map(|i| f64::from(i * 37 % 60) / 60.0).collect();
            let y: Vec<u8> = (0..60).map(|i| u8::from(i * 37 % 60 > 25 || i % 7 == 0)).collect();
            Some(vec![json!({"reference": {"p": p, "y": y}, "analysis": {"p": p, "y": y},
                "y_pred_rule": "1 if p >= 0.5", "chunk_size": 20})])
        }
        "cbpe_multiclass" => {
            let pa: Vec<f64> = (0..60).map(|i| f64::from(i * 37 % 60) / 60.0).collect();
            let pb: Vec<f64> = pa.iter().map(|p| 1.0 - p).collect();
            let y: Vec<&str> = (0..60).map(|i| if i % 3 == 0 { "a" } else { "b" }).collect();
            let columns = json!({"pa": pa, "pb": pb, "yhat": y, "y": y});
            Some(vec![json!({"probabilities": {"a": "pa", "b": "pb"}, "reference": columns,
                "analysis": columns, "chunk_size": 20})])
        }
        "dle" => {
            let x: Vec<f64> = (0..60).map(|i| f64::from(i * 37 % 60)).collect();
            let columns = json!({"x": x, "y_pred": x, "y_true": x.iter().map(|x| x * x + 1.0)
                .collect::<Vec<f64>>()});
            Some(vec![json!({"features": ["x"], "reference": columns, "analysis": columns,
                "chunk_size": 20})])
        }
        "detectors" => {
            let names = ["ADWIN", "PageHinkley", "DDM", "EDDM", "HDDM_A", "HDDM_W"];
            let stream: Vec<u8> = (0..300).map(|i| u8::from(i % 9 == 0 || i > 200)).collect();
            let parameters = json!({"delta": 0.002, "clock": 32, "max_buckets": 5,
                "min_window_length": 5, "grace_period": 10, "min_instances": 30, "threshold": 50,
                "alpha": 0.95, "beta": 0.9, "warm_start": 30, "warning_threshold": 2,
                "drift_threshold": 3, "drift_confidence": 0.001, "warning_confidence": 0.005,
                "two_sided_test": true, "lambda_val": 0.05});
            let case =
                |name: &&str| json!({"detector": name, "params": parameters, "stream": stream});
            Some(names.iter().map(case).collect())
        }
        _ => Some(vec![pair("numeric", "shift_half_sd"), pair("categorical", "shift")]),
    }
}
