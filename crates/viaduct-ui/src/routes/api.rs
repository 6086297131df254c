//! The API browser.

use std::sync::Arc;

use super::Answered;
use super::visit::Visit;
use crate::view::ApiPage;

/// The page; its script reads the OpenAPI document.
pub(super) async fn show(visit: Arc<Visit>) -> Answered {
    visit.page(&ApiPage { shell: visit.shell() })
}
