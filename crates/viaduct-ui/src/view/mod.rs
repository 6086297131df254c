//! What each page shows, as plain fields. Whoever wires a route fills one of these.

mod api;
mod change;
mod criterion;
mod decision;
mod effect;
mod endpoint;
mod error;
mod evaluation;
mod experiments;
mod kpi;
mod login;
mod models;
mod portfolio;
mod project;
mod review;
mod run;
mod runs;
mod serving;
mod shell;
mod stage;
mod trial;
mod users;
mod welcome;

pub use api::ApiPage;
pub use change::{Change, Changed};
pub use criterion::{Bound, Check, Criterion, Gate, Measure, Status};
pub use decision::{DecisionPage, DecisionRow, DecisionsPage, Field, Outcome};
pub use effect::{Effect, Provenance};
pub use endpoint::{Consumer, EndpointPage, NewKey, RefusedField};
pub use error::ErrorPage;
pub use evaluation::{EvaluationPage, StatusChange};
pub use experiments::{ExperimentLine, ExperimentsPage};
pub use kpi::Kpi;
pub use login::LoginPage;
pub use models::{MadeBy, ModelLine, ModelPage, ModelsPage, VersionLine};
pub use portfolio::{Blocker, PortfolioPage, ProjectRow};
pub use project::{Department, EndpointRef, HistoryEntry, HistoryKind, PersonRole, ProjectPage};
pub use review::{AskState, Review, Signature, Waiver, WaiverState};
pub use run::{ArtifactLine, RunDataset, RunMetric, RunModel, RunPage};
pub use runs::{
    ComparePage, Compared, ComparedPart, Offered, RunColumn, RunLine, RunStatus, RunsPage,
};
pub use serving::{
    KilledBy, Note, PhaseRow, RolloutCondition, RolloutEvent, RolloutPanel, RolloutStep, Tried,
    TryField, VariantRow,
};
pub use shell::{ClockBanner, Crumb, Flash, FlashLevel, Page, Person, Section, Shell};
pub use stage::{Stage, State};
pub use trial::{Arm, Trial, TrialCheck, TrialState};
pub use users::{UserRow, UsersPage};
pub use welcome::WelcomePage;
