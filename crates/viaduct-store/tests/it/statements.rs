//! Laws over all registered statements.

use viaduct_store::{Dialect, Reach, Row, Statement};

use crate::world::{World, store_contract};

store_contract!(every_statement_prepares, schemas_are_equal);

/// The store's own; tests register some too.
fn statements() -> impl Iterator<Item = &'static Statement> {
    viaduct_store::statements().filter(|s| s.name().starts_with("viaduct_store::"))
}

fn every_statement_prepares(world: World) {
    let mut count = 0;
    for statement in statements() {
        let prepared = world.read(move |tx| tx.prepare(statement));
        assert_eq!(prepared, Ok(()), "{}", statement.name());
        count += 1;
    }
    assert!(count > 100, "only {count} statements are registered");
}

#[test]
fn scoped_statements_bind_the_workspace() {
    for statement in statements().filter(|s| s.reach() == Reach::Scoped) {
        assert!(statement.sql().contains("workspace_id"), "{}", statement.name());
    }
}

#[test]
fn append_only_tables_are_only_appended_to() {
    let appended = ["fact", "evaluation", "signature", "audit", "outcome", "estimate", "contract"];
    for statement in statements() {
        let words: Vec<&str> = statement.sql().split_whitespace().collect();
        for pair in words.windows(3) {
            let target = match pair {
                ["UPDATE", table, _] => table,
                ["DELETE", "FROM", table] => table,
                _ => continue,
            };
            assert!(!appended.contains(target), "{}", statement.name());
        }
        let appends = appended.iter().any(|t| statement.sql().contains(&format!("INTO {t} (")));
        assert!(!(appends && statement.sql().contains("DO UPDATE")), "{}", statement.name());
        assert!(!statement.sql().to_uppercase().contains("REPLACE INTO"), "{}", statement.name());
    }
}

#[test]
fn one_statement_writes_the_stage() {
    let writes = |sql: &str| {
        let update = sql.starts_with("UPDATE project ") && sql.contains(" stage = ");
        let columns = sql.split(')').next().unwrap_or_default();
        let insert = sql.starts_with("INSERT INTO project (")
            && columns.split([',', '(', ' ']).any(|word| word == "stage");
        update || insert
    };
    let writers: Vec<_> = statements().filter(|s| writes(s.sql())).map(|s| s.name()).collect();
    assert_eq!(writers, ["viaduct_store::project::CHANGE_STAGE"]);
}

#[test]
fn upper_case_words_and_no_dialect() {
    for statement in statements() {
        let sql = statement.sql();
        for foreign in ["::", "now()", "AUTOINCREMENT", "SKIP LOCKED", "ILIKE", "glob", "IFNULL"] {
            assert!(!sql.contains(foreign), "{}: {foreign}", statement.name());
        }
        let first = sql.split_whitespace().next().unwrap_or_default();
        assert!(
            ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].contains(&first),
            "{}",
            statement.name()
        );
    }
}

/// Columns and indexes as each engine remembers them, brought to one form.
fn schema(world: &World) -> (Vec<String>, Vec<String>) {
    match world.store.dialect() {
        Dialect::Sqlite => (
            lines(
                world,
                "SELECT m.name AS a, c.name AS b, c.type AS c, \
                 CASE WHEN c.\"notnull\" = 1 OR c.pk > 0 THEN 'no' ELSE 'yes' END AS d \
                 FROM sqlite_master m JOIN pragma_table_info(m.name) c \
                 WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'",
            ),
            lines(
                world,
                "SELECT m.name AS a, i.name AS b, CAST(i.\"unique\" AS TEXT) AS c, \
                 CAST(i.partial AS TEXT) AS d FROM sqlite_master m \
                 JOIN pragma_index_list(m.name) i WHERE m.type = 'table' AND i.origin = 'c'",
            ),
        ),
        Dialect::Postgres => (
            lines(
                world,
                "SELECT CAST(table_name AS TEXT) AS a, CAST(column_name AS TEXT) AS b, \
                 upper(CAST(data_type AS TEXT)) AS c, lower(CAST(is_nullable AS TEXT)) AS d \
                 FROM information_schema.columns WHERE table_schema = 'public'",
            ),
            lines(
                world,
                "SELECT CAST(t.relname AS TEXT) AS a, CAST(i.relname AS TEXT) AS b, \
                 CASE WHEN x.indisunique THEN '1' ELSE '0' END AS c, \
                 CASE WHEN x.indpred IS NULL THEN '0' ELSE '1' END AS d FROM pg_index x \
                 JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid \
                 JOIN pg_namespace n ON n.oid = t.relnamespace \
                 WHERE n.nspname = 'public' AND NOT x.indisprimary",
            ),
        ),
    }
}

fn lines(world: &World, sql: &'static str) -> Vec<String> {
    let rows = world.read(move |tx| tx.query_compiled(sql, &[])).unwrap();
    let line = |row: &Row| ["a", "b", "c", "d"].map(|column| row.text(column).unwrap()).join(" ");
    let mut lines: Vec<_> = rows.iter().map(line).collect();
    lines.sort();
    lines
}

fn schemas_are_equal(world: World) {
    let (columns, indexes) = schema(&world);
    let (sqlite_columns, sqlite_indexes) = schema(&World::sqlite());
    assert!(columns.len() > 200 && indexes.len() > 30);
    assert_eq!(columns, sqlite_columns);
    assert_eq!(indexes, sqlite_indexes);
    for line in columns {
        let known = [" TEXT ", " BIGINT ", " DOUBLE PRECISION ", " BYTEA "];
        assert!(known.iter().any(|kind| line.contains(kind)), "{line}");
    }
}

#[test]
fn inserts_name_their_placeholders_in_order() {
    for statement in statements().filter(|s| s.sql().starts_with("INSERT INTO ")) {
        let columns = between(statement.sql(), "(", ")").split(',').count();
        let values = between(statement.sql(), "VALUES (", ")");
        let places: Vec<&str> = values.split(',').map(str::trim).collect();
        for (i, place) in places.iter().enumerate() {
            let wanted = format!("${}", i + 1);
            assert!(*place == wanted || !place.starts_with('$'), "{}: {place}", statement.name());
        }
        assert!(places.len() >= columns || values.contains("(SELECT"), "{}", statement.name());
    }
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> &'a str {
    let start = text.find(open).map_or(0, |i| i + open.len());
    let rest = &text[start..];
    &rest[..rest.find(close).unwrap_or(rest.len())]
}

#[test]
fn the_readme_lists_every_function() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let listed = readme.split("## The functions").nth(1).unwrap();
    for module in std::fs::read_to_string(root.join("src/lib.rs")).unwrap().lines() {
        let Some(module) = module.strip_prefix("pub mod ").and_then(|m| m.strip_suffix(';')) else {
            continue;
        };
        // A noun with a folder keeps its own list.
        let Ok(source) = std::fs::read_to_string(root.join(format!("src/{module}.rs"))) else {
            continue;
        };
        let section = listed.split(&format!("\n{module}\n")).nth(1).unwrap_or_default();
        for line in source.lines().filter_map(|l| l.strip_prefix("pub fn ")) {
            let name = line.split(['(', '<']).next().unwrap_or_default();
            assert!(section.contains(&format!("  {name}(")), "{module}::{name}");
        }
    }
}
