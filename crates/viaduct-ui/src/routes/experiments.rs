//! The list of experiments, and what all lists of MLflow's things share.

use std::sync::Arc;

use axum::http::StatusCode;
use viaduct_app::mlflow::{ExperimentView, PageRequest, Pair, Query, View};
use viaduct_base::{Error, Kind};
use viaduct_domain::permission::Operation;

use super::Answered;
use super::answer::Answer;
use super::visit::Visit;
use crate::path;
use crate::view::{ExperimentLine, ExperimentsPage};

/// Experiments on a page.
const PAGE: i64 = 100;
/// The tag that holds a note.
pub(super) const NOTE: &str = "mlflow.note.content";
/// Longest note in a list.
const NOTE_SHOWN: usize = 200;

/// What a list found, or why the question does not read.
pub(super) struct Found<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<String>,
    pub(super) problem: Option<String>,
}

impl<T> Found<T> {
    /// Takes the refusal of a filter, an order or a page as something to show beside it.
    pub(super) fn of(answer: Result<viaduct_app::mlflow::Page<T>, Error>) -> Result<Self, Error> {
        match answer {
            Ok(page) => Ok(Self { items: page.items, next: page.next, problem: None }),
            Err(Error::Refused(refusal)) if refusal.kind == Kind::InvalidInput => {
                Ok(Self { items: Vec::new(), next: None, problem: Some(refusal.detail) })
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        if self.problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK }
    }
}

/// An address with a query; fields without a value are left out.
pub(super) fn address(to: &str, fields: &[(&str, &str)]) -> String {
    let said = fields.iter().filter(|(_, value)| !value.is_empty());
    let said: Vec<String> =
        said.map(|(key, value)| format!("{key}={}", path::segment(value))).collect();
    if said.is_empty() { to.to_owned() } else { format!("{to}?{}", said.join("&")) }
}

/// The page that was asked for.
pub(super) fn page_request(visit: &Visit, size: i64) -> PageRequest {
    let token = Some(visit.asked("page")).filter(|token| !token.is_empty());
    PageRequest { max_results: Some(size), token: token.map(str::to_owned) }
}

/// Active, deleted or all, with the word for it.
pub(super) fn view(visit: &Visit) -> (View, &'static str) {
    match visit.asked("view") {
        "deleted" => (View::Deleted, "deleted"),
        "all" => (View::All, "all"),
        _ => (View::Active, "active"),
    }
}

/// What a note says.
pub(super) fn note(tags: &[Pair]) -> Option<String> {
    let note = tags.iter().find(|tag| tag.key == NOTE).map(|tag| tag.value.trim())?;
    let mut shown: String = note.chars().take(NOTE_SHOWN).collect();
    if shown.len() < note.len() {
        shown.push('…');
    }
    Some(shown).filter(|note| !note.is_empty())
}

/// The list.
pub(super) async fn show(visit: Arc<Visit>) -> Answered {
    let filter = visit.asked("filter").to_owned();
    let (wanted, word) = view(&visit);
    let page = page_request(&visit, PAGE);
    let is_first = page.token.is_none();
    let query = Query { filter: filter.clone(), order_by: Vec::new(), page };
    let found = visit.app.search_experiments(&visit.caller, query, wanted).await;
    let found = Found::of(found)?;
    let href = |token: &str| {
        let view = if word == "active" { "" } else { word };
        address(path::EXPERIMENTS, &[("filter", &filter), ("view", view), ("page", token)])
    };
    let status = found.status();
    let page = ExperimentsPage {
        shell: visit.shell(),
        problem: found.problem,
        view: word.to_owned(),
        next_href: found.next.as_deref().map(href),
        first_href: (!is_first).then(|| href("")),
        rows: found.items.into_iter().map(line).collect(),
        may_write: visit.may(Operation::WriteTracking),
        filter,
    };
    visit.page_with(status, &page)
}

fn line(found: ExperimentView) -> ExperimentLine {
    ExperimentLine {
        note: note(&found.tags),
        id: found.row.experiment_id,
        name: found.row.name,
        created_at: found.row.created_at,
        updated_at: found.row.updated_at,
        deleted_at: found.row.deleted_at,
    }
}

/// Restores a deleted experiment with its runs.
pub(super) async fn restore(visit: Arc<Visit>) -> Answered {
    let id = visit.param("experiment");
    visit.app.restore_experiment(&visit.caller, id).await?;
    Ok(Answer::done(path::experiment(id), "The experiment was restored with its runs."))
}
