//! MLflow's own environment variables that keep their meaning here: how webhooks are sent.

use std::str::FromStr;
use std::time::Duration;

use viaduct_app::mlflow::Desk;
use viaduct_auth::SealingKey;
use viaduct_cli::Failure;
use viaduct_outbound::{Outbound, Rules};

const SCHEMES: &str = "MLFLOW_WEBHOOK_ALLOWED_SCHEMES";
const PRIVATE: &str = "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS";
const KEY: &str = "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY";
const TIMEOUT: &str = "MLFLOW_WEBHOOK_REQUEST_TIMEOUT";
const RETRIES: &str = "MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES";

/// How webhooks are sent, by the environment.
pub(crate) fn webhook_desk() -> Result<Desk, Failure> {
    desk(&|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()))
}

fn desk(said: &dyn Fn(&str) -> Option<String>) -> Result<Desk, Failure> {
    let mut rules = Rules::default();
    if let Some(text) = said(SCHEMES) {
        rules.schemes = text.split(',').map(|scheme| scheme.trim().to_owned()).collect();
    }
    if let Some(text) = said(PRIVATE) {
        rules.allow_private = flag(&text)?;
        if rules.allow_private {
            tracing::warn!("`{PRIVATE}` is set: webhooks may reach this machine and its network");
        }
    }
    if let Some(text) = said(TIMEOUT) {
        rules.timeout = Duration::from_secs(number(TIMEOUT, &text)?);
    }
    let retries: i64 = said(RETRIES).map_or(Ok(3), |text| number(RETRIES, &text))?;
    let key = said(KEY).map(|text| SealingKey::from_text(&text)).transpose();
    let key = key.map_err(|e| Failure::Usage(format!("`{KEY}`: {e}")))?;
    Ok(Desk { outbound: Outbound::new(rules), key, attempts_max: retries.max(0) + 1 })
}

fn flag(text: &str) -> Result<bool, Failure> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(Failure::Usage(format!(
            "`{PRIVATE}` is `{other}`: use `true`, `false`, `1` or `0`"
        ))),
    }
}

fn number<T: FromStr>(name: &str, text: &str) -> Result<T, Failure> {
    let wrong = |_| Failure::Usage(format!("`{name}` is `{text}`, which is not a whole number"));
    text.trim().parse().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_until_told_otherwise() {
        let nothing = desk(&|_| None).unwrap();
        assert_eq!(nothing.attempts_max, 4);
        assert!(nothing.outbound.check("http://8.8.8.8/").is_err());
        assert!(nothing.outbound.check("https://127.0.0.1/").is_err());
        let relaxed = desk(&|name| {
            let value = match name {
                SCHEMES => "http, https",
                PRIVATE => "true",
                RETRIES => "0",
                _ => return None,
            };
            Some(value.to_owned())
        });
        let relaxed = relaxed.unwrap();
        assert!(relaxed.outbound.check("http://127.0.0.1:1/").is_ok());
        assert_eq!(relaxed.attempts_max, 1);
        for (name, value) in [(PRIVATE, "perhaps"), (TIMEOUT, "soon"), (KEY, "short")] {
            let failed = desk(&|asked| (asked == name).then(|| value.to_owned()));
            assert!(failed.is_err(), "{name}");
        }
    }
}
