//! MLflow's REST API as protocol buffers write it in JSON: snake_case names, int64 as numbers, NaN
//! and infinities as strings, unset fields left out, unknown fields ignored.

mod fields;
mod registry;
mod tracking;

use serde::{Serialize, Serializer};

pub use fields::{Fields, Malformed, query_fields};
pub use registry::{Alias, ModelVersion, ModelVersionPage, RegisteredModel, RegisteredModelPage};
pub use tracking::{
    Artifact, ArtifactPage, Dataset, DatasetInput, DatasetSummaries, DatasetSummary, Experiment,
    ExperimentPage, LoggedModel, LoggedModelBody, LoggedModelInfo, LoggedModelPage, Metric,
    MetricPage, ModelInput, ModelMetric, ModelOutput, Run, RunBody, RunInfo, RunInputs, RunOutputs,
    RunPage, Series,
};

/// A tag or a param.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyValue {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// An answer with one member: `{"run": {…}}`.
#[derive(Debug, Clone, PartialEq)]
pub struct One<T>(pub &'static str, pub T);

impl<T: Serialize> Serialize for One<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(self.0, &self.1)])
    }
}

/// An error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorBody {
    /// MLflow's code, such as `RESOURCE_DOES_NOT_EXIST`.
    pub error_code: &'static str,
    /// What was wrong.
    pub message: String,
}

/// A double in JSON: what JSON has no number for is a word.
pub(crate) fn double<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_nan() {
        serializer.serialize_str("NaN")
    } else if value.is_infinite() {
        serializer.serialize_str(if *value > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        serializer.serialize_f64(*value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_without_a_number() {
        let metric = |value| Metric { key: "a".into(), value, timestamp: 1, step: 0 };
        let shown = |value| serde_json::to_value(metric(value)).unwrap()["value"].clone();
        assert_eq!(shown(f64::NAN), "NaN");
        assert_eq!(shown(f64::INFINITY), "Infinity");
        assert_eq!(shown(f64::NEG_INFINITY), "-Infinity");
        assert_eq!(shown(0.5), json!(0.5));
    }

    #[test]
    fn unset_is_left_out() {
        let page = RunPage { runs: Vec::new(), next_page_token: None };
        assert_eq!(serde_json::to_string(&page).unwrap(), "{}");
    }
}
