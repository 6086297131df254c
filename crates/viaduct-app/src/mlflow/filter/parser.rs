//! Tokens read into a filter: comparisons joined by AND and OR, in parentheses where need be.

use viaduct_base::Error;
use viaduct_store::mlflow::search::{Comparator, Comparison, Field, Filter, Operand, Test};

use super::fields::{Entity, Named, Subject, Use};
use super::lexer::{Kind, Token, shown, tokens, unquote};
use crate::mlflow::invalid;

/// Longest filter, in bytes: room for a list of some thousand ids.
const BYTES_MAX: usize = 200_000;
/// More than any person writes; each comparison costs a look into a table.
const COMPARISONS_MAX: usize = 100;
/// Values of all lists together: both engines bind more.
const LISTED_MAX: usize = 5000;
/// Parentheses within parentheses.
const DEPTH_MAX: usize = 50;
/// `%` in one pattern: each more can double the time that it takes to compare.
const WILDCARDS_MAX: usize = 20;

const NUMERIC: [&str; 6] = ["!=", "<", "<=", "=", ">", ">="];

/// Reads a filter; an empty one lets everything pass.
pub(in crate::mlflow) fn parse(filter: &str, subject: Subject) -> Result<Filter, Error> {
    if filter.len() > BYTES_MAX {
        return Err(invalid(format!("The filter is longer than {BYTES_MAX} bytes.")));
    }
    let tokens = tokens(filter)?;
    let mut reader = Reader { tokens: &tokens, filter, subject, comparisons: 0, listed: 0 };
    if tokens.is_empty() {
        return Ok(Filter::default());
    }
    let read = reader.any(0)?;
    match reader.tokens.first() {
        None => Ok(read),
        Some(token) => Err(reader.refuse(token.text)),
    }
}

struct Reader<'a> {
    tokens: &'a [Token<'a>],
    filter: &'a str,
    subject: Subject,
    comparisons: usize,
    listed: usize,
}

impl<'a> Reader<'a> {
    /// The clause that does not read, in the words of the search.
    fn refuse(&self, clause: &str) -> Error {
        if self.subject == Subject::LoggedModels {
            return invalid(format!(
                "Invalid filter string: '{}'. Expected a list of comparisons separated by 'AND' \
                 (e.g. 'metrics.loss > 0.1 AND params.lr = 0.01').",
                shown(self.filter)
            ));
        }
        invalid(format!("Invalid clause(s) in filter string: '{}'", shown(clause)))
    }

    fn next(&mut self) -> Option<&'a Token<'a>> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn next_if(&mut self, kind: Kind) -> bool {
        let is = self.tokens.first().is_some_and(|token| token.kind == kind);
        if is {
            self.next();
        }
        is
    }

    fn keyword(&mut self, word: &str) -> bool {
        let is = self
            .tokens
            .first()
            .is_some_and(|t| t.kind == Kind::Word && t.text.eq_ignore_ascii_case(word));
        if is {
            self.next();
        }
        is
    }

    fn any(&mut self, depth: usize) -> Result<Filter, Error> {
        let mut parts = vec![self.all(depth)?];
        while self.keyword("OR") {
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Filter::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Filter, Error> {
        let mut parts = vec![self.unit(depth)?];
        while self.keyword("AND") {
            parts.push(self.unit(depth)?);
        }
        Ok(one_or(parts, Filter::All))
    }

    fn unit(&mut self, depth: usize) -> Result<Filter, Error> {
        if !self.next_if(Kind::Open) {
            return self.comparison().map(Filter::One);
        }
        if depth >= DEPTH_MAX {
            return Err(invalid(format!(
                "The filter has more than {DEPTH_MAX} parentheses within each other."
            )));
        }
        let inner = self.any(depth + 1)?;
        if self.next_if(Kind::Close) {
            return Ok(inner);
        }
        let found = self.tokens.first().map_or("", |token| token.text);
        Err(self.refuse(found))
    }

    fn comparison(&mut self) -> Result<Comparison, Error> {
        self.comparisons += 1;
        if self.comparisons > COMPARISONS_MAX {
            return Err(invalid(format!(
                "The filter has more than {COMPARISONS_MAX} comparisons."
            )));
        }
        let filter = self.filter;
        let Some(name) = self.next() else { return Err(self.refuse(filter)) };
        if name.kind != Kind::Word {
            return Err(self.refuse(name.text));
        }
        // Why before the field: `x` alone is no clause, whatever it names.
        let Some(word) = self.next() else { return Err(self.refuse(name.text)) };
        let named = self.subject.field(name.text, Use::Filter)?;
        let test = match (word.kind, word.text.to_ascii_uppercase().as_str()) {
            (Kind::Sign, sign) => self.compared(&named, sign)?,
            (Kind::Word, "LIKE" | "ILIKE") => {
                self.compared(&named, &word.text.to_ascii_uppercase())?
            }
            (Kind::Word, "IN") => Test::Among(self.list(&named, "IN")?),
            (Kind::Word, "NOT") if self.keyword("IN") => {
                Test::NotAmong(self.list(&named, "NOT IN")?)
            }
            (Kind::Word, "IS") => self.presence(&named)?,
            _ => return Err(self.refuse(&format!("{} {}", name.text, word.text))),
        };
        Ok(Comparison { field: named.field, test })
    }

    fn presence(&mut self, named: &Named) -> Result<Test, Error> {
        let test = if self.keyword("NOT") { Test::Present } else { Test::Absent };
        if !self.keyword("NULL") {
            return Err(self.refuse("IS"));
        }
        let (what, key) = (named.entity.word(), shown(&named.key));
        match (self.subject, named.entity) {
            (Subject::Runs, Entity::Metric | Entity::Attribute | Entity::Dataset) => {
                Err(invalid(format!(
                    "IS NULL / IS NOT NULL is only supported for tags and params, not for \
                     '{what}' '{key}'"
                )))
            }
            (_, Entity::Attribute) => Err(invalid(format!(
                "IS NULL / IS NOT NULL is only supported for tags, not for attribute '{key}'"
            ))),
            _ => Ok(test),
        }
    }

    fn compared(&mut self, named: &Named, sign: &str) -> Result<Test, Error> {
        let Some(comparator) = comparator(sign) else { return Err(self.odd(named, sign)) };
        let filter = self.filter;
        let Some(value) = self.next() else { return Err(self.refuse(filter)) };
        let is_number = is_numeric(&named.field);
        let is_like = matches!(comparator, Comparator::Like | Comparator::Ilike);
        let fits = match comparator {
            Comparator::Equal | Comparator::NotEqual => true,
            Comparator::Like | Comparator::Ilike => {
                !is_number && !matches!(named.field, Field::Digits(_))
            }
            _ => is_number,
        };
        // Why first here and last elsewhere: MLflow's searches differ in it.
        if !fits && self.subject == Subject::LoggedModels {
            return Err(self.odd(named, sign));
        }
        let operand = if is_number {
            Operand::Number(self.number(named, value)?)
        } else {
            Operand::Text(self.text(named, value)?)
        };
        if !fits {
            return Err(self.odd(named, sign));
        }
        match &operand {
            Operand::Text(pattern) if is_like && pattern.matches('%').count() > WILDCARDS_MAX => {
                Err(invalid(format!("A pattern can have at most {WILDCARDS_MAX} `%`.")))
            }
            Operand::Text(text) => {
                let text = self.kept(named, text.clone())?;
                Ok(Test::Is(comparator, Operand::Text(text)))
            }
            Operand::Number(_) => Ok(Test::Is(comparator, operand)),
        }
    }

    /// The comparator is not one that the field knows.
    fn odd(&self, named: &Named, sign: &str) -> Error {
        let mut known: Vec<&str> = match (is_numeric(&named.field), named.entity) {
            (true, _) => NUMERIC.to_vec(),
            (_, Entity::Param | Entity::Tag) => vec!["!=", "=", "ILIKE", "LIKE"],
            _ => vec!["!=", "=", "ILIKE", "IN", "LIKE", "NOT IN"],
        };
        let sign = shown(sign);
        if self.subject == Subject::LoggedModels {
            let known: Vec<String> = known.iter().map(|sign| format!("'{sign}'")).collect();
            let what = match named.entity {
                Entity::Metric => "metrics",
                Entity::Param => "params",
                Entity::Tag => "tags",
                _ => "attributes",
            };
            return invalid(format!(
                "Invalid comparison operator for {what}.{}: '{sign}'. Expected one of ({}).",
                shown(&named.key),
                known.join(", ")
            ));
        }
        if matches!(named.field, Field::Digits(_)) {
            return invalid(format!("Invalid comparator for experiment_id: {sign}"));
        }
        if matches!(named.entity, Entity::Param | Entity::Tag)
            && self.subject != Subject::RegisteredModels
        {
            known.extend(["IS NOT NULL", "IS NULL"]);
            known.sort_unstable();
        }
        let known: Vec<String> = known.iter().map(|sign| format!("'{sign}'")).collect();
        invalid(format!("Invalid comparator '{sign}' not one of '{{{}}}'", known.join(", ")))
    }

    fn number(&self, named: &Named, value: &Token<'_>) -> Result<f64, Error> {
        let text = value.text;
        let key = &named.key;
        let bare = match value.kind {
            // A version's number may be quoted.
            Kind::Text if named.entity == Entity::Attribute && self.subject != Subject::Runs => {
                unquote(text, '\'').unwrap_or_default()
            }
            _ => text.to_owned(),
        };
        let looks = bare.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
        let read: Option<f64> = bare.parse().ok().filter(|n: &f64| looks && n.is_finite());
        let Some(number) = read else {
            return Err(invalid(match named.entity {
                Entity::Metric => {
                    format!("Expected numeric value type for metric. Found {}", shown(text))
                }
                _ if self.subject == Subject::ModelVersions => {
                    format!("Invalid value for numeric attribute '{key}': {}", shown(text))
                }
                _ => format!(
                    "Expected numeric value type for numeric attribute: {key}. Found {}",
                    shown(text)
                ),
            }));
        };
        let is_whole = matches!(self.subject, Subject::Experiments | Subject::ModelVersions);
        if is_whole && bare.parse::<i64>().is_err() {
            return Err(invalid(format!(
                "Invalid value for numeric attribute '{key}': {}",
                shown(text)
            )));
        }
        Ok(number)
    }

    fn text(&self, named: &Named, value: &Token<'_>) -> Result<String, Error> {
        let text = value.text;
        let is_number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
        match value.kind {
            Kind::Text => Ok(unquote(text, '\'').unwrap_or_default()),
            Kind::Word if text.starts_with('"') => {
                unquote(text, '"').ok_or_else(|| self.refuse(text))
            }
            Kind::Word if !is_number => Err(invalid(format!(
                "Parameter value is either not quoted or unidentified quote types used for string \
                 value {}. Use either single or double quotes.",
                shown(text)
            ))),
            _ => Err(invalid(match named.entity {
                Entity::Attribute if self.subject == Subject::Runs => {
                    format!(
                        "Expected a quoted string value for attributes. Got value {}",
                        shown(text)
                    )
                }
                Entity::Attribute => format!(
                    "Expected a quoted string value or a list of quoted string values for \
                     attributes. Got value {}",
                    shown(text)
                ),
                Entity::Dataset => format!(
                    "Expected a quoted string value for dataset attributes. Got value {}",
                    shown(text)
                ),
                entity => format!(
                    "Expected a quoted string value for {} (e.g. 'my-value'). Got value {}",
                    entity.word(),
                    shown(text)
                ),
            })),
        }
    }

    /// A text as the store keeps it.
    fn kept(&self, named: &Named, text: String) -> Result<String, Error> {
        match (&named.field, self.subject) {
            (Field::Digits(_), _) => text.parse().map(|id: i64| id.to_string()).map_err(|_| {
                invalid(format!("Invalid experiment ID: '{}'. Expected an integer.", shown(&text)))
            }),
            (Field::Text("status"), Subject::LoggedModels) if !text.contains('_') => {
                Ok(format!("LOGGED_MODEL_{text}"))
            }
            _ => Ok(text),
        }
    }

    fn list(&mut self, named: &Named, word: &str) -> Result<Vec<String>, Error> {
        if is_numeric(&named.field) {
            return Err(self.odd(named, word));
        }
        let listed = self.subject.listed();
        let is_open = self.subject == Subject::LoggedModels;
        match named.entity {
            Entity::Param | Entity::Tag if !is_open => return Err(self.odd(named, word)),
            Entity::Attribute if !listed.contains(&named.key.as_str()) => {
                let listed: Vec<String> = listed.iter().map(|key| format!("'{key}'")).collect();
                return Err(invalid(format!(
                    "Only [{}] attributes support comparison with a list of quoted string values.",
                    listed.join(", ")
                )));
            }
            _ => {}
        }
        let ill = || {
            invalid(
                "While parsing a list in the query, expected a non-empty list of string values, \
                 but got ill-formed list.",
            )
        };
        if !self.next_if(Kind::Open) {
            return Err(ill());
        }
        let mut texts = Vec::new();
        while !self.next_if(Kind::Close) {
            if !texts.is_empty() && !self.next_if(Kind::Comma) {
                return Err(ill());
            }
            // A comma may stand behind the last one.
            if !texts.is_empty() && self.next_if(Kind::Close) {
                break;
            }
            texts.push(self.listed(named)?.ok_or_else(ill)?);
        }
        if texts.is_empty() {
            return Err(invalid(
                "While parsing a list in the query, expected a non-empty list of string values, \
                 but got empty list",
            ));
        }
        Ok(texts)
    }

    fn listed(&mut self, named: &Named) -> Result<Option<String>, Error> {
        self.listed += 1;
        if self.listed > LISTED_MAX {
            return Err(invalid(format!("The filter lists more than {LISTED_MAX} values.")));
        }
        let Some(value) = self.next() else { return Ok(None) };
        let text = match value.kind {
            Kind::Text => unquote(value.text, '\''),
            Kind::Word if value.text.starts_with('"') => unquote(value.text, '"'),
            Kind::Word => {
                return Err(invalid(format!(
                    "While parsing a list in the query, expected string value, punctuation, or \
                     whitespace, but got different type in list: {}",
                    shown(value.text)
                )));
            }
            _ => None,
        };
        text.map(|text| self.kept(named, text)).transpose()
    }
}

fn is_numeric(field: &Field) -> bool {
    matches!(field, Field::Metric(_) | Field::Number(_) | Field::Moment(_))
}

fn one_or(mut parts: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Filter {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => many(parts),
    }
}

fn comparator(sign: &str) -> Option<Comparator> {
    Some(match sign {
        "=" => Comparator::Equal,
        "!=" => Comparator::NotEqual,
        ">" => Comparator::Greater,
        ">=" => Comparator::GreaterOrEqual,
        "<" => Comparator::Less,
        "<=" => Comparator::LessOrEqual,
        "LIKE" => Comparator::Like,
        "ILIKE" => Comparator::Ilike,
        _ => return None,
    })
}
