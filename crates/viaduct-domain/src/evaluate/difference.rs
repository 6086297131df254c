//! What changed from one evaluation of a gate to the next.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Evaluation, Status};
use crate::fact::SubjectKind;

/// Changes of the ground that an evaluation stands on are named by these words, never by an id.
const GROUND: [&str; 4] = ["policy", "tier", "purpose", "subject"];

/// One criterion, or one other thing, that is not as it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The criterion's id, or `policy`, `tier`, `purpose`, `subject`.
    pub what: String,
    /// How it stood; nothing when it was not there.
    pub before: Option<Status>,
    /// How it stands.
    pub after: Option<Status>,
    /// Whether it keeps the gate shut now.
    pub blocking: bool,
    /// For people.
    pub sentence: String,
}

impl Difference {
    /// Whether the ground changed: the policy, the tier, the purpose, or what the facts are about.
    /// A signature under the evaluation before does not hold for the one after.
    pub fn is_ground(&self) -> bool {
        GROUND.contains(&self.what.as_str())
    }
}

/// What is not as it was, in the order of the policy.
pub fn diff(before: &Evaluation, after: &Evaluation) -> Vec<Difference> {
    let mut rows = ground(before, after);
    for now in &after.results {
        let was = before.result(&now.id);
        if was.is_some_and(|was| was.status == now.status && was.blocking == now.blocking) {
            continue;
        }
        let earlier = was.map_or("new".to_owned(), |was| was.status.to_string());
        rows.push(Difference {
            what: now.id.clone(),
            before: was.map(|was| was.status),
            after: Some(now.status),
            blocking: now.blocking,
            sentence: format!("{}: {earlier} -> {}. {}", now.title, now.status, now.sentence),
        });
    }
    for was in before.results.iter().filter(|was| after.result(&was.id).is_none()) {
        rows.push(Difference {
            what: was.id.clone(),
            before: Some(was.status),
            after: None,
            blocking: false,
            sentence: format!("{}: no longer asked", was.title),
        });
    }
    rows
}

/// Changes of what the evaluation stands on.
fn ground(before: &Evaluation, after: &Evaluation) -> Vec<Difference> {
    let mut rows = Vec::new();
    let mut say = |what: &str, sentence: String| {
        let what = what.to_owned();
        rows.push(Difference { what, before: None, after: None, blocking: true, sentence });
    };
    if before.policy_hash != after.policy_hash {
        let (was, is) = (before.policy_version, after.policy_version);
        say("policy", format!("the policy changed (version {was}, now {is})"));
    }
    if before.tier != after.tier {
        say("tier", format!("the tier was `{}` and is `{}`", before.tier, after.tier));
    }
    if before.purposes != after.purposes {
        say("purpose", "the purpose flags changed".to_owned());
    }
    let read = subjects_read(before);
    for (kind, was) in before.subjects.iter().filter(|(kind, _)| read.contains(kind)) {
        match after.subjects.get(kind) {
            Some(is) if is.id == was.id => {}
            Some(is) => {
                say("subject", format!("the {kind} was `{}` and is `{}`", was.id, is.id));
            }
            None => say("subject", format!("the {kind} `{}` is gone", was.id)),
        }
    }
    rows
}

/// The kinds of things that the checks of an evaluation depend on.
fn subjects_read(evaluation: &Evaluation) -> BTreeSet<SubjectKind> {
    let checks = evaluation.results.iter().flat_map(|result| &result.checks);
    checks
        .flat_map(|check| {
            let also = check.fact.also_depends_on().iter().copied();
            also.chain([check.fact.subject_kind()])
        })
        .collect()
}
