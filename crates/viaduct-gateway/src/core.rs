//! What the gateway's own threads need of it: the table in service, and what happened here.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use viaduct_base::{Clock, EndpointId, Fault};

use crate::disk;
use crate::endpoint::{Endpoint, Table};
use crate::gateway::GatewayConfig;
use crate::models::Models;
use crate::report::{Local, Report};
use crate::snapshot::EndpointSnapshot;

pub(crate) struct Core {
    pub(crate) config: GatewayConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) models: Arc<Models>,
    pub(crate) table: ArcSwapOption<Table>,
    /// Held while the table is exchanged, which is quick: a kill never waits for a model's load.
    state: Mutex<State>,
}

/// What the table in service is made of.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The endpoints as the control plane published them.
    pub(crate) published: HashMap<EndpointId, EndpointSnapshot>,
    /// What happened here and it does not know.
    pub(crate) local: Local,
}

impl Core {
    pub(crate) fn new(config: GatewayConfig, clock: Arc<dyn Clock>, local: Local) -> Self {
        let models = Models::new(config.runtime.clone(), config.model_bytes);
        let state = Mutex::new(State { local, ..State::default() });
        Self { config, clock, models: Arc::new(models), table: ArcSwapOption::empty(), state }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.config.dir
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what happened here, lays it over the endpoint in service, and writes it to disk.
    /// Nothing happens where `is_so` no longer holds for the endpoint in service.
    pub(crate) fn happened(
        &self,
        report: Report,
        is_so: impl FnOnce(&Endpoint) -> bool,
    ) -> Result<(), Fault> {
        let mut state = self.state();
        let Some(table) = self.table.load_full() else { return Ok(()) };
        let known = table.order.iter().find(|endpoint| endpoint.spec.id == report.endpoint);
        if !known.is_some_and(|endpoint| is_so(endpoint)) {
            return Ok(());
        }
        let endpoint = report.endpoint;
        state.local.add(report);
        // Why memory first: a sick disk must not keep a bad model in service.
        self.apply_local(&state, &table, endpoint);
        disk::write_local(self.dir(), &state.local)
    }

    /// Lays what happened here over one endpoint again and exchanges it.
    fn apply_local(&self, state: &State, table: &Table, endpoint: EndpointId) {
        let Some(published) = state.published.get(&endpoint) else { return };
        let mut spec = published.clone();
        state.local.apply(&mut spec);
        let now = self.clock.now();
        let exchanged = table.order.iter().map(|known| match known.spec.id == endpoint {
            true => Arc::new(known.under(spec.clone(), now)),
            false => Arc::clone(known),
        });
        let table = Table::new(Arc::clone(&table.salt), exchanged.collect());
        self.table.store(Some(Arc::new(table)));
    }
}
