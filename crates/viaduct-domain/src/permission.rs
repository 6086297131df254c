//! Who may do what: a closed list of operations, one row each, denied unless the row allows it.
//!
//! The same text names an operation in this table, in the OpenAPI document, in logs and in audit.

use serde::{Deserialize, Serialize};
use viaduct_base::{Kind, Refusal, UserId, WorkspaceId};

/// What a user may do in the workspace. Roles in a project (owner, signer) come from its charter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads everything in the workspace.
    Viewer,
    /// Reads and writes projects, models, endpoints and decisions.
    Member,
    /// All of that, and people, tokens of others, jobs and the clock.
    Admin,
}

impl Role {
    /// All roles, weakest first.
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Member, Role::Admin];

    /// The word in tables, URLs and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Member => "member",
            Role::Admin => "admin",
        }
    }

    /// The role with this word.
    pub fn parse(text: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// Who stands behind a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Nobody has been named.
    Anonymous,
    /// A signed-in person.
    User {
        /// The person's id.
        id: UserId,
        /// The name used in charters.
        name: String,
        /// The role in the workspace.
        role: Role,
    },
    /// The platform itself: a job, a schedule, a reconciler. No request can be this.
    System,
}

/// Whether the server is open (loopback, no user exists yet) or demands a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// No user exists and only this machine can reach the server.
    Open,
    /// A login is demanded.
    Locked,
}

/// A command's caller: who, in which workspace, through which door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who it is.
    pub who: Who,
    /// The workspace in which the command acts.
    pub workspace: WorkspaceId,
    /// The state of the door when the request came in.
    pub door: Door,
}

impl Caller {
    /// The platform acting by itself in `workspace`.
    pub fn system(workspace: WorkspaceId) -> Self {
        Self { who: Who::System, workspace, door: Door::Locked }
    }

    /// The name for audit rows: the user's, `anonymous`, or `system`.
    pub fn actor(&self) -> &str {
        match &self.who {
            Who::Anonymous => "anonymous",
            Who::User { name, .. } => name,
            Who::System => "system",
        }
    }

    /// The user's name, where there is one.
    pub fn user_name(&self) -> Option<&str> {
        match &self.who {
            Who::User { name, .. } => Some(name),
            Who::Anonymous | Who::System => None,
        }
    }
}

/// What a row of the table asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "ask", content = "role")]
pub enum Access {
    /// Anyone: health, login page, static files.
    Public,
    /// At least this role, or anyone while the door is open.
    AtLeast(Role),
    /// At least this role and a name; an open door is not enough.
    Named(Role),
    /// At least this role, or a consumer's key for that endpoint, checked by the data plane.
    ConsumerOr(Role),
}

macro_rules! operations {
    ($($variant:ident $name:literal $access:expr, $doc:literal;)+) => {
        /// Every operation the binary answers. Also the OpenAPI operation id and the log field.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Operation {
            $(#[doc = $doc] $variant,)+
        }

        impl Operation {
            /// All rows, in order.
            pub const ALL: &'static [Operation] = &[$(Operation::$variant,)+];

            /// The name in OpenAPI, logs and audit.
            pub fn name(self) -> &'static str {
                match self { $(Operation::$variant => $name,)+ }
            }

            /// What the table asks of the caller.
            pub fn access(self) -> Access {
                use Access::{AtLeast, ConsumerOr, Named, Public};
                use Role::{Admin, Member, Viewer};
                match self { $(Operation::$variant => $access,)+ }
            }

            /// One line for people.
            pub fn summary(self) -> &'static str {
                match self { $(Operation::$variant => $doc,)+ }
            }
        }
    };
}

operations! {
    Health "health" Public, "Liveness, readiness and version";
    Metrics "metrics" AtLeast(Viewer), "Metrics in the OpenMetrics text format";
    ReadOpenApi "read_openapi" Public, "The OpenAPI document and its page";
    ReadAsset "read_asset" Public, "Styles, scripts and icons of the pages";
    Login "login" Public, "Sign in with name and password";
    Logout "logout" Public, "End the browser session";
    ReadWho "read_who" Public, "Who the server takes you for";

    ApplyProject "apply_project" AtLeast(Member), "Apply a project file";
    ReadProject "read_project" AtLeast(Viewer), "Projects: list, show, facts, evaluations, estimates";
    DeleteProject "delete_project" AtLeast(Member), "Delete a project that is still a concept";
    ShelveProject "shelve_project" Named(Member), "Shelve or retire a project with a cause";
    FreezeProject "freeze_project" Named(Member), "Freeze a project, or thaw it";
    CollectFacts "collect_facts" AtLeast(Member), "Run the collectors of a project now";
    LoadHistory "load_history" AtLeast(Member), "Load dated KPI history";
    FreezeBaseline "freeze_baseline" AtLeast(Member), "Freeze a KPI's baseline";
    RegisterTrial "register_trial" AtLeast(Member), "Register the plan of a trial";
    ReproduceModel "reproduce_model" Named(Member), "Train the model again in a clean place";
    RequestGate "request_gate" Named(Member), "Ask for a gate: open a review";
    SignReview "sign_review" Named(Viewer), "Sign a review";
    WithdrawReview "withdraw_review" Named(Member), "Withdraw a review";
    RequestWaiver "request_waiver" Named(Member), "Ask for a waiver of one criterion";
    ApproveWaiver "approve_waiver" Named(Viewer), "Approve a waiver from outside the project";

    Predict "predict" ConsumerOr(Member), "Predict: one decision for each row";
    ReadServing "read_serving" AtLeast(Viewer), "Open Inference Protocol: metadata and readiness";
    ReadEndpoint "read_endpoint" AtLeast(Viewer), "Endpoints: list, show";
    DeployEndpoint "deploy_endpoint" AtLeast(Member), "Deploy, change or delete an endpoint that no project owns";
    ControlRollout "control_rollout" AtLeast(Member), "Start, advance, pause, resume or roll back a rollout";
    KillEndpoint "kill_endpoint" AtLeast(Member), "Throw an endpoint's kill switch, or take it back";
    RunDrill "run_drill" AtLeast(Member), "Run a drill on an endpoint";
    CloseAlert "close_alert" AtLeast(Member), "Close an alert";
    EvaluateFlag "evaluate_flag" ConsumerOr(Member), "OFREP: which variant an entity meets";
    CreateConsumer "create_consumer" AtLeast(Member), "Give a consumer of an endpoint its key";
    ReadDecision "read_decision" AtLeast(Viewer), "Decisions with their outcomes";
    ExportDecisions "export_decisions" AtLeast(Member), "Decisions as a Parquet file";
    ReplayDecision "replay_decision" AtLeast(Member), "Ask a version about a decision's inputs again";
    EraseEntity "erase_entity" Named(Member), "Take an entity out of an endpoint's decisions";
    RecordOutcome "record_outcome" ConsumerOr(Member), "Record outcomes of decisions";

    ReadTracking "read_tracking" AtLeast(Viewer), "MLflow: read experiments, runs, metrics, artifacts";
    WriteTracking "write_tracking" AtLeast(Member), "MLflow: write experiments, runs, metrics, artifacts";
    ReadRegistry "read_registry" AtLeast(Viewer), "MLflow: read models, versions, aliases";
    CollectGarbage "collect_garbage" AtLeast(Admin), "MLflow: take away for good what was deleted long ago";
    ManageWebhooks "manage_webhooks" AtLeast(Admin), "MLflow: webhooks of the registry";
    WriteRegistry "write_registry" AtLeast(Member), "MLflow: write models, versions, aliases";

    AddUser "add_user" AtLeast(Admin), "Add a user";
    DisableUser "disable_user" AtLeast(Admin), "Disable a user";
    ListUsers "list_users" AtLeast(Viewer), "List users";
    CreateToken "create_token" Named(Viewer), "Create an API token of one's own";
    RevokeToken "revoke_token" Named(Viewer), "Revoke an API token";
    ReadAudit "read_audit" AtLeast(Viewer), "The audit trail";
    ReadJobs "read_jobs" AtLeast(Viewer), "Jobs: waiting, running, parked";
    ReadClock "read_clock" AtLeast(Viewer), "The server's clock";
    AdvanceClock "advance_clock" AtLeast(Admin), "Advance the simulated clock";
}

/// Checks the table's row; what it returns is the permission itself.
///
/// # Errors
/// `login-required` for nobody at a locked door, `name-needed` where an open door is not enough,
/// `forbidden` for a role too weak.
pub fn check(caller: &Caller, operation: Operation) -> Result<(), Refusal> {
    let name = operation.name();
    let (needed, must_be_named) = match operation.access() {
        Access::Public => return Ok(()),
        Access::AtLeast(role) | Access::ConsumerOr(role) => (role, false),
        Access::Named(role) => (role, true),
    };
    match &caller.who {
        Who::System => Ok(()),
        Who::User { role, .. } if *role >= needed => Ok(()),
        Who::User { name: user, role, .. } => Err(Refusal::new(
            Kind::Forbidden,
            format!(
                "`{user}` is a {}; `{name}` asks for {} or more: an admin can change the role",
                role.as_str(),
                needed.as_str()
            ),
        )),
        Who::Anonymous if caller.door == Door::Open && !must_be_named => Ok(()),
        Who::Anonymous if caller.door == Door::Open => Err(Refusal::new(
            Kind::NameNeeded,
            format!(
                "`{name}` needs a named person: add one with `viaduct user add NAME --role admin`"
            ),
        )),
        Who::Anonymous => Err(Refusal::new(
            Kind::LoginRequired,
            format!(
                "`{name}` needs a login: send a Bearer token, Basic name and password, or sign in"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use viaduct_base::Timestamp;

    fn caller(who: Who, door: Door) -> Caller {
        Caller { who, workspace: WorkspaceId::new(Timestamp::from_micros(0)), door }
    }

    fn user(role: Role) -> Who {
        Who::User { id: UserId::new(Timestamp::from_micros(0)), name: "ada".into(), role }
    }

    #[test]
    fn names_are_unique_snake_case() {
        let mut names: Vec<_> = Operation::ALL.iter().map(|o| o.name()).collect();
        assert!(names.iter().all(|n| n.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Operation::ALL.len());
    }

    #[test]
    fn a_locked_door_lets_nobody_in_but_through_public_rows() {
        for operation in Operation::ALL {
            let answer = check(&caller(Who::Anonymous, Door::Locked), *operation);
            assert_eq!(answer.is_ok(), operation.access() == Access::Public, "{operation:?}");
        }
    }

    #[test]
    fn an_open_door_never_names_anybody() {
        for operation in Operation::ALL {
            let answer = check(&caller(Who::Anonymous, Door::Open), *operation);
            let named = matches!(operation.access(), Access::Named(_));
            assert_eq!(answer.is_err(), named, "{operation:?}");
        }
    }

    #[test]
    fn roles_are_ordered() {
        for operation in Operation::ALL {
            assert!(check(&caller(user(Role::Admin), Door::Locked), *operation).is_ok());
        }
        let viewer = caller(user(Role::Viewer), Door::Locked);
        assert_eq!(check(&viewer, Operation::ApplyProject).unwrap_err().kind, Kind::Forbidden);
        assert!(check(&viewer, Operation::SignReview).is_ok());
    }
}
