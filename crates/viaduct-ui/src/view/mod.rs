//! What each page shows, as plain fields. Whoever wires a route fills one of these.

mod api;
mod criterion;
mod decision;
mod effect;
mod endpoint;
mod error;
mod evaluation;
mod kpi;
mod login;
mod portfolio;
mod project;
mod review;
mod serving;
mod shell;
mod stage;
mod trial;
mod users;
mod welcome;

pub use api::ApiPage;
pub use criterion::{Bound, Check, Criterion, Gate, Measure, Status};
pub use decision::{DecisionPage, DecisionRow, DecisionsPage, Field, Outcome};
pub use effect::{Effect, Provenance};
pub use endpoint::{Consumer, EndpointPage, NewKey, RefusedField};
pub use error::ErrorPage;
pub use evaluation::{EvaluationPage, StatusChange};
pub use kpi::Kpi;
pub use login::LoginPage;
pub use portfolio::{Blocker, PortfolioPage, ProjectRow};
pub use project::{Department, EndpointRef, HistoryEntry, HistoryKind, PersonRole, ProjectPage};
pub use review::{AskState, Review, Signature, Waiver, WaiverState};
pub use serving::{
    KilledBy, Note, PhaseRow, RolloutCondition, RolloutEvent, RolloutPanel, RolloutStep, Tried,
    TryField, VariantRow,
};
pub use shell::{ClockBanner, Crumb, Flash, FlashLevel, Page, Person, Section, Shell};
pub use stage::{Stage, State};
pub use trial::{Arm, Trial, TrialCheck, TrialState};
pub use users::{UserRow, UsersPage};
pub use welcome::WelcomePage;
