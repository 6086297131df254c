//! How an endpoint serves: what is answered when the model cannot, limits, and what is kept.

use serde::{Deserialize, Serialize};

use crate::contract::Contract;
use crate::output::ModelOutput;

use super::EndpointSpec;

/// What is answered when the model cannot: it is not loaded, fails, or is killed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// The caller gets the error.
    #[default]
    Error,
    /// The incumbent's answer if the caller sent it, else the endpoint's business as usual.
    BusinessAsUsual,
    /// What the version before says.
    Previous,
    /// Always the same.
    Constant {
        /// The output.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<ModelOutput>,
        /// The action.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        action: Option<String>,
    },
}

impl Fallback {
    /// The word for people.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Fallback::Error => "error",
            Fallback::BusinessAsUsual => "business_as_usual",
            Fallback::Previous => "previous",
            Fallback::Constant { .. } => "constant",
        }
    }

    pub(super) const fn is_error(&self) -> bool {
        matches!(self, Fallback::Error)
    }
}

/// How much may be asked of an endpoint at once; what is not said is as the gateway has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Requests that may be under way or waiting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<u32>,
    /// The longest a caller waits, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u32>,
    /// Rows in one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_max: Option<u32>,
}

impl Limits {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What of the inputs the decision log keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retention {
    /// The contract's fields; personal ones as keyed hashes.
    #[default]
    Full,
    /// Every field as a keyed hash.
    Hashed,
    /// Nothing.
    None,
}

impl Retention {
    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Retention::Full => "full",
            Retention::Hashed => "hashed",
            Retention::None => "none",
        }
    }

    pub(super) fn is_full(&self) -> bool {
        *self == Retention::Full
    }
}

/// `kind: Endpoint`: an endpoint that no project owns.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointFile {
    /// The endpoint.
    pub spec: EndpointSpec,
    /// What a request must look like; without it, it is inferred from the model's signature.
    pub contract: Option<Contract>,
}
