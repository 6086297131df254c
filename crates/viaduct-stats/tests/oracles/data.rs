//! The families of data: drift, profiles, performance without labels, detectors.

use serde_json::{Value, json};

use crate::{
    calc,
    compare::{Tolerance, differences},
    read,
};

const EXACT: Tolerance = Tolerance { rel: 1e-9, abs: 0.0 };

/// Compares a case; the tolerance of a number depends on its size as `calc.md` says.
fn compare(name: &str, expected: &Value, got: &Value, binds: &dyn Fn(&str) -> bool) -> Vec<String> {
    let tolerance = |path: &str| {
        if !path.is_empty() && !binds(path) {
            return None;
        }
        let at = path.trim_start_matches('.').split('.').try_fold(expected, |value, key| {
            if key.is_empty() { Some(value) } else { value.get(key) }
        });
        let is_p = path.ends_with("pvalue") || path.ends_with("score");
        let is_loose = path.contains("ks_exact") || path.contains("default");
        match at.and_then(Value::as_f64) {
            Some(0.0) => Some(Tolerance { rel: 0.0, abs: 1e-8 }),
            Some(p) if is_p && p < 1e-12 => Some(Tolerance { rel: 1e-6, abs: 0.0 }),
            Some(_) if is_loose => Some(Tolerance { rel: 1e-6, abs: 0.0 }),
            _ => Some(EXACT),
        }
    };
    let mut found = Vec::new();
    differences(expected, got, "", &tolerance, &mut found);
    found.into_iter().map(|line| format!("{name}{line}")).collect()
}

fn each_pair(file: &str, check: &mut dyn FnMut(&str, &str, &Value, &Value)) -> bool {
    let (Some(inputs), Some(expected)) = (read("drift_inputs.json"), read(file)) else {
        return false;
    };
    for kind in ["numeric", "categorical"] {
        for (name, case) in expected[kind].as_object().expect("cases") {
            check(kind, name, &inputs[kind][name], case);
        }
    }
    true
}

fn check_pairs(file: &str, family: &str, binds: &dyn Fn(&str) -> bool) {
    let mut failures = Vec::new();
    let mut cases = 0;
    let is_there = each_pair(file, &mut |kind, name, pair, expected| {
        let (pair, expected) = match expected.get("expected") {
            Some(inner) => (lcg_big(), inner.clone()),
            None => (pair.clone(), expected.clone()),
        };
        let input = json!({"kind": kind, "ref": pair["ref"], "cur": pair["cur"]});
        let mut expected = expected;
        if let Value::Object(map) = &mut expected {
            map.retain(|_, value| value.get("error").is_none());
        }
        cases += 1;
        failures.extend(compare(name, &expected, &calc(family, &input), binds));
    });
    if is_there {
        println!("{family}: {cases} cases");
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}

/// The generator that the oracle's README names.
fn lcg(seed: u64, n: usize, shift: f64) -> Vec<f64> {
    let mut x = seed.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(3_037_000_493);
    (0..n)
        .map(|_| {
            let sum: f64 = (0..12)
                .map(|_| {
                    x = x
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    (x >> 11) as f64 / (1_u64 << 53) as f64
                })
                .sum();
            shift + sum - 6.0
        })
        .collect()
}

fn lcg_big() -> Value {
    json!({"ref": lcg(77, 12_000, 0.0), "cur": lcg(78, 5_000, 0.2)})
}

#[test]
fn drift_as_scipy() {
    let context = ["cramer_von_mises", "mann_whitney", "welch_t", "location", "sign"];
    check_pairs("drift_expected_scipy.json", "drift_scipy", &|path| {
        !context.iter().any(|key| path.contains(key))
    });
}

#[test]
fn drift_as_evidently() {
    let bound = [
        "psi",
        "jensenshannon",
        "kl_div",
        "hellinger",
        "wasserstein",
        "ks",
        "ed",
        "chisquare",
        "g_test",
        "default",
    ];
    check_pairs("drift_expected_evidently.json", "drift_evidently", &|path| {
        bound.contains(&path.trim_start_matches('.').split('.').next().unwrap_or(""))
    });
}

#[test]
fn drift_as_nannyml() {
    check_pairs("drift_expected_nannyml.json", "drift_nannyml", &|path| {
        path.matches('.').count() < 2 || path.ends_with(".value")
    });
}

#[test]
fn profiles() {
    let mut failures = Vec::new();
    let mut cases = 0;
    each_pair("profile.json", &mut |kind, name, pair, expected| {
        let input = json!({"kind": kind, "values": pair["ref"]});
        cases += 1;
        failures.extend(compare(name, expected, &calc("profile", &input), &|_| true));
    });
    println!("profile: {cases} cases");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn detectors_as_river() {
    let names = [
        "adwin_real_abrupt_mean",
        "ddm_bernoulli_err_jump",
        "eddm_bernoulli_err_drop",
        "hddm_a_bernoulli_err_gradual",
        "hddm_w_bernoulli_err_drop",
        "pagehinkley_real_two_drifts",
    ];
    for name in names {
        let Some(case) = read(&format!("samples/detectors_{name}.json")) else { return };
        let got = calc("detectors", &case["inputs"]);
        for key in ["drift_at", "warning_at"] {
            let list = got[key].as_array().expect("indices");
            let expected = &case["expected"][key];
            match expected.as_array() {
                Some(expected) => assert_eq!(list, expected, "{name} {key}"),
                None => {
                    assert_eq!(json!(list.len()), expected["count"], "{name} {key}");
                    let ends = |side: &str| expected[side].as_array().expect("indices").clone();
                    assert!(list.starts_with(&ends("first")), "{name} {key}");
                    assert!(list.ends_with(&ends("last")), "{name} {key}");
                }
            }
        }
    }
}

fn check_chunks(expected: &Value, got: &Value, value_rel: f64, binds: &dyn Fn(&str) -> bool) {
    let tolerance = |path: &str| {
        if !binds(path) {
            return None;
        }
        let rel = if path.ends_with(".value") { value_rel } else { 1e-6 };
        Some(Tolerance { rel, abs: 1e-9 })
    };
    let mut found = Vec::new();
    differences(expected, got, "", &tolerance, &mut found);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn performance_of_a_binary_classifier() {
    let Some(file) = read("cbpe.json") else { return };
    for case in file["cases"].as_object().expect("cases").values() {
        let mut input = case.clone();
        if let Value::Object(map) = &mut input {
            map.retain(|key, _| {
                !["expected_chunks", "needs_calibration", "isotonic_on_analysis_first20"]
                    .contains(&key.as_str())
            });
        }
        let expected = json!({
            "chunks": case["expected_chunks"], "needs_calibration": case["needs_calibration"],
            "isotonic_on_analysis_first20": case["isotonic_on_analysis_first20"],
        });
        // The random error of the average precision changes from run to run.
        check_chunks(&expected, &calc("cbpe", &input), 1e-6, &|path| {
            let is_random = path.contains("average_precision")
                && (path.contains("sampling_error") || path.contains("confidence"));
            !is_random
        });
    }
}

#[test]
fn performance_of_several_classes() {
    let Some(case) = read("samples/cbpe_multiclass_first_chunk.json") else { return };
    let mut got = calc("cbpe_multiclass", &case["inputs"]);
    got["chunks"].as_array_mut().expect("chunks").truncate(1);
    check_chunks(&case["expected"], &got, 1e-6, &|_| true);
}

#[test]
fn performance_of_a_regression() {
    let Some(case) = read("samples/dle_first_chunk.json") else { return };
    let mut got = calc("dle", &case["inputs"]);
    got["chunks"].as_array_mut().expect("chunks").truncate(1);
    check_chunks(&case["expected"], &got, 0.1, &|path| {
        ["sampling_error", "confidence"].iter().all(|key| !path.contains(key))
    });
    println!("{}", got["chunks"][0]);
}
