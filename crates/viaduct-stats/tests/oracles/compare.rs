//! Compares an answer with a reference: numbers within tolerance, everything else equal.

use serde_json::Value;

/// How near a number must be: one of both suffices.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tolerance {
    pub(crate) rel: f64,
    pub(crate) abs: f64,
}

impl Tolerance {
    pub(crate) fn of(case: &Value) -> Self {
        let part = |name: &str| case["tol"][name].as_f64().unwrap_or(0.0);
        Self { rel: part("rel"), abs: part("abs") }
    }

    fn holds(&self, expected: f64, got: f64) -> bool {
        let gap = (expected - got).abs();
        gap <= self.abs || gap <= self.rel * expected.abs()
    }
}

/// Lists what differs; `tolerance` may depend on the path of keys, `None` means that it is context.
pub(crate) fn differences(
    expected: &Value,
    got: &Value,
    path: &str,
    tolerance: &dyn Fn(&str) -> Option<Tolerance>,
    found: &mut Vec<String>,
) {
    let Some(allowed) = tolerance(path) else { return };
    match (expected, got) {
        (Value::Object(expected), Value::Object(map)) => {
            for (key, value) in expected {
                let path = format!("{path}.{key}");
                if tolerance(&path).is_none() {
                    continue;
                }
                match map.get(key) {
                    Some(got) => differences(value, got, &path, tolerance, found),
                    None => found.push(format!("{path} is missing")),
                }
            }
        }
        (Value::Array(expected), Value::Array(list)) => {
            if expected.len() != list.len() {
                found.push(format!("{path}: length {} but {}", expected.len(), list.len()));
            }
            for (index, (expected, got)) in expected.iter().zip(list).enumerate() {
                differences(expected, got, &format!("{path}[{index}]"), tolerance, found);
            }
        }
        (Value::Number(expected), Value::Number(number)) => {
            let (expected, got) =
                (expected.as_f64().unwrap_or(f64::NAN), number.as_f64().unwrap_or(f64::NAN));
            if !allowed.holds(expected, got) {
                found.push(format!("{path}: {expected:e} but {got:e}"));
            }
        }
        (expected, got) if expected == got => {}
        (Value::String(expected), Value::String(text)) => {
            let same = match (expected.parse::<f64>(), text.parse::<f64>()) {
                // Decimals: equal as decimals, so both must parse and agree to all digits given.
                (Ok(expected), Ok(got)) => (expected - got).abs() < 1e-12,
                _ => false,
            };
            if !same {
                found.push(format!("{path}: {expected:?} but {text:?}"));
            }
        }
        (expected, got) => found.push(format!("{path}: {expected} but {got}")),
    }
}
