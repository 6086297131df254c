//! The dispatch of commands, and those that list, show and delete things.

use serde_json::Value;

use crate::args::{DeleteWhat, DescribeArgs, Described, GetArgs, Listed, Remote};
use crate::client::segment;
use crate::{Failure, Session, decisions, gates, measure, parity, people, rollout, serving, table};

impl Remote {
    pub(crate) fn run(&self, session: &mut Session<'_>) -> Result<(), Failure> {
        match self {
            Remote::Apply(args) => args.run(session),
            Remote::Diff(args) => args.diff(session),
            Remote::Get(args) => get(session, args),
            Remote::Describe(args) => describe(session, args),
            Remote::Delete { what: DeleteWhat::Project { name } } => delete(session, name),
            Remote::Delete { what: DeleteWhat::Endpoint { name } } => {
                serving::delete(session, name)
            }
            Remote::Deploy(args) => serving::deploy(session, args),
            Remote::Parity { model } => parity::parity(session, model),
            Remote::Rollout { verb } => rollout::run(session, verb),
            Remote::Kill(args) => serving::kill(session, args),
            Remote::Revive { endpoint } => serving::revive(session, endpoint),
            Remote::Drill(args) => serving::drill(session, args),
            Remote::Alert { verb } => serving::alert(session, verb),
            Remote::Collect { project } => measure::collect(session, project),
            Remote::Review { verb } => gates::review(session, verb),
            Remote::Trial { verb } => measure::trial(session, verb),
            Remote::Kpi { verb } => measure::kpi(session, verb),
            Remote::Waiver { verb } => gates::waiver(session, verb),
            Remote::Reproduce { project } => measure::reproduce(session, project),
            Remote::Shelve { project, cause, note } => gates::shelve(session, project, cause, note),
            Remote::Retire(args) => gates::end(session, args, "retire", "retired"),
            Remote::Freeze(args) => gates::end(session, args, "freeze", "frozen"),
            Remote::Thaw(args) => gates::end(session, args, "thaw", "clear again"),
            Remote::Whoami => people::whoami(session),
            Remote::User { verb } => people::user(session, verb),
            Remote::Token { verb } => people::token(session, verb),
            Remote::Consumer { verb } => people::consumer(session, verb),
            Remote::Decisions { verb } => decisions::run(session, verb),
            Remote::Gc { what } => crate::gc::gc(session, what),
            Remote::Clock { verb } => measure::clock(session, verb),
            Remote::Openapi => openapi(session),
        }
    }
}

struct List {
    path: &'static str,
    columns: &'static [&'static str],
    of_project: bool,
}

impl Listed {
    fn list(self) -> List {
        let (path, columns, of_project): (_, &[&str], _) = match self {
            Listed::Projects => ("/projects", &["name", "title", "stage", "state", "tier"], false),
            Listed::Endpoints => (
                "/endpoints",
                &["name", "mode", "model", "version", "project", "unowned", "fallback"],
                false,
            ),
            Listed::Users => {
                ("/users", &["name", "role", "created_at", "signed_in_at", "disabled_at"], false)
            }
            Listed::Jobs => (
                "/jobs",
                &["id", "kind", "attempts", "run_at", "completed_at", "parked_at", "last_error"],
                false,
            ),
            Listed::Audit => {
                ("/audit", &["seq", "at", "actor", "action", "object_id", "detail"], false)
            }
            Listed::Criteria => {
                ("/gate", &["criterion", "id", "title", "status", "distance"], true)
            }
            Listed::Facts => (
                "/facts",
                &["name", "value", "unit", "n", "provenance", "observed_at", "producer"],
                true,
            ),
            Listed::Evaluations => ("/evaluations", &["id", "gate", "at", "opens", "hash"], true),
            Listed::Estimates => (
                "/estimates",
                &["kind", "estimate", "lower", "upper", "level", "n", "grade", "at"],
                true,
            ),
            Listed::Decisions => {
                ("/decisions", &["id", "at", "variant", "action", "model_action"], true)
            }
            Listed::Trials => ("/trials", &["id", "name", "state", "starts_at", "ends_at"], true),
            Listed::Waivers => {
                ("/waivers", &["id", "criterion", "state", "expires_at", "approver"], true)
            }
        };
        List { path, columns, of_project }
    }
}

fn get(session: &mut Session<'_>, args: &GetArgs) -> Result<(), Failure> {
    let list = args.what.list();
    let path = match (&args.project, list.of_project) {
        (Some(project), true) => format!("/api/v1/projects/{}{}", segment(project), list.path),
        (None, true) => {
            return Err(Failure::Usage(format!(
                "`get {}` needs a project: add `--project NAME`",
                list.path.trim_start_matches('/')
            )));
        }
        (_, false) => format!("/api/v1{}", list.path),
    };
    let answer = session.client.get(&path)?;
    if args.what == Listed::Criteria {
        return session.printer.answer(&answer, gates::render_evaluation);
    }
    session
        .printer
        .answer(&answer, |answer, paint| table::list(answer, list.columns, "none yet", paint))
}

fn describe(session: &mut Session<'_>, args: &DescribeArgs) -> Result<(), Failure> {
    let name = segment(&args.name);
    let path = match args.what {
        Described::Project => format!("/api/v1/projects/{name}"),
        Described::Endpoint => format!("/api/v1/endpoints/{name}"),
        Described::Decision => format!("/api/v1/decisions/{name}"),
        Described::Review => format!("/api/v1/reviews/{name}"),
        Described::Trial => format!("/api/v1/trials/{name}"),
    };
    let answer = session.client.get(&path)?;
    session.printer.answer(&answer, table::describe)?;
    if args.what == Described::Project && !session.printer.is_json() {
        let gate = session.client.get(&format!("{path}/gate"))?;
        session.printer.print("")?;
        session.printer.answer(&gate, gates::render_evaluation)?;
    }
    Ok(())
}

fn delete(session: &mut Session<'_>, name: &str) -> Result<(), Failure> {
    session.client.delete(&format!("/api/v1/projects/{}", segment(name)))?;
    session.printer.say(&format!("project `{name}` is deleted"));
    Ok(())
}

fn openapi(session: &mut Session<'_>) -> Result<(), Failure> {
    let document: Value = session.client.get("/api/openapi.json")?;
    let text = serde_json::to_string_pretty(&document)
        .map_err(|error| Failure::Broken(format!("cannot print JSON: {error}")))?;
    Ok(session.printer.print(&text)?)
}
