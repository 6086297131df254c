//! What must not wait behind a long job: rollouts move, and callers who break a contract are named.

use std::time::Duration;

use tokio::sync::watch;
use viaduct_app::App;
use viaduct_app::alert::Watcher;

/// A breach is taken over, and a step looked at, this often.
const TICK: Duration = Duration::from_secs(1);

/// Ticks until `stop` turns true. A database that is away is asked again at the next tick.
pub(crate) async fn run(app: App, mut stop: watch::Receiver<bool>) {
    let mut watcher = Watcher::new(&app);
    let mut is_away = false;
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
    }
}
