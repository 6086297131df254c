//! What consumers used of today's quota before this process began.

use std::collections::HashMap;
use std::sync::Arc;

use viaduct_base::{ConsumerId, EndpointId, Timestamp};
use viaduct_decisions::{DecisionLog, Record};

use crate::gateway::Gateway;
use crate::limits::{self, Limiter};

/// An endpoint and those of its consumers that have a quota.
type Counted = (EndpointId, HashMap<ConsumerId, Arc<Limiter>>);

impl Gateway {
    /// Counts today's decisions of each consumer with a quota. Why on a thread of its own: a start
    /// does not wait for a day's log, and until it is read a consumer may at most use a second
    /// quota's part.
    pub(crate) fn count_used(&self) {
        let Some(table) = self.0.core.table.load_full() else { return };
        let counted: Vec<Counted> = table
            .order
            .iter()
            .map(|endpoint| (endpoint.spec.id, endpoint.with_quota()))
            .filter(|(_, limiters)| !limiters.is_empty())
            .collect();
        if counted.is_empty() {
            return;
        }
        let (log, now) = (self.0.log.clone(), Timestamp::from_system());
        let count = move || counted.iter().for_each(|endpoint| count(&log, endpoint, now));
        // Why ignored: a machine without a thread to spare has worse trouble than a quota that
        // begins anew.
        let _ = std::thread::Builder::new().name("quota-count".to_owned()).spawn(count);
    }
}

/// Rows of today that were decided before `now`, each to its consumer's account.
fn count(log: &DecisionLog, (endpoint, limiters): &Counted, now: Timestamp) {
    let (day, midnight) = limits::day(now);
    let mut used: HashMap<ConsumerId, u64> = HashMap::new();
    for record in log.scan(Some(*endpoint), midnight, now) {
        // A damaged place is told by the log itself; here it costs the owner a few rows.
        if let Ok(Record::Decision(row)) = record
            && let Some(consumer) = row.consumer
        {
            *used.entry(consumer).or_default() += 1;
        }
    }
    for (consumer, rows) in used {
        if let Some(limiter) = limiters.get(&consumer) {
            limiter.used_before(day, rows);
        }
    }
}
