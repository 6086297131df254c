//! Pages of answers, and what every search says.

use viaduct_base::Error;
use viaduct_store::mlflow::Lifecycle;

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
        let offset = match self.token.as_deref() {
            None | Some("") => 0,
            Some(token) => token.parse().map_err(|_| {
                invalid(format!("Invalid page token: '{token}'. Use one that a page gave."))
            })?,
        };
        Ok(Window { limit, offset })
    }
}

impl Window {
    /// Cuts the page out of everything.
    pub(super) fn of<T>(self, all: Vec<T>) -> Page<T> {
        let more = all.len() > self.offset.saturating_add(self.limit);
        let items = all.into_iter().skip(self.offset).take(self.limit).collect();
        Page { items, next: more.then(|| (self.offset + self.limit).to_string()) }
    }

    /// Makes a page of what was found from its offset on, with one item more than wanted.
    pub(super) fn of_found<T>(self, mut found: Vec<T>) -> Page<T> {
        let more = found.len() > self.limit;
        found.truncate(self.limit);
        Page { items: found, next: more.then(|| (self.offset + self.limit).to_string()) }
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
        let first = request(Some(2), None).check(10, 10).unwrap().of(vec![1, 2, 3]);
        assert_eq!(first, Page { items: vec![1, 2], next: Some("2".into()) });
        let second = request(Some(2), Some("2")).check(10, 10).unwrap().of(vec![1, 2, 3]);
        assert_eq!(second, Page { items: vec![3], next: None });
        let found = request(Some(2), Some("4")).check(10, 10).unwrap().of_found(vec![5, 6, 7]);
        assert_eq!(found, Page { items: vec![5, 6], next: Some("6".into()) });
    }

    #[test]
    fn bad_pages() {
        for bad in [request(Some(0), None), request(Some(11), None), request(None, Some("x"))] {
            assert!(bad.check(10, 10).is_err());
        }
    }
}
