//! What must not wait behind a long job: rollouts move, and callers who break a contract are named.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use viaduct_app::App;
use viaduct_app::alert::Watcher;
use viaduct_base::Timestamp;

/// A breach is taken over, and a step looked at, this often.
const TICK: Duration = Duration::from_secs(1);

/// Whether the decision log's open segment is old is looked at this often. An append seals too: this
/// is for a log that nobody appends to.
const SEAL: Duration = Duration::from_secs(600);

/// Ticks until `stop` turns true. A database that is away is asked again at the next tick.
pub(crate) async fn run(app: App, mut stop: watch::Receiver<bool>) {
    let mut watcher = Watcher::new(&app);
    let mut is_away = false;
    let mut sealed = Instant::now();
    while !*stop.borrow() {
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            _ = stop.changed() => break,
        }
        let rollouts = app.tick_rollouts().await;
        let violations = app.tick_violations(&mut watcher).await;
        let failed = rollouts.and(violations);
        // Why once: the same sentence every second would hide the others.
        if let Err(error) = &failed
            && !is_away
        {
            tracing::warn!(%error, "rollouts stand still: the gateway goes on by itself");
        }
        is_away = failed.is_err();
        if sealed.elapsed() >= SEAL {
            sealed = Instant::now();
            seal(&app).await;
        }
    }
}

async fn seal(app: &App) {
    let log = app.decisions().clone();
    let sealed = tokio::task::spawn_blocking(move || log.seal_old(Timestamp::from_system())).await;
    match sealed {
        Ok(Err(error)) => tracing::warn!(%error, "the old segment is not sealed yet"),
        Err(error) => tracing::warn!(%error, "the old segment is not sealed yet"),
        Ok(Ok(_)) => {}
    }
}
