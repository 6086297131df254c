//! Every SQL text of the store, registered so that one test can prepare them all on both engines.

use std::sync::OnceLock;

/// Whose rows a statement may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// One workspace: the text binds `workspace_id`.
    Scoped,
    /// The whole platform: sign-in, queue, outbox, chains, schedules.
    Platform,
}

/// One SQL text for both engines, with `$1` placeholders.
#[derive(Debug)]
pub struct Statement {
    name: &'static str,
    reach: Reach,
    sql: &'static str,
    sqlite: OnceLock<String>,
}

impl Statement {
    /// Use [`statement!`](crate::statement), which also registers it.
    pub const fn new(name: &'static str, reach: Reach, sql: &'static str) -> Self {
        Self { name, reach, sql, sqlite: OnceLock::new() }
    }

    /// Module and constant, for messages.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whose rows it may touch.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// The text as written.
    pub fn sql(&self) -> &'static str {
        self.sql
    }

    /// The text with `?1` placeholders: SQLite numbers `$1` by appearance, `?1` by its number.
    pub(crate) fn sqlite_sql(&self) -> &str {
        self.sqlite.get_or_init(|| numbered(self.sql))
    }
}

/// Writes `$1` as `?1`; a dollar before anything but a digit stays.
pub(crate) fn numbered(sql: &str) -> String {
    let mut parts = sql.split('$');
    let mut out = String::with_capacity(sql.len());
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        out.push(if part.starts_with(|c: char| c.is_ascii_digit()) { '?' } else { '$' });
        out.push_str(part);
    }
    out
}

/// A place in the registry.
#[derive(Debug)]
pub struct Registered(pub &'static Statement);

inventory::collect!(Registered);

/// Every registered statement.
pub fn statements() -> impl Iterator<Item = &'static Statement> {
    inventory::iter::<Registered>.into_iter().map(|r| r.0)
}

/// Declares a statement and registers it: `statement!(INSERT, scoped, "INSERT INTO …")`.
#[macro_export]
macro_rules! statement {
    ($vis:vis $name:ident, scoped, $sql:expr) => {
        $crate::statement!(@declare $vis $name, $crate::Reach::Scoped, $sql);
    };
    ($vis:vis $name:ident, platform, $sql:expr) => {
        $crate::statement!(@declare $vis $name, $crate::Reach::Platform, $sql);
    };
    (@declare $vis:vis $name:ident, $reach:expr, $sql:expr) => {
        $vis static $name: $crate::Statement = $crate::Statement::new(
            concat!(module_path!(), "::", stringify!($name)),
            $reach,
            $sql,
        );
        $crate::inventory::submit! { $crate::Registered(&$name) }
    };
}
