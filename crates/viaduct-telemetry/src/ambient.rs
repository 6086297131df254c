//! The request that the present task, or the present piece of blocking work, belongs to.
//!
//! Why not an argument: the corridor between a route and the client of another server has a dozen
//! signatures, and all but its two ends would carry it for nothing.

use std::borrow::Cow;
use std::sync::Arc;

use crate::journey::{Hop, Journey};

tokio::task_local! {
    static CURRENT: Arc<Journey>;
}

/// The request at hand; `None` where nothing is traced.
pub fn current() -> Option<Arc<Journey>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// Runs a future as part of a request.
pub async fn follow<F: Future>(journey: Arc<Journey>, future: F) -> F::Output {
    CURRENT.scope(journey, future).await
}

/// Runs blocking work as part of a request, on whatever thread.
pub fn within<T>(journey: Option<Arc<Journey>>, work: impl FnOnce() -> T) -> T {
    match journey {
        Some(journey) => CURRENT.sync_scope(journey, work),
        None => work(),
    }
}

/// Begins a call elsewhere for the request at hand.
pub fn hop<N: Into<Cow<'static, str>>>(name: impl FnOnce() -> N) -> Option<Hop> {
    CURRENT.try_with(|journey| journey.hop(name())).ok()
}
