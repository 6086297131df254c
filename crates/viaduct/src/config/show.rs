//! `viaduct config show`: every value and where it came from.

use std::fmt::Write as _;

use super::Settings;
use super::keys::{KEYS, Key};
use super::settings::{Origin, Value};

/// How much to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Values and origins.
    Values,
    /// Also what each key means.
    Explained,
}

/// The whole configuration as TOML, each line with its origin; secrets are hidden.
pub(crate) fn show(settings: &Settings, detail: Detail) -> String {
    let lines: Vec<(&Key, String, Origin)> = KEYS
        .iter()
        .map(|key| {
            let setting = settings.get(key);
            (key, format!("{} = {}", key.name(), shown(key, &setting.value)), setting.origin)
        })
        .collect();
    let width = lines.iter().map(|(_, text, _)| text.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    let mut section = "";
    for (key, text, origin) in &lines {
        if key.section() != section {
            if !section.is_empty() {
                out.push('\n');
            }
            section = key.section();
            // Why ignored, here and below: writing to a String does not fail.
            let _ = writeln!(out, "[{section}]");
        }
        if detail == Detail::Explained {
            let _ = writeln!(out, "# {}", key.doc);
        }
        let _ = writeln!(out, "{text:width$}  # {origin}");
    }
    out
}

fn shown(key: &Key, value: &Value) -> String {
    let quote = |text: &str| format!("{text:?}");
    match value {
        Value::Text(text) if key.secret => quote(&hide_password(text)),
        Value::Text(text) if key.path.ends_with("_mib") => text.clone(),
        Value::Text(text) if key.path == "server.allowed_hosts" && text.is_empty() => {
            "[]".to_owned()
        }
        Value::Text(text) => quote(text),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| quote(item)).collect();
            format!("[{}]", items.join(", "))
        }
    }
}

/// `postgres://user:password@host/db` without its password, in the address and in the query.
pub(super) fn hide_password(url: &str) -> String {
    let (address, query) = url.split_once('?').map_or((url, None), |(a, q)| (a, Some(q)));
    let mut shown = match address.split_once("://") {
        // Why the last `@`: a password may hold one.
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((who, host)) => {
                let user = who.split_once(':').map_or(who, |(user, _)| user);
                let hidden = if who.contains(':') { ":…" } else { "" };
                format!("{scheme}://{user}{hidden}@{host}")
            }
            None => address.to_owned(),
        },
        None => address.to_owned(),
    };
    if let Some(query) = query {
        let parts: Vec<String> = query
            .split('&')
            .map(|part| match part.split_once('=') {
                Some((name, _)) if name.contains("pass") => format!("{name}=…"),
                _ => part.to_owned(),
            })
            .collect();
        shown.push('?');
        shown.push_str(&parts.join("&"));
    }
    shown
}
