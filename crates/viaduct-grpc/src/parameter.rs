//! The protocol's parameters: scalars, to and from JSON's.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::proto::inference::InferParameter;
use crate::proto::inference::infer_parameter::ParameterChoice;

pub(crate) fn read(parameters: HashMap<String, InferParameter>) -> Map<String, Value> {
    let parameters = parameters.into_iter();
    parameters
        .map(|(name, parameter)| {
            let value = match parameter.parameter_choice {
                None => Value::Null,
                Some(ParameterChoice::BoolParam(flag)) => flag.into(),
                Some(ParameterChoice::Int64Param(number)) => number.into(),
                Some(ParameterChoice::Uint64Param(number)) => number.into(),
                Some(ParameterChoice::DoubleParam(number)) => number.into(),
                Some(ParameterChoice::StringParam(text)) => text.into(),
            };
            (name, value)
        })
        .collect()
}

pub(crate) fn text(value: String) -> InferParameter {
    InferParameter { parameter_choice: Some(ParameterChoice::StringParam(value)) }
}

pub(crate) fn flag(value: bool) -> InferParameter {
    InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(value)) }
}
