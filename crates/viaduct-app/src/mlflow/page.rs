//! Pages of answers, and what every search says.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as STANDARD;
use viaduct_base::Error;
use viaduct_store::mlflow::Lifecycle;
use viaduct_store::mlflow::search::Search;

use super::invalid;

/// Which part of an answer is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// Items on the page; the verb's own number when absent.
    pub max_results: Option<i64>,
    /// Where it begins, from the page before.
    pub token: Option<String>,
}

/// A part of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// The token of the next page, when there is more.
    pub next: Option<String>,
}

/// Active ones, deleted ones, or both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum View {
    /// Active ones.
    #[default]
    Active,
    /// Deleted ones.
    Deleted,
    /// Both.
    All,
}

impl View {
    /// MLflow's word for it, or its number.
    ///
    /// # Errors
    /// `invalid-input` for another one.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text {
            "ACTIVE_ONLY" | "1" => Ok(View::Active),
            "DELETED_ONLY" | "2" => Ok(View::Deleted),
            "ALL" | "3" => Ok(View::All),
            other => Err(invalid(format!(
                "Invalid view type '{other}'. Use ACTIVE_ONLY, DELETED_ONLY or ALL."
            ))),
        }
    }

    pub(super) fn lifecycles(self) -> Vec<Lifecycle> {
        match self {
            View::Active => vec![Lifecycle::Active],
            View::Deleted => vec![Lifecycle::Deleted],
            View::All => vec![Lifecycle::Active, Lifecycle::Deleted],
        }
    }
}

/// What a search asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// Comparisons joined by AND; empty for all.
    pub filter: String,
    /// First by these.
    pub order_by: Vec<String>,
    /// Which page.
    pub page: PageRequest,
}

/// A checked page: items to give and items to leave out before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) limit: usize,
    pub(super) offset: usize,
}

impl PageRequest {
    /// [`PageRequest::check`] in the registry's words.
    pub(super) fn check_registry(&self, default: usize, max: usize) -> Result<Window, Error> {
        match self.max_results {
            Some(limit) if limit > max as i64 => Err(invalid(format!(
                "Invalid value for request parameter max_results. It must be at most {max}, but \
                 got value {limit}"
            ))),
            _ => self.check(default, max),
        }
    }

    pub(super) fn check(&self, default: usize, max: usize) -> Result<Window, Error> {
        let limit = match self.max_results {
            None => default,
            Some(limit) => usize::try_from(limit)
                .ok()
                .filter(|limit| (1..=max).contains(limit))
                .ok_or_else(|| {
                    invalid(format!(
                        "Invalid value {limit} for parameter 'max_results' supplied. It must be \
                         at least 1 and at most {max}."
                    ))
                })?,
        };
        let offset = self.token.as_deref().map_or(Ok(0), offset_of)?;
        Ok(Window { limit, offset })
    }
}

/// A token is `{"offset": n}` in base64, as MLflow's are.
fn token_of(offset: usize) -> String {
    STANDARD.encode(format!("{{\"offset\": {offset}}}"))
}

fn offset_of(token: &str) -> Result<usize, Error> {
    if token.is_empty() {
        return Ok(0);
    }
    let text = STANDARD
        .decode(token)
        .map_err(|_| invalid("Invalid page token, could not base64-decode"))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let read: serde_json::Value = serde_json::from_str(&text)
        .map_err(|_| invalid(format!("Invalid page token, decoded value={text}")))?;
    let offset = read.get("offset").and_then(serde_json::Value::as_u64);
    offset
        .and_then(|offset| usize::try_from(offset).ok())
        .ok_or_else(|| invalid(format!("Invalid page token, parsed value={text}")))
}

impl Window {
    /// Makes a page of what was found from its offset on, with one item more than wanted.
    pub(super) fn of_found<T>(self, mut found: Vec<T>) -> Page<T> {
        let more = found.len() > self.limit;
        found.truncate(self.limit);
        self.of_part(found, more)
    }

    /// Makes a page of its items, when it is known whether there are more.
    pub(super) fn of_part<T>(self, items: Vec<T>, more: bool) -> Page<T> {
        Page { items, next: more.then(|| token_of(self.offset + self.limit)) }
    }

    /// The search of this page, and of one item more.
    pub(super) fn search(self) -> Search {
        Search {
            limit: self.limit as i64 + 1,
            offset: i64::try_from(self.offset).unwrap_or(i64::MAX),
            ..Search::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(max_results: Option<i64>, token: Option<&str>) -> PageRequest {
        PageRequest { max_results, token: token.map(str::to_owned) }
    }

    #[test]
    fn pages_follow_each_other() {
        let first = request(Some(2), None).check(10, 10).unwrap().of_found(vec![1, 2, 3]);
        assert_eq!(first.items, [1, 2]);
        let token = first.next.unwrap();
        assert_eq!(token, "eyJvZmZzZXQiOiAyfQ==");
        let second = request(Some(2), Some(&token)).check(10, 10).unwrap();
        assert_eq!((second.offset, second.limit), (2, 2));
        assert_eq!(second.of_found(vec![3]), Page { items: vec![3], next: None });
    }

    #[test]
    fn bad_pages() {
        for bad in [request(Some(0), None), request(Some(11), None)] {
            assert!(bad.check(10, 10).is_err());
        }
        for token in ["x", "eA==", "e30=", "eyJvZmZzZXQiOiAtMX0="] {
            assert!(request(None, Some(token)).check(10, 10).is_err(), "{token}");
        }
    }
}
