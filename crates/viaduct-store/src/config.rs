//! Which database, and where.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::OpenError;

/// Where the database lives.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL connection string (`postgres://…`).
    Postgres(String),
}

impl DatabaseUrl {
    /// The default: one SQLite file in the data directory.
    pub fn sqlite_in(data_dir: &Path) -> Self {
        Self::Sqlite(data_dir.join("viaduct.db"))
    }
}

impl FromStr for DatabaseUrl {
    type Err = OpenError;
    fn from_str(text: &str) -> Result<Self, OpenError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        let path = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:"));
        match path {
            Some(path) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            _ => Err(OpenError::InvalidUrl { text: without_password(text) }),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => f.write_str(&without_password(url)),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The address with `user:…@` instead of the password, and no `password=` parameter.
fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let slash = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(slash);
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{name}:…@{host}"),
            None => authority.to_owned(),
        },
        None => authority.to_owned(),
    };
    let path: Vec<String> = path
        .split_inclusive(['?', '&'])
        .map(|part| match part.strip_prefix("password=") {
            Some(value) if value.ends_with('&') => "password=…&".to_owned(),
            Some(_) => "password=…".to_owned(),
            None => part.to_owned(),
        })
        .collect();
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    format!("{scheme}{authority}{}", path.concat())
}

/// What the store needs to know.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// Where the database lives.
    pub url: DatabaseUrl,
}

impl DatabaseConfig {
    /// The default database of a data directory.
    pub fn sqlite_in(data_dir: &Path) -> Self {
        Self { url: DatabaseUrl::sqlite_in(data_dir) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let url: DatabaseUrl =
            "postgres://me:secret@db.example:5432/v?password=x&a=b".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://me:…@db.example:5432/v?password=…&a=b");
        assert_eq!(format!("{url:?}"), url.to_string());
        let url: DatabaseUrl = "sqlite:/tmp/x.db".parse().unwrap();
        assert_eq!(url, DatabaseUrl::Sqlite("/tmp/x.db".into()));
        let error = "mysql://root:pw@h/x".parse::<DatabaseUrl>().unwrap_err().to_string();
        assert!(error.contains("postgres://") && !error.contains("pw@"), "{error}");
    }
}
