//! The families of `value/`.

use serde_json::Value;

use crate::{
    calc,
    compare::{Tolerance, differences},
    read,
};

const FAMILIES: &[&str] = &[
    "adoption",
    "bayes",
    "cuped",
    "decision_rule",
    "did",
    "finance",
    "group_sequential_bounds",
    "interrupted_time_series",
    "intervals",
    "ledger",
    "meta_departments",
    "multiple_comparisons",
    "noninferiority",
    "paired",
    "power",
    "proportion",
    "ratio_delta",
    "sequential_acs",
    "srm",
    "staggered_adoption",
    "structural_time_series",
    "synthetic_control",
    "welch",
];

/// Whether a key is context: another convention, or words about the case.
fn is_context(family: &str, path: &str) -> bool {
    let key = path.rsplit('.').next().unwrap_or(path);
    let key = key.split('[').next().unwrap_or(key);
    if key.starts_with("wrong_") || key.starts_with("gbstats_") {
        return true;
    }
    let named = [
        "relative",
        "relative_gbstats",
        "lin_interacted_ols",
        "se_cluster",
        "se_hc1",
        "source",
        "convention",
        "true_att",
    ];
    if named.contains(&key) {
        return true;
    }
    match family {
        "did" => [".t", ".p", ".ci95"].contains(&path),
        "structural_time_series" => path.starts_with(".mle."),
        _ => false,
    }
}

fn check(family: &str, case: &Value) -> Vec<String> {
    let expected = &case["expected"];
    let got = calc(family, &case["inputs"]);
    if let Some(error) = expected.get("error") {
        return if got.get("error") == Some(error) && got["reason"].is_string() {
            Vec::new()
        } else {
            vec![format!("{error} but {got}")]
        };
    }
    let own = Tolerance::of(case);
    let tolerance = |path: &str| {
        if is_context(family, path) {
            return None;
        }
        if family == "staggered_adoption" && path == ".se_cluster_did2s" {
            return Some(Tolerance { rel: 0.15, abs: 0.0 });
        }
        if family == "synthetic_control" && path.starts_with(".weights") {
            return Some(Tolerance { rel: 0.0, abs: 0.005 });
        }
        Some(own)
    };
    let mut found = Vec::new();
    differences(expected, &got, "", &tolerance, &mut found);
    if family == "structural_time_series" {
        let (floor, reached) =
            (expected["mle"]["loglike"].as_f64(), got["mle"]["loglike"].as_f64());
        if reached.unwrap_or(f64::NEG_INFINITY) < floor.expect("a reference") - 0.01 {
            found.push(format!("mle.loglike: {floor:?} but {reached:?}"));
        }
    }
    found
}

#[test]
fn every_case_of_value_is_met() {
    let mut failures = Vec::new();
    let mut cases = 0;
    for family in FAMILIES {
        let Some(file) = read(&format!("value/{family}.json")) else { return };
        for case in file["cases"].as_array().expect("cases") {
            cases += 1;
            for line in check(family, case) {
                failures.push(format!("{family}/{}{line}", case["id"].as_str().unwrap_or("")));
            }
        }
    }
    println!("{cases} cases");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
