//! Embedded files.

use std::sync::Arc;

use viaduct_base::{Kind, Refusal};

use super::Answered;
use super::answer::Answer;
use super::visit::Visit;
use crate::assets;

/// A file by the name that carries its hash.
pub(super) async fn show(visit: Arc<Visit>) -> Answered {
    let file = visit.param("file");
    let asset = assets::find(file).ok_or_else(|| {
        let detail = format!("there is no file `{file}`: reload the page that asked for it");
        Refusal::new(Kind::NotFound, detail)
    })?;
    Ok(Answer::Asset(asset))
}
