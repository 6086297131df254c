//! What can be said on the command line to a server.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::decisions::DecisionsVerb;
use crate::rollout::RolloutVerb;
use crate::serving::{AlertVerb, DeployArgs, DrillArgs, KillArgs};

/// Commands that speak to a server.
#[derive(Debug, Subcommand)]
pub enum Remote {
    /// Create or change a project or an endpoint from its file
    Apply(ApplyArgs),
    /// Show what `apply` would change; exits 5 when there is something
    Diff(FileArgs),
    /// List things
    Get(GetArgs),
    /// Show one thing whole
    Describe(DescribeArgs),
    /// Delete a project without evidence, or an endpoint without a project
    Delete {
        #[command(subcommand)]
        what: DeleteWhat,
    },
    /// Measure the facts of a project now
    Collect {
        /// The project's name
        project: String,
    },
    /// Ask for a gate, sign it, look at it
    Review {
        #[command(subcommand)]
        verb: ReviewVerb,
    },
    /// Register the trial of the project file
    Trial {
        #[command(subcommand)]
        verb: TrialVerb,
    },
    /// History and baseline of a KPI
    Kpi {
        #[command(subcommand)]
        verb: KpiVerb,
    },
    /// Ask for, approve and list waivers
    Waiver {
        #[command(subcommand)]
        verb: WaiverVerb,
    },
    /// Rerun a project's training in an empty directory (criterion M2)
    Reproduce {
        /// The project's name
        project: String,
    },
    /// End a project that will not go on, with the cause
    Shelve {
        /// The project's name
        project: String,
        /// One of the fixed causes
        #[arg(long)]
        cause: String,
        /// What happened, in a sentence; it is kept
        #[arg(long)]
        note: String,
    },
    /// End a project that has done its work
    Retire(NoteArgs),
    /// Freeze a project: its endpoint answers business as usual at once
    Freeze(NoteArgs),
    /// Let a frozen project go on
    Thaw(NoteArgs),
    /// Say who the server takes you for
    Whoami,
    /// Accounts of people
    User {
        #[command(subcommand)]
        verb: UserVerb,
    },
    /// API tokens
    Token {
        #[command(subcommand)]
        verb: TokenVerb,
    },
    /// Deploy a registered model as an endpoint of its own
    Deploy(DeployArgs),
    /// Show whether an ONNX version says what the model it was made of says
    Parity {
        /// The version, as in `churn/3`
        model: String,
    },
    /// Bring a new version into service step by step
    Rollout {
        #[command(subcommand)]
        verb: RolloutVerb,
    },
    /// Stop an endpoint's model at once; the fallback answers
    Kill(KillArgs),
    /// Let a killed endpoint's model answer again
    Revive {
        /// The endpoint's name
        endpoint: String,
    },
    /// Try an endpoint's safety nets; exits 5 when one does not hold
    Drill(DrillArgs),
    /// What somebody has to act on
    Alert {
        #[command(subcommand)]
        verb: AlertVerb,
    },
    /// Teams and systems that call an endpoint
    Consumer {
        #[command(subcommand)]
        verb: ConsumerVerb,
    },
    /// Decisions out of the log: export, replay, erase
    Decisions {
        #[command(subcommand)]
        verb: DecisionsVerb,
    },
    /// Take away for good what was deleted long ago; admins only
    Gc {
        #[command(subcommand)]
        what: GcWhat,
    },
    /// The server's clock
    Clock {
        #[command(subcommand)]
        verb: ClockVerb,
    },
    /// Print the OpenAPI document of the server
    Openapi,
}

/// A project, and why.
#[derive(Debug, Args)]
pub struct NoteArgs {
    /// The project's name
    pub project: String,
    /// Why, in a sentence; it is kept
    #[arg(long)]
    pub note: String,
}

/// A project file.
#[derive(Debug, Args)]
pub struct FileArgs {
    /// The project file; `-` reads standard input
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub file: PathBuf,
}

/// `apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// The project file; `-` reads standard input
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub file: PathBuf,
    /// Only show the changes
    #[arg(long)]
    pub dry_run: bool,
}

/// `get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// What to list
    pub what: Listed,
    /// The project whose things are listed
    #[arg(short, long)]
    pub project: Option<String>,
}

/// Lists that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Listed {
    Projects,
    Endpoints,
    Users,
    Jobs,
    Audit,
    Criteria,
    Facts,
    Evaluations,
    Estimates,
    Decisions,
    Trials,
    Waivers,
}

/// `describe`.
#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// What kind of thing
    pub what: Described,
    /// Its name or id
    pub name: String,
}

/// Things that can be shown whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Described {
    Project,
    Endpoint,
    Decision,
    Review,
    Trial,
}

/// `delete`.
#[derive(Debug, Subcommand)]
pub enum DeleteWhat {
    /// A project that has no evidence yet
    Project {
        /// Its name
        name: String,
    },
    /// An endpoint that no project owns
    Endpoint {
        /// Its name
        name: String,
    },
}

/// `review`.
#[derive(Debug, Subcommand)]
pub enum ReviewVerb {
    /// Ask for the next gate of a project
    Request {
        /// The project's name
        project: String,
    },
    /// Sign a review
    Sign {
        /// The review's id
        review: String,
        /// The role you sign in, as in `business_owner`
        #[arg(long)]
        role: String,
        /// The risk that remains, in your words
        #[arg(long)]
        statement: String,
        /// The hash of the evaluation that you read; refused when the review is on another
        #[arg(long)]
        hash: Option<String>,
    },
    /// Show a review
    Show {
        /// The review's id
        review: String,
    },
    /// Withdraw a review
    Withdraw {
        /// The review's id
        review: String,
    },
}

/// `trial`.
#[derive(Debug, Subcommand)]
pub enum TrialVerb {
    /// Register the plan of the project file; it cannot be changed afterwards
    Register {
        /// The project's name
        project: String,
        /// When it starts, as in 2026-03-02T00:00:00Z; at once without it
        #[arg(long)]
        starts_at: Option<String>,
    },
    /// Show a trial
    Show {
        /// The trial's id
        trial: String,
    },
}

/// `kpi`.
#[derive(Debug, Subcommand)]
pub enum KpiVerb {
    /// Freeze the history as the baseline
    Freeze {
        /// The project's name
        project: String,
        /// The KPI's name
        kpi: String,
    },
    /// Show the points of a KPI, or bring history in with -f
    History {
        /// The project's name
        project: String,
        /// The KPI's name
        kpi: String,
        /// CSV with `date,value,n`
        #[arg(short = 'f', long = "file", value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// `waiver`.
#[derive(Debug, Subcommand)]
pub enum WaiverVerb {
    /// Ask that a criterion be waived for a time
    Request {
        /// The project's name
        project: String,
        /// The criterion, as in `D4`
        criterion: String,
        /// Why it cannot be met now
        #[arg(long)]
        reason: String,
        /// What is done instead
        #[arg(long)]
        compensation: String,
        /// When it ends, as in 2026-06-30T00:00:00Z; at most 90 days on
        #[arg(long)]
        expires_at: String,
    },
    /// Approve a waiver; you must stand outside the project
    Approve {
        /// The waiver's id
        waiver: String,
    },
    /// The waivers of a project
    List {
        /// The project's name
        project: String,
    },
}

/// `user`.
#[derive(Debug, Subcommand)]
pub enum UserVerb {
    /// Add a person; as soon as there is one, a login is demanded
    Add {
        /// Login name
        name: String,
        /// What they may do; the first user should be `admin`
        #[arg(long, default_value = "member")]
        role: String,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Shut a person out
    Disable {
        /// Login name
        name: String,
    },
    /// List people
    List,
}

/// `token`.
#[derive(Debug, Subcommand)]
pub enum TokenVerb {
    /// Make a token; it is shown once
    Create {
        /// What it is for
        name: String,
        /// Log in as this user instead of by VIADUCT_TOKEN
        #[arg(long, requires = "password_stdin")]
        user: Option<String>,
        /// Read that user's password from standard input
        #[arg(long, requires = "user")]
        password_stdin: bool,
    },
    /// Make a token useless
    Revoke {
        /// The token's id
        token: String,
    },
}

/// `consumer`.
#[derive(Debug, Subcommand)]
pub enum ConsumerVerb {
    /// Add a consumer to an endpoint; its key is shown once
    Add {
        /// The endpoint's name
        endpoint: String,
        /// The consumer's name
        name: String,
        /// Rows a second that it may ask for, lastingly
        #[arg(long)]
        rate_per_second: Option<f64>,
        /// Rows that it may ask for at once
        #[arg(long, requires = "rate_per_second")]
        burst: Option<u32>,
        /// Rows a day that it may ask for
        #[arg(long)]
        quota_per_day: Option<u64>,
    },
    /// The consumers of an endpoint with their limits
    List {
        /// The endpoint's name
        endpoint: String,
    },
    /// Make a consumer's key useless
    Revoke {
        /// The endpoint's name
        endpoint: String,
        /// The consumer's name
        name: String,
    },
}

/// `clock`.
#[derive(Debug, Subcommand)]
pub enum ClockVerb {
    /// Show the time and the kind of clock
    Show,
    /// Move a simulated clock forward; answers when the work due is done
    Advance {
        /// By a span, as in `P1D` or `PT6H`
        #[arg(long, required_unless_present = "to", conflicts_with = "to")]
        by: Option<String>,
        /// To a time, as in 2026-03-02T00:00:00Z
        #[arg(long)]
        to: Option<String>,
    },
}

/// `gc`.
#[derive(Debug, Subcommand)]
pub enum GcWhat {
    /// Runs, logged models and experiments, with metrics and artifacts; without `--yes` only told
    Mlflow {
        /// Deleted at least so long ago, as in `P90D`; the server's retention without it
        #[arg(long, value_name = "SPAN")]
        older_than: Option<String>,
        /// Take them away
        #[arg(long)]
        yes: bool,
    },
    /// Rows of the decision log and inputs of decisions that are too old; without `--yes` only told
    Decisions {
        /// Of this endpoint alone
        #[arg(long, value_name = "ENDPOINT")]
        endpoint: Option<String>,
        /// Rows that are older go, as in `P400D`; without any age, what the server is configured to
        /// keep
        #[arg(long, value_name = "SPAN")]
        rows_older_than: Option<String>,
        /// Decisions that are older lose their inputs, as in `P90D`
        #[arg(long, value_name = "SPAN")]
        inputs_older_than: Option<String>,
        /// Take them away
        #[arg(long)]
        yes: bool,
    },
}
