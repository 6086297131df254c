//! What endpoints counted since this process began, for the protocol's statistics.

use viaduct_base::Refusal;

use crate::endpoint::Endpoint;
use crate::gateway::Gateway;
use crate::histogram::Histogram;

/// A count and the time that it took in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Total {
    /// How many.
    pub count: u64,
    /// Nanoseconds in all.
    pub ns: u64,
}

/// What one endpoint counted; lives on when a new snapshot replaces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointStatistics {
    /// The endpoint's name.
    pub name: String,
    /// The version in service.
    pub version: Option<i64>,
    /// Rows that were decided.
    pub rows: u64,
    /// Requests that were answered, and the time of all requests.
    pub answered: Total,
    /// Requests that were refused; their time is among that of the answered ones.
    pub refused: Total,
    /// Runs of the model.
    pub model: Total,
}

impl Gateway {
    /// Statistics of one endpoint, or of all in the order of their names.
    ///
    /// # Errors
    /// There is no such endpoint, or no snapshot yet.
    pub fn statistics(&self, endpoint: Option<&str>) -> Result<Vec<EndpointStatistics>, Refusal> {
        let table = self.table()?;
        if let Some(name) = endpoint {
            return Ok(vec![of(table.find(name)?)]);
        }
        let mut all: Vec<_> = table.endpoints.values().map(|endpoint| of(endpoint)).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }
}

fn of(endpoint: &Endpoint) -> EndpointStatistics {
    let counters = &endpoint.counters;
    let requests = total(&counters.duration);
    let answered = counters.answered_requests().min(requests.count);
    EndpointStatistics {
        name: endpoint.spec.name.to_string(),
        version: endpoint.spec.model.as_ref().map(|model| model.version),
        rows: counters.decided_rows(),
        answered: Total { count: answered, ns: requests.ns },
        refused: Total { count: requests.count - answered, ns: 0 },
        model: total(&counters.model_duration),
    }
}

fn total(histogram: &Histogram) -> Total {
    let ns = (histogram.sum_seconds() * 1e9) as u64;
    Total { count: histogram.counts().total(), ns }
}
