//! Users, tokens and consumers.

use std::io::Read as _;

use serde_json::{Value, json};
use viaduct_base::Secret;

use crate::args::{ConsumerVerb, TokenVerb, UserVerb};
use crate::client::segment;
use crate::{Failure, Session, table};

pub(crate) fn user(session: &mut Session<'_>, verb: &UserVerb) -> Result<(), Failure> {
    match verb {
        UserVerb::Add { name, role, password_stdin } => {
            if !password_stdin {
                return Err(Failure::Usage(format!(
                    "a password is read from standard input only, so that it lands in no process list: add `--password-stdin`, as in `viaduct user add {name} --password-stdin < FILE`"
                )));
            }
            let password = read_password()?;
            let body = json!({"name": name, "role": role, "password": password.expose()});
            let answer = session.client.post("/api/v1/users", body)?;
            session.printer.answer(&answer, |_, _| format!("user `{name}` is added"))
        }
        UserVerb::Disable { name } => {
            let path = format!("/api/v1/users/{}/disable", segment(name));
            let answer = session.client.post(&path, json!({}))?;
            session.printer.answer(&answer, |_, _| format!("user `{name}` is disabled"))
        }
        UserVerb::List => {
            let answer = session.client.get("/api/v1/users")?;
            let columns = ["name", "role", "created_at", "signed_in_at", "disabled_at"];
            session.printer.answer(&answer, |answer, paint| {
                table::list(answer, &columns, "no users: everything is open on loopback", paint)
            })
        }
    }
}

pub(crate) fn token(session: &mut Session<'_>, verb: &TokenVerb) -> Result<(), Failure> {
    match verb {
        TokenVerb::Create { name, user, .. } => {
            if let Some(user) = user {
                let password = read_password()?;
                session.client.use_password(user, &password);
            }
            let answer = session.client.post("/api/v1/tokens", json!({"name": name}))?;
            show_once(session, &answer, "token")
        }
        TokenVerb::Revoke { token } => {
            session.client.delete(&format!("/api/v1/tokens/{}", segment(token)))?;
            session.printer.say(&format!("token `{token}` is revoked"));
            Ok(())
        }
    }
}

pub(crate) fn consumer(session: &mut Session<'_>, verb: &ConsumerVerb) -> Result<(), Failure> {
    match verb {
        ConsumerVerb::Add { endpoint, name, rate_per_second, burst, quota_per_day } => {
            let path = format!("/api/v1/endpoints/{}/consumers", segment(endpoint));
            let mut body = json!({ "name": name });
            let limits = [
                ("rate_per_second", rate_per_second.map(Value::from)),
                ("burst", burst.map(Value::from)),
                ("quota_per_day", quota_per_day.map(Value::from)),
            ];
            for (key, value) in limits {
                if let Some(value) = value {
                    body[key] = value;
                }
            }
            let answer = session.client.post(&path, body)?;
            show_once(session, &answer, "key")
        }
        ConsumerVerb::List { endpoint } => {
            let path = format!("/api/v1/endpoints/{}/consumers", segment(endpoint));
            let answer = session.client.get(&path)?;
            let columns = ["name", "rate_per_second", "burst", "quota_per_day", "created_at", "id"];
            session.printer.answer(&answer, |answer, paint| {
                table::list(answer, &columns, "no consumer yet", paint)
            })
        }
        ConsumerVerb::Revoke { endpoint, name } => {
            let path =
                format!("/api/v1/endpoints/{}/consumers/{}", segment(endpoint), segment(name));
            session.client.delete(&path)?;
            session.printer.say(&format!("the key of `{name}` no longer works"));
            Ok(())
        }
    }
}

pub(crate) fn whoami(session: &mut Session<'_>) -> Result<(), Failure> {
    let answer = session.client.get("/api/v1/who")?;
    session.printer.answer(&answer, table::describe)
}

/// Prints the secret alone on standard output, so that a script can take it.
fn show_once(session: &mut Session<'_>, answer: &Value, field: &str) -> Result<(), Failure> {
    let secret = [field, "secret", "token", "key"]
        .iter()
        .find_map(|name| answer.get(*name).and_then(Value::as_str))
        .ok_or_else(|| Failure::Broken(format!("the server sent no {field}")))?
        .to_owned();
    if let Some(id) = answer.get("id").and_then(Value::as_str) {
        let server = session.client.server().to_owned();
        session.printer.say(&format!("made `{id}` on {server}; this {field} is shown only now:"));
    }
    session.printer.answer(answer, |_, _| secret)
}

/// The first line of standard input.
fn read_password() -> Result<Secret<String>, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .take(64 * 1024)
        .read_to_string(&mut text)
        .map_err(|e| Failure::Usage(format!("the password cannot be read: {e}")))?;
    let line = text.lines().next().unwrap_or("").to_owned();
    if line.is_empty() {
        return Err(Failure::Usage(
            "standard input holds no password: write it there, as in `< FILE`".to_owned(),
        ));
    }
    Ok(Secret::new(line))
}
