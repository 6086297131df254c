//! What MLflow accepts as keys, values and names, in its own words.

use viaduct_base::{Error, Timestamp};
use viaduct_store::mlflow::Pair;

use super::invalid;

/// Longest body of `runs/log-batch`.
pub const BATCH_BYTES_MAX: usize = 1_000_000;
pub(super) const BATCH_METRICS_MAX: usize = 1000;
pub(super) const BATCH_PAIRS_MAX: usize = 100;
pub(super) const BATCH_ITEMS_MAX: usize = 1000;
const KEY_MAX: usize = 250;
const PARAM_VALUE_MAX: usize = 6000;
const RUN_TAG_VALUE_MAX: usize = 8000;
const EXPERIMENT_NAME_MAX: usize = 500;
const EXPERIMENT_TAG_VALUE_MAX: usize = 20_000;
const EXPERIMENT_TAGS_BYTES_MAX: usize = 1_000_000;
const REGISTRY_TAG_VALUE_MAX: usize = 100_000;
const ALIAS_MAX: usize = 255;
/// MLflow's column takes 256; its server has no limit of its own for it.
const MODEL_NAME_MAX: usize = 256;
/// MLflow's column for descriptions.
const DESCRIPTION_MAX: usize = 5000;

fn at_most(name: &str, max: usize, text: &str) -> Result<(), Error> {
    if text.chars().count() <= max {
        return Ok(());
    }
    Err(invalid(format!("'{name}' exceeds the maximum length of {max} characters")))
}

fn cut(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}

/// A key of a metric, param or tag: words of a path that no folder could mistake.
fn key(name: &str, text: &str) -> Result<(), Error> {
    let refuse = |why: &str| {
        invalid(format!(
            "Invalid value \"{}\" for parameter '{name}' supplied: {why}",
            cut(text, 80)
        ))
    };
    if text.is_empty() {
        return Err(refuse("A key name must be provided."));
    }
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | ':' | '/');
    if !text.chars().all(allowed) {
        return Err(refuse(
            "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), \
             spaces ( ), colon(:) and slashes (/).",
        ));
    }
    if text.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(refuse(
            "Names may be treated as files in certain cases, and must not resolve to other names.",
        ));
    }
    at_most(name, KEY_MAX, text)
}

pub(super) fn metric_key(text: &str) -> Result<(), Error> {
    key("name", text)
}

/// The pair as it is kept: too long a value is cut, as MLflow does.
pub(super) fn param(pair: &Pair) -> Result<Pair, Error> {
    key("key", &pair.key)?;
    Ok(Pair { key: pair.key.clone(), value: cut(&pair.value, PARAM_VALUE_MAX) })
}

/// The pair as it is kept: too long a value is cut, as MLflow does.
pub(super) fn run_tag(pair: &Pair) -> Result<Pair, Error> {
    key("key", &pair.key)?;
    Ok(Pair { key: pair.key.clone(), value: cut(&pair.value, RUN_TAG_VALUE_MAX) })
}

pub(super) fn experiment_tag(pair: &Pair) -> Result<(), Error> {
    key("key", &pair.key)?;
    at_most("value", EXPERIMENT_TAG_VALUE_MAX, &pair.value)
}

/// All tags of an experiment together: every page and every search answers them whole.
pub(super) fn experiment_tags<'a>(tags: impl IntoIterator<Item = &'a Pair>) -> Result<(), Error> {
    let bytes: usize = tags.into_iter().map(|tag| tag.key.len() + tag.value.len()).sum();
    if bytes <= EXPERIMENT_TAGS_BYTES_MAX {
        return Ok(());
    }
    Err(invalid(format!(
        "The tags of an experiment may have {EXPERIMENT_TAGS_BYTES_MAX} bytes together; these have {bytes}."
    )))
}

pub(super) fn registry_tag(pair: &Pair) -> Result<(), Error> {
    key("key", &pair.key)?;
    at_most("value", REGISTRY_TAG_VALUE_MAX, &pair.value)
}

pub(super) fn experiment_name(text: &str) -> Result<(), Error> {
    if text.trim().is_empty() {
        return Err(invalid(format!("Invalid experiment name: '{text}'")));
    }
    at_most("name", EXPERIMENT_NAME_MAX, text)
}

pub(super) fn logged_model_name(text: &str) -> Result<(), Error> {
    if text.is_empty() || text.contains(['/', ':', '.', '%', '"', '\'']) {
        return Err(invalid(format!(
            "Invalid model name ('{}') provided. Model name must be a non-empty string and cannot \
             contain the following characters: ('/', ':', '.', '%', '\"', \"'\")",
            cut(text, 80)
        )));
    }
    at_most("name", EXPERIMENT_NAME_MAX, text)
}

pub(super) fn model_name(text: &str) -> Result<(), Error> {
    if text.trim().is_empty() {
        return Err(invalid("Missing value for required parameter 'name'."));
    }
    let is_path = matches!(text, "." | "..");
    if text.contains(['/', ':']) || is_path || text.chars().any(char::is_control) {
        return Err(invalid(format!(
            "Invalid model name '{}'. Names cannot contain '/' or ':'.",
            cut(text, 80)
        )));
    }
    at_most("name", MODEL_NAME_MAX, text)
}

pub(super) fn description(text: &str) -> Result<(), Error> {
    at_most("description", DESCRIPTION_MAX, text)
}

pub(super) fn alias(text: &str) -> Result<(), Error> {
    if text.is_empty() {
        return Err(invalid("Registered model alias name cannot be empty."));
    }
    if !text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) {
        return Err(invalid(format!(
            "Invalid alias name: '{}'. Names may only contain alphanumerics, underscores (_), and \
             dashes (-).",
            cut(text, 80)
        )));
    }
    at_most("Registered model alias name", ALIAS_MAX, text)
}

/// An alias that may be set: `latest` and `v3` are MLflow's own.
pub(super) fn new_alias(text: &str) -> Result<(), Error> {
    alias(text)?;
    if text.eq_ignore_ascii_case("latest") {
        return Err(invalid("'latest' alias name (case insensitive) is reserved."));
    }
    let digits = text.strip_prefix(['v', 'V']).unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid(format!("Version alias name '{text}' is reserved.")));
    }
    Ok(())
}

/// A version's number.
pub(super) fn version(text: &str) -> Result<i64, Error> {
    text.parse().map_err(|_| {
        invalid(format!("Parameter 'version' must be an integer, got '{}'.", cut(text, 80)))
    })
}

/// A moment on MLflow's wire: milliseconds, not before 1970.
pub(super) fn moment(name: &str, millis: i64) -> Result<Timestamp, Error> {
    let micros = millis.checked_mul(1000).filter(|micros| *micros >= 0);
    micros.map(Timestamp::from_micros).ok_or_else(|| {
        invalid(format!(
            "Invalid value {millis} for parameter '{name}' supplied: it must be a nonnegative \
             number of milliseconds"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for good in ["acc", "val/acc", "a b", "a:b", "a.b-c_d", "ä"] {
            assert!(metric_key(good).is_ok(), "{good}");
        }
        for bad in ["", "../x", "a//b", "/a", "a/", ".", "a/./b", "a\\b", "a\nb", "a%b"] {
            assert!(metric_key(bad).is_err(), "{bad}");
        }
        assert!(metric_key(&"a".repeat(251)).is_err());
    }

    #[test]
    fn names() {
        for bad in ["", " ", "a/b", "a:b", "..", "a\nb"] {
            assert!(model_name(bad).is_err(), "{bad}");
        }
        assert!(model_name("my model").is_ok());
        for bad in ["", "latest", "LATEST", "v1", "V22", "a b", "a/b"] {
            assert!(new_alias(bad).is_err(), "{bad}");
        }
        for good in ["champion", "v", "v1a", "a-b_c"] {
            assert!(new_alias(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn moments() {
        assert_eq!(moment("t", 5).unwrap().as_micros(), 5000);
        assert!(moment("t", -1).is_err() && moment("t", i64::MAX).is_err());
    }
}
