//! The kill switch, and the reports of what the gateway did by itself.

use viaduct_base::{Error, Fault, Kind, Refusal, ReportId};

use crate::disk;
use crate::gateway::Gateway;
use crate::report::{Report, ReportEvent};

impl Gateway {
    /// Stops an endpoint's model: from the next request on the fallback is answered. Works without
    /// the database and survives a restart; the control plane learns it from [`Gateway::reports`].
    ///
    /// # Errors
    /// There is no such endpoint; or the disk did not take it, and then it holds until a restart.
    pub fn kill(&self, endpoint: &str, by: &str, reason: &str) -> Result<(), Error> {
        if reason.trim().is_empty() {
            let detail = "`reason` is empty: say why the endpoint is killed";
            return Err(Refusal::new(Kind::InvalidInput, detail).into());
        }
        let event = ReportEvent::Killed { by: by.to_owned(), reason: reason.to_owned() };
        self.happened(endpoint, event)
    }

    /// Takes [`Gateway::kill`] back: the model answers again.
    ///
    /// # Errors
    /// As [`Gateway::kill`].
    pub fn revive(&self, endpoint: &str, by: &str) -> Result<(), Error> {
        self.happened(endpoint, ReportEvent::Revived { by: by.to_owned() })
    }

    /// What happened here and was not acknowledged, oldest first.
    pub fn reports(&self) -> Vec<Report> {
        self.0.core.state().local.reports.clone()
    }

    /// Forgets a report. To be called after what it says is committed and published: until then
    /// the gateway lays it over every snapshot.
    ///
    /// # Errors
    /// The disk did not take it; the report will come again after a restart.
    pub fn acknowledge(&self, report: ReportId) -> Result<(), Fault> {
        let mut state = self.0.core.state();
        if state.local.remove(report) {
            disk::write_local(self.dir(), &state.local)?;
        }
        Ok(())
    }

    fn happened(&self, endpoint: &str, event: ReportEvent) -> Result<(), Error> {
        let now = self.0.core.clock.now();
        let found = std::sync::Arc::clone(self.table()?.find(endpoint)?);
        let report = Report {
            id: ReportId::new(now),
            at: now,
            endpoint: found.spec.id,
            endpoint_name: found.spec.name.to_string(),
            event,
        };
        Ok(self.0.core.happened(report, |_| true)?)
    }
}
