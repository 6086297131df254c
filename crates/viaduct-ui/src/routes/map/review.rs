//! Reviews with their signatures, whether a gate can be asked for, and waivers.

use viaduct_app::gate::{GateView, ReviewView, WaiverView};
use viaduct_app::project::Project;
use viaduct_base::Timestamp;
use viaduct_domain::permission::{Operation, check};
use viaduct_domain::policy::OnTimeout;
use viaduct_domain::review::ReviewState;
use viaduct_domain::stage::State;

use crate::routes::visit::Visit;
use crate::view::{AskState, Review, Signature, Waiver, WaiverState};

/// An open review as its reader sees it.
pub(in crate::routes) fn review(visit: &Visit, project: &Project, found: &ReviewView) -> Review {
    let signatures = signatures(found);
    let me = visit.me();
    let has_signed = signatures.iter().any(|s| s.signed_by.as_deref() == me && me.is_some());
    let is_mine =
        |s: &&Signature| me.is_some_and(|me| s.people.iter().any(|person| person.as_str() == me));
    let mut my_roles: Vec<String> = signatures
        .iter()
        .filter(|s| s.signed_by.is_none() && !has_signed)
        .filter(is_mine)
        .map(|s| s.role.clone())
        .collect();
    my_roles.dedup();
    let opened_it = me == Some(found.opened_by.as_str());
    let concerns_me = opened_it || signatures.iter().any(|s| is_mine(&s));
    Review {
        id: found.id.to_string(),
        gate: found.gate.to_string(),
        evaluation_id: found.evaluation.to_string(),
        evaluation_hash: found.evaluation_hash.to_string(),
        opened_by: found.opened_by.to_string(),
        opened_at: found.opened_at,
        timeout: timeout(visit, project, found),
        my_roles: if visit.may(Operation::SignReview) { my_roles } else { Vec::new() },
        may_withdraw: concerns_me && visit.may(Operation::WithdrawReview),
        signatures,
    }
}

fn timeout(visit: &Visit, project: &Project, found: &ReviewView) -> Option<String> {
    let gate = visit.app.policy().gate(found.gate)?;
    let tier = project.tier;
    Some(match gate.on_timeout(tier) {
        OnTimeout::Escalate => {
            format!("Tier {tier}: silence does not open the gate; it is escalated.")
        }
        OnTimeout::Accept => format!(
            "Tier {tier}: silence counts as consent once the due date has passed, provided that every blocking criterion still passes."
        ),
    })
}

/// The signatures wanted, each with the one that was given.
pub(in crate::routes) fn signatures(found: &ReviewView) -> Vec<Signature> {
    let mut given: Vec<_> = found.signatures.iter().collect();
    found
        .required
        .iter()
        .map(|slot| {
            let fits = given
                .iter()
                .position(|signed| signed.role == slot.role && slot.users.contains(&signed.user));
            let signed = fits.map(|place| given.remove(place));
            let is_open = found.state == ReviewState::Open;
            Signature {
                role: slot.role.to_string(),
                vouches_for: vouches(&slot.statement),
                people: slot.users.iter().map(ToString::to_string).collect(),
                signed_by: signed.map(|s| s.user.to_string()),
                signed_at: signed.map(|s| s.signed_at),
                statement: signed.map(|s| s.statement.clone()),
                due_at: (signed.is_none() && is_open).then_some(found.due_at),
            }
        })
        .collect()
}

/// The policy's sentence without the blank that the signer fills.
fn vouches(statement: &str) -> String {
    let cut = statement.find("The main residual risk is").unwrap_or(statement.len());
    statement[..cut].trim().to_owned()
}

/// Whether the gate can be asked for by this reader, now.
pub(in crate::routes) fn ask(
    visit: &Visit,
    project: &Project,
    gate: Option<&GateView>,
) -> AskState {
    let Some(gate) = gate.filter(|_| project.standing.stage.is_live()) else {
        return AskState::Hidden;
    };
    let name = gate.evaluation.gate;
    match project.standing.state {
        State::UnderReview => return AskState::Hidden,
        State::Frozen => {
            let why =
                format!("{name} cannot be asked for while the project is frozen: thaw it first.");
            return AskState::NotYet(why);
        }
        State::Clear => {}
    }
    if !gate.evaluation.opens {
        let count = gate.evaluation.blockers.len();
        let (noun, verb) = if count == 1 { ("criterion", "is") } else { ("criteria", "are") };
        let why =
            format!("{name} cannot be asked for: {count} blocking {noun} {verb} not met yet.");
        return AskState::NotYet(why);
    }
    match check(&visit.caller, Operation::RequestGate) {
        Ok(()) => AskState::Ready,
        Err(refusal) => {
            AskState::NotYet(format!("{name} is ready to be asked for. {}.", refusal.detail))
        }
    }
}

/// Waivers, what counts against the project first.
pub(in crate::routes) fn waivers(
    visit: &Visit,
    project: &Project,
    found: Vec<WaiverView>,
    now: Timestamp,
) -> Vec<Waiver> {
    let insider =
        |name: &str| project.spec.charter.people().any(|(_, person)| person.as_str() == name);
    let may = |waiver: &viaduct_domain::waiver::Waiver| {
        visit.me().is_some_and(|me| !insider(me) && waiver.requested_by.as_str() != me)
            && visit.may(Operation::ApproveWaiver)
    };
    let mut waivers: Vec<Waiver> = found
        .into_iter()
        .map(|WaiverView { waiver, is_active }| {
            let state = match (is_active, &waiver.approval) {
                (true, _) => WaiverState::Approved,
                (false, None) if waiver.expires_at > now => WaiverState::Asked,
                (false, _) => WaiverState::Expired,
            };
            Waiver {
                may_approve: state == WaiverState::Asked && may(&waiver),
                id: waiver.id.to_string(),
                criterion: waiver.criterion,
                state,
                reason: waiver.reason,
                compensation: waiver.compensation.trim_end_matches('.').to_owned(),
                asked_by: waiver.requested_by.to_string(),
                approved_by: waiver.approval.map(|approval| approval.by.to_string()),
                expires_at: waiver.expires_at,
            }
        })
        .collect();
    waivers.sort_by_key(|w| (w.state == WaiverState::Asked, w.expires_at));
    waivers
}
