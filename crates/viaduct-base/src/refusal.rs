//! A refusal: the caller asked for something we decline. A closed table of kinds.

use std::fmt;

use serde::Serialize;

/// One bad place in an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where: a JSON pointer, or a path in a file.
    pub pointer: String,
    /// What is wrong and how to mend it.
    pub detail: String,
    /// 1-based line in the submitted text, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// 1-based column in the submitted text, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
}

/// A declined request: its kind, a sentence that names the thing and the mend, and bad fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The row of the closed table.
    pub kind: Kind,
    /// Names the thing in backticks and says how to fix it.
    pub detail: String,
    /// Places in the input, if the input is at fault.
    pub errors: Vec<FieldError>,
    /// Seconds after which it is worth while to come again, where that is known.
    pub retry_after_s: Option<u32>,
}

impl Refusal {
    /// A refusal of `kind` with its sentence.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), retry_after_s: None }
    }

    /// Says when to come again.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Adds the bad places.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Refusal {}

macro_rules! kinds {
    ($($variant:ident $slug:literal $status:literal $title:literal;)+) => {
        /// Every way a request can be declined. Each has a page `docs/problems/<slug>.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = $title] $variant,)+
        }

        impl Kind {
            /// All rows, in order.
            pub const ALL: &'static [Kind] = &[$(Kind::$variant,)+];

            /// The last segment of the problem's URL.
            pub fn slug(self) -> &'static str {
                match self { $(Kind::$variant => $slug,)+ }
            }

            /// One line for people.
            pub fn title(self) -> &'static str {
                match self { $(Kind::$variant => $title,)+ }
            }

            /// The HTTP status.
            pub fn status(self) -> u16 {
                match self { $(Kind::$variant => $status,)+ }
            }
        }
    };
}

kinds! {
    InvalidInput "invalid-input" 400 "The input is not valid";
    InvalidManifest "invalid-manifest" 400 "The project file is not valid";
    ContractViolation "contract-violation" 400 "The request does not meet the endpoint's contract";
    IncumbentMissing "incumbent-missing" 400 "The endpoint is shadow-only and the incumbent's answer is missing";
    LoginRequired "login-required" 401 "Who you are must be known";
    Forbidden "forbidden" 403 "You may not do this";
    NameNeeded "name-needed" 403 "This needs a named person";
    OriginNotAllowed "origin-not-allowed" 403 "The request's Host or Origin is not allowed";
    NotFound "not-found" 404 "There is no such thing";
    MethodNotAllowed "method-not-allowed" 405 "This address does not answer that method";
    TooSlow "too-slow" 408 "The request came too slowly";
    Conflict "conflict" 409 "Somebody else changed it first";
    AlreadyExists "already-exists" 409 "It exists already";
    StageForbids "stage-forbids" 409 "The project's stage or state does not allow this";
    GateShut "gate-shut" 409 "The gate stays shut";
    BaselineFrozen "baseline-frozen" 409 "The baseline is frozen";
    ModelNotServable "model-not-servable" 409 "The model cannot be served";
    ClockNotSimulated "clock-not-simulated" 409 "The server runs on the machine's clock";
    NoAnswer "no-answer" 422 "The model has no answer to this";
    TooLarge "too-large" 413 "The request is too large";
    TooManyRequests "too-many-requests" 429 "Too many requests";
    QueueFull "queue-full" 429 "The endpoint's queue is full";
    QuotaUsed "quota-used" 429 "The consumer's quota is used up";
    NotReady "not-ready" 503 "Not ready yet";
    EndpointKilled "endpoint-killed" 503 "The endpoint's model was stopped";
    DatabaseAway "database-away" 503 "The database does not answer";
    LogFull "log-full" 503 "The decision log cannot be written";
    RuntimeMissing "runtime-missing" 503 "The model runtime is missing";
    DeadlinePassed "deadline-passed" 504 "The deadline passed";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_unique() {
        let mut slugs: Vec<_> = Kind::ALL.iter().map(|k| k.slug()).collect();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), Kind::ALL.len());
    }
}
