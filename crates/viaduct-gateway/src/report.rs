//! What a gateway did by itself, kept on disk until the control plane has taken it over.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use viaduct_base::{EndpointId, ReportId, RolloutId, Timestamp};

use crate::snapshot::{EndpointSnapshot, Guard, Killed};

/// Why a bound: a rolled back rollout must not come back with a snapshot that was built before;
/// nobody builds one that is two hundred rollouts old.
const ROLLED_BACK_MAX: usize = 200;

/// Something that the gateway did without the control plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// To be named in [`crate::Gateway::acknowledge`].
    pub id: ReportId,
    /// When.
    pub at: Timestamp,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Its name.
    pub endpoint_name: String,
    /// What was done.
    pub event: ReportEvent,
}

/// What a gateway does by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ReportEvent {
    /// The kill switch was thrown.
    Killed {
        /// Who did it.
        by: String,
        /// Why.
        reason: String,
    },
    /// The kill switch was taken back.
    Revived {
        /// Who did it.
        by: String,
    },
    /// A guard was breached and the challenger removed.
    RolledBack {
        /// The rollout.
        rollout: RolloutId,
        /// The challenger's version.
        model_version: i64,
        /// The condition.
        guard: Guard,
        /// What was measured.
        measured: f64,
        /// Over how many rows or requests.
        n: u64,
        /// The same as a sentence.
        why: String,
    },
}

/// The reports that are not taken over, and what follows from them for any snapshot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Local {
    pub(crate) reports: Vec<Report>,
    rolled_back: VecDeque<RolloutId>,
}

impl Local {
    pub(crate) fn add(&mut self, report: Report) {
        if let ReportEvent::RolledBack { rollout, .. } = &report.event {
            self.rolled_back.push_back(*rollout);
            if self.rolled_back.len() > ROLLED_BACK_MAX {
                self.rolled_back.pop_front();
            }
        }
        self.reports.push(report);
    }

    /// Whether there was such a report.
    pub(crate) fn remove(&mut self, id: ReportId) -> bool {
        let before = self.reports.len();
        self.reports.retain(|report| report.id != id);
        self.reports.len() < before
    }

    /// Lays what happened here over what the control plane published, which may not know it yet.
    pub(crate) fn apply(&self, spec: &mut EndpointSnapshot) {
        for report in self.reports.iter().filter(|report| report.endpoint == spec.id) {
            match &report.event {
                ReportEvent::Killed { by, reason } => {
                    let (by, reason) = (by.clone(), reason.clone());
                    spec.killed = Some(Killed { at: report.at, by, reason });
                }
                ReportEvent::Revived { .. } => spec.killed = None,
                ReportEvent::RolledBack { .. } => {}
            }
        }
        if spec.challenger.as_ref().is_some_and(|c| self.rolled_back.contains(&c.rollout)) {
            spec.challenger = None;
            spec.guards.clear();
        }
    }
}
