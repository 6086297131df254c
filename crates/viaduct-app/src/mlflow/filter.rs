//! MLflow's filter and order strings: comparisons joined by AND, read into typed ones.

use std::cmp::Ordering;

use viaduct_base::Error;
use viaduct_store::mlflow::Pair;
use viaduct_store::mlflow::search::{Comparator, Comparison, Field, Operand, Order};

use super::invalid;

/// More than any person writes; each comparison costs a look into a table.
const COMPARISONS_MAX: usize = 50;
/// Longest filter, in bytes.
const BYTES_MAX: usize = 20_000;

/// What is searched; it decides which fields there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Runs,
    Experiments,
    LoggedModels,
    RegisteredModels,
    ModelVersions,
}

impl Subject {
    /// The attributes: every spelling with what it means. Names are columns of the store.
    fn attribute(self, name: &str) -> Option<Field> {
        let text = |column| Some(Field::Text(column));
        let number = |column| Some(Field::Number(column));
        match (self, name) {
            (Subject::Runs, "run_id") => text("run_id"),
            (Subject::Runs, "run_name" | "run name" | "Run name" | "Run Name") => text("name"),
            (Subject::Runs, "status") => text("status"),
            (Subject::Runs, "user_id" | "user" | "User") => text("user_name"),
            (Subject::Runs, "artifact_uri") => text("artifact_uri"),
            (Subject::Runs, "start_time" | "created" | "Created" | "Start Time") => {
                number("started_at")
            }
            (Subject::Runs, "end_time") => number("ended_at"),
            (Subject::Experiments, "name" | "experiment_id") => {
                text(if name == "name" { "name" } else { "experiment_id" })
            }
            (Subject::Experiments, "creation_time") => number("created_at"),
            (Subject::Experiments, "last_update_time") => number("updated_at"),
            (Subject::LoggedModels, "name") => text("name"),
            (Subject::LoggedModels, "model_id") => text("model_id"),
            (Subject::LoggedModels, "model_type") => text("model_type"),
            (Subject::LoggedModels, "status") => text("status"),
            (Subject::LoggedModels, "source_run_id") => text("source_run_id"),
            (Subject::LoggedModels, "creation_timestamp" | "creation_time") => number("created_at"),
            (Subject::LoggedModels, "last_updated_timestamp" | "last_updated_time") => {
                number("updated_at")
            }
            (Subject::RegisteredModels, "name") => text("name"),
            (Subject::RegisteredModels, "creation_timestamp") => number("created_at"),
            (
                Subject::RegisteredModels | Subject::ModelVersions,
                "timestamp" | "last_updated_timestamp",
            ) => number("updated_at"),
            (Subject::ModelVersions, "name") => text("name"),
            (Subject::ModelVersions, "run_id") => text("run_id"),
            (Subject::ModelVersions, "source_path") => text("source"),
            (Subject::ModelVersions, "version_number") => number("version"),
            (Subject::ModelVersions, "creation_timestamp") => number("created_at"),
            _ => None,
        }
    }

    fn field(self, text: &str) -> Result<Field, Error> {
        let (prefix, rest) = match text.split_once('.') {
            Some((prefix, rest)) => (prefix, rest),
            None => ("attribute", text),
        };
        let key = unquoted(rest);
        let field = match prefix {
            "metric" | "metrics" if self == Subject::Runs => Some(Field::Metric(key.to_owned())),
            "param" | "params" | "parameter" | "parameters"
                if matches!(self, Subject::Runs | Subject::LoggedModels) =>
            {
                Some(Field::Param(key.to_owned()))
            }
            "tag" | "tags" => Some(Field::Tag(key.to_owned())),
            "attribute" | "attributes" | "attr" | "run" => self.attribute(key),
            _ => None,
        };
        field.ok_or_else(|| {
            invalid(format!(
                "Invalid search expression: `{text}` is not a field here. Use an attribute, \
                 `tags.<key>`{}.",
                match self {
                    Subject::Runs => ", `params.<key>` or `metrics.<key>`",
                    Subject::LoggedModels => " or `params.<key>`",
                    _ => "",
                }
            ))
        })
    }
}

/// Reads a filter.
pub(super) fn parse(filter: &str, subject: Subject) -> Result<Vec<Comparison>, Error> {
    if filter.len() > BYTES_MAX {
        return Err(invalid(format!("The filter is longer than {BYTES_MAX} bytes.")));
    }
    let mut reader = Reader { rest: filter.trim_start(), filter };
    let mut comparisons = Vec::new();
    while !reader.rest.is_empty() {
        if !comparisons.is_empty() {
            reader.and()?;
        }
        comparisons.push(reader.comparison(subject)?);
        if comparisons.len() > COMPARISONS_MAX {
            return Err(invalid(format!(
                "The filter has more than {COMPARISONS_MAX} comparisons."
            )));
        }
    }
    Ok(comparisons)
}

/// The tag by which an entry of the registry is a prompt and no model.
const PROMPT_TAG: &str = "mlflow.prompt.is_prompt";

/// Which entries of the registry a filter is after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entries {
    Models,
    Prompts,
}

impl Entries {
    /// Takes the comparisons of the prompt tag out of a filter. Clients say `!= 'true'` where they
    /// mean models, and models do not have the tag.
    pub(super) fn take(comparisons: &mut Vec<Comparison>) -> Self {
        let is_prompt_tag =
            |c: &Comparison| matches!(&c.field, Field::Tag(key) if key == PROMPT_TAG);
        let wants_prompts = comparisons.iter().any(|c| {
            is_prompt_tag(c)
                && c.comparator == Comparator::Equal
                && c.operand == Operand::Text("true".to_owned())
        });
        comparisons.retain(|c| !is_prompt_tag(c));
        if wants_prompts { Entries::Prompts } else { Entries::Models }
    }

    /// Whether an entry with those tags is one of them.
    pub(super) fn include(self, tags: &[Pair]) -> bool {
        let is_prompt = tags.iter().any(|tag| tag.key == PROMPT_TAG && tag.value == "true");
        is_prompt == (self == Entries::Prompts)
    }
}

/// Reads an order: a field, then `ASC` or `DESC` or nothing.
pub(super) fn parse_order(text: &str, subject: Subject) -> Result<Order, Error> {
    let text = text.trim();
    let (field, descending) = match text.rsplit_once(char::is_whitespace) {
        Some((field, word)) if word.eq_ignore_ascii_case("asc") => (field, false),
        Some((field, word)) if word.eq_ignore_ascii_case("desc") => (field, true),
        _ => (text, false),
    };
    if field.trim().is_empty() {
        return Err(invalid(format!("Invalid order_by clause '{text}'.")));
    }
    Ok(Order { field: subject.field(field.trim())?, descending })
}

/// Reads all steps of an order.
pub(super) fn parse_orders(texts: &[String], subject: Subject) -> Result<Vec<Order>, Error> {
    texts.iter().map(|text| parse_order(text, subject)).collect()
}

fn unquoted(text: &str) -> &str {
    for quote in ['`', '"'] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote)) {
            return inner;
        }
    }
    text
}

struct Reader<'a> {
    rest: &'a str,
    filter: &'a str,
}

impl<'a> Reader<'a> {
    fn refuse(&self, why: &str) -> Error {
        let shown: String = self.filter.chars().take(200).collect();
        invalid(format!(
            "Invalid clause(s) in filter string: '{shown}': {why}. Comparisons are \
             `field operator value`, joined by AND; operators are =, !=, >, >=, <, <=, LIKE, ILIKE."
        ))
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest.trim_start();
        taken
    }

    fn and(&mut self) -> Result<(), Error> {
        let word = self.word();
        match word.to_ascii_uppercase().as_str() {
            "AND" => Ok(()),
            "OR" => Err(self.refuse("OR is not supported")),
            _ => Err(self.refuse(&format!("expected AND, found `{word}`"))),
        }
    }

    fn word(&mut self) -> &'a str {
        let end = self.rest.find(|c: char| c.is_whitespace()).unwrap_or(self.rest.len());
        self.take(end)
    }

    fn comparison(&mut self, subject: Subject) -> Result<Comparison, Error> {
        let text = self.key()?;
        let field = subject.field(text)?;
        let comparator = self.comparator()?;
        let operand = self.operand()?;
        let is_text = matches!(field, Field::Param(_) | Field::Tag(_) | Field::Text(_));
        let fits = match (&operand, comparator) {
            (Operand::Number(_), Comparator::Like | Comparator::Ilike) => false,
            (Operand::Number(_), _) => !is_text,
            (
                Operand::Text(_),
                Comparator::Equal | Comparator::NotEqual | Comparator::Like | Comparator::Ilike,
            ) => is_text,
            (Operand::Text(_), _) => false,
        };
        if fits {
            return Ok(Comparison { field, comparator, operand });
        }
        Err(self.refuse(&match is_text {
            true => {
                format!("`{text}` is a text: compare it with a quoted one by =, !=, LIKE or ILIKE")
            }
            false => format!("`{text}` is a number: compare it with one"),
        }))
    }

    fn key(&mut self) -> Result<&'a str, Error> {
        let mut quote = None;
        let mut end = self.rest.len();
        for (at, c) in self.rest.char_indices() {
            match quote {
                Some(open) if c == open => quote = None,
                Some(_) => {}
                None if matches!(c, '`' | '"') => quote = Some(c),
                None if c.is_whitespace()
                    || matches!(c, '=' | '!' | '<' | '>' | '(' | ')' | '\'') =>
                {
                    end = at;
                    break;
                }
                None => {}
            }
        }
        if quote.is_some() {
            return Err(self.refuse("a quote is not closed"));
        }
        match self.take(end) {
            "" => Err(self.refuse("a field is missing")),
            key => Ok(key),
        }
    }

    fn comparator(&mut self) -> Result<Comparator, Error> {
        for (sign, comparator) in [
            ("!=", Comparator::NotEqual),
            (">=", Comparator::GreaterOrEqual),
            ("<=", Comparator::LessOrEqual),
            ("=", Comparator::Equal),
            (">", Comparator::Greater),
            ("<", Comparator::Less),
        ] {
            if self.rest.starts_with(sign) {
                self.take(sign.len());
                return Ok(comparator);
            }
        }
        let word = self.word();
        match word.to_ascii_uppercase().as_str() {
            "LIKE" => Ok(Comparator::Like),
            "ILIKE" => Ok(Comparator::Ilike),
            "" => Err(self.refuse("an operator is missing")),
            _ => Err(self.refuse(&format!("`{word}` is not supported"))),
        }
    }

    fn operand(&mut self) -> Result<Operand, Error> {
        let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
            let word = self.word();
            let number: Option<f64> = word.parse().ok().filter(|n: &f64| n.is_finite());
            return number.map(Operand::Number).ok_or_else(|| {
                self.refuse(&format!("`{word}` is neither a number nor a quoted text"))
            });
        };
        let inner = &self.rest[1..];
        let end = inner.find(quote).ok_or_else(|| self.refuse("a quote is not closed"))?;
        let text = inner[..end].to_owned();
        self.take(end + 2);
        Ok(Operand::Text(text))
    }
}

/// A field's value in memory.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found {
    Text(String),
    Number(f64),
}

impl From<&str> for Found {
    fn from(text: &str) -> Self {
        Found::Text(text.to_owned())
    }
}

/// Whether all comparisons hold; an absent field meets none.
pub(super) fn holds(comparisons: &[Comparison], find: impl Fn(&Field) -> Option<Found>) -> bool {
    comparisons.iter().all(|c| find(&c.field).is_some_and(|found| compare(c, &found)))
}

fn compare(comparison: &Comparison, found: &Found) -> bool {
    let order = match (found, &comparison.operand) {
        (Found::Number(a), Operand::Number(b)) => a.partial_cmp(b),
        (Found::Text(a), Operand::Text(b)) => match comparison.comparator {
            Comparator::Like => return is_like(a, b),
            Comparator::Ilike => return is_like(&a.to_lowercase(), &b.to_lowercase()),
            _ => Some(a.as_str().cmp(b)),
        },
        _ => None,
    };
    let Some(order) = order else { return false };
    match comparison.comparator {
        Comparator::Equal => order == Ordering::Equal,
        Comparator::NotEqual => order != Ordering::Equal,
        Comparator::Greater => order == Ordering::Greater,
        Comparator::GreaterOrEqual => order != Ordering::Less,
        Comparator::Less => order == Ordering::Less,
        Comparator::LessOrEqual => order != Ordering::Greater,
        Comparator::Like | Comparator::Ilike => false,
    }
}

/// `%` is any text, `_` any character. Two fingers, so no pattern is slow.
fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) =
        (text.chars().collect(), pattern.chars().collect());
    let (mut t, mut p) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('%') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '_' || *c == text[t] => {
                (t, p) = (t + 1, p + 1);
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (t, p) = (from + 1, at + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '%')
}

/// Puts things in an order; absent values come last whatever the direction.
pub(super) fn sort_by_orders<T>(
    things: &mut [T],
    orders: &[Order],
    find: impl Fn(&T, &Field) -> Option<Found>,
) {
    things.sort_by(|a, b| {
        let steps = orders.iter().map(|order| {
            let between = match (find(a, &order.field), find(b, &order.field)) {
                (None, None) => return Ordering::Equal,
                (None, Some(_)) => return Ordering::Greater,
                (Some(_), None) => return Ordering::Less,
                (Some(Found::Number(a)), Some(Found::Number(b))) => a.total_cmp(&b),
                (Some(Found::Text(a)), Some(Found::Text(b))) => a.cmp(&b),
                (Some(_), Some(_)) => Ordering::Equal,
            };
            if order.descending { between.reverse() } else { between }
        });
        steps.fold(Ordering::Equal, Ordering::then)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons() {
        let read = parse(
            "metrics.acc >= 0.5 and params.\"a b\"='x' AND tags.`mlflow.user` ILIKE \"%A_\" \
             AND attributes.start_time<1e3 AND run_name != ''",
            Subject::Runs,
        )
        .unwrap();
        let expected = [
            (Field::Metric("acc".into()), Comparator::GreaterOrEqual, Operand::Number(0.5)),
            (Field::Param("a b".into()), Comparator::Equal, Operand::Text("x".into())),
            (Field::Tag("mlflow.user".into()), Comparator::Ilike, Operand::Text("%A_".into())),
            (Field::Number("started_at"), Comparator::Less, Operand::Number(1000.0)),
            (Field::Text("name"), Comparator::NotEqual, Operand::Text(String::new())),
        ];
        let expected =
            expected.map(|(field, comparator, operand)| Comparison { field, comparator, operand });
        assert_eq!(read, expected);
        assert!(parse("", Subject::Runs).unwrap().is_empty());
        assert!(parse("  ", Subject::Runs).unwrap().is_empty());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in [
            "metrics.a",
            "metrics.a >",
            "metrics.a > 'x'",
            "metrics.a > 1 OR metrics.b > 1",
            "(metrics.a > 1)",
            "metrics.a > 1 AND",
            "metrics.a LIKE 1",
            "params.a = 1",
            "params.a > 'x'",
            "params.a = 'x",
            "params.`a = 'x'",
            "tags.a IS NULL",
            "tags.a IN ('x')",
            "nothing = 'x'",
            "datasets.name = 'x'",
            "= 'x'",
            "metrics.a > 1; drop table run",
            "'; --",
            "metrics.a > nan",
            "é",
        ] {
            assert!(parse(bad, Subject::Runs).is_err(), "{bad}");
        }
        assert!(parse("metrics.a > 1", Subject::RegisteredModels).is_err());
        assert!(parse("metrics.a > 1", Subject::LoggedModels).is_err());
    }

    #[test]
    fn models_and_prompts() {
        let read = |text: &str| {
            let mut comparisons = parse(text, Subject::RegisteredModels).unwrap();
            (Entries::take(&mut comparisons), comparisons.len())
        };
        assert_eq!(
            read("name = 'a' AND tag.`mlflow.prompt.is_prompt` != 'true'"),
            (Entries::Models, 1)
        );
        assert_eq!(read("tags.`mlflow.prompt.is_prompt` = 'false'"), (Entries::Models, 0));
        assert_eq!(read("tags.`mlflow.prompt.is_prompt` = 'true'"), (Entries::Prompts, 0));
        let prompt = [Pair { key: PROMPT_TAG.into(), value: "true".into() }];
        assert!(Entries::Prompts.include(&prompt) && !Entries::Models.include(&prompt));
        assert!(Entries::Models.include(&[]) && !Entries::Prompts.include(&[]));
    }

    #[test]
    fn orders() {
        let read = parse_order("metrics.`a b`  DESC", Subject::Runs).unwrap();
        assert_eq!(read, Order { field: Field::Metric("a b".into()), descending: true });
        let read = parse_order("attributes.start_time", Subject::Runs).unwrap();
        assert_eq!(read, Order { field: Field::Number("started_at"), descending: false });
        for bad in ["", "DESC", "x y z", "nothing"] {
            assert!(parse_order(bad, Subject::Runs).is_err(), "{bad}");
        }
    }

    #[test]
    fn likeness() {
        for (text, pattern, expected) in [
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "%b%", true),
            ("abc", "a_c", true),
            ("abc", "abc%", true),
            ("abc", "ab", false),
            ("", "%", true),
            ("", "_", false),
            ("aaaaaaaaaaaaaaaaaaaaaaaa", "%a%a%a%a%a%b", false),
            ("äö", "_ö", true),
        ] {
            assert_eq!(is_like(text, pattern), expected, "{text} {pattern}");
        }
    }
}
