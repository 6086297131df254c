//! Test ground: everything that can be wrong with one fact.

use viaduct_base::{ProjectId, Span};

use super::passing::{NOW, g1};
use super::{EvaluationInput, Status, evaluate};
use crate::fact::{FactName, FactValue, Producer, Subject, SubjectKind};
use crate::tier::Tier;

/// Everything that can be wrong with one fact.
#[derive(Debug, Clone, Copy)]
pub(super) enum Harm {
    Deleted,
    Old,
    Future,
    NotANumber,
    OtherSubject,
    BeforeSubject,
    OtherProject,
    OtherProducer,
    OtherShape,
    Wrong,
}

pub(super) const HARMS: [Harm; 10] = [
    Harm::Deleted,
    Harm::Old,
    Harm::Future,
    Harm::NotANumber,
    Harm::OtherSubject,
    Harm::BeforeSubject,
    Harm::OtherProject,
    Harm::OtherProducer,
    Harm::OtherShape,
    Harm::Wrong,
];

/// Harms the fact; says what status follows, or nothing where the harm does not fit it.
pub(super) fn harm(input: &mut EvaluationInput, name: FactName, harm: Harm) -> Option<Status> {
    let at = input.facts.iter().position(|fact| fact.name == name)?;
    let fact = &mut input.facts[at];
    match harm {
        Harm::Deleted => {
            input.facts.remove(at);
            Some(Status::NotEnoughData)
        }
        Harm::Old => {
            // Older than every max_age; the window and the subjects move along with it.
            let age = Span::days(400);
            fact.observed_at = fact.observed_at - age;
            for subject in input.subjects.values_mut() {
                subject.since = subject.since - age;
            }
            Some(Status::Stale)
        }
        Harm::Future => {
            fact.observed_at = NOW + Span::micros(1);
            Some(Status::Stale)
        }
        Harm::NotANumber => {
            fact.value = match fact.value {
                FactValue::Scalar { .. } => FactValue::scalar(f64::NAN),
                FactValue::Interval { estimate, upper, .. } => {
                    FactValue::interval(estimate, (f64::NAN, upper), 0.95)
                }
                FactValue::Flag { .. } => return None,
            };
            Some(Status::NotEnoughData)
        }
        Harm::OtherSubject => {
            fact.subject = Subject::new(fact.subject.kind, "another");
            Some(Status::Stale)
        }
        Harm::BeforeSubject => {
            // The thing changed after the fact was made; only this fact is that old.
            fact.observed_at = NOW - Span::days(1);
            let kind = name.subject_kind();
            if input.facts.iter().filter(|f| depends(f.name, kind)).count() > 1 {
                return None;
            }
            input.subjects.get_mut(&kind)?.since = NOW;
            Some(Status::Stale)
        }
        Harm::OtherProject => {
            fact.project = ProjectId::from_u128(8);
            Some(Status::NotEnoughData)
        }
        Harm::OtherProducer => {
            let other = Producer::ALL.iter().find(|p| **p != fact.producer)?;
            fact.producer = *other;
            Some(Status::NotEnoughData)
        }
        Harm::OtherShape => {
            fact.value = match fact.value {
                FactValue::Flag { .. } => FactValue::scalar(1.0),
                FactValue::Scalar { .. } | FactValue::Interval { .. } => FactValue::flag(true),
            };
            Some(Status::NotEnoughData)
        }
        Harm::Wrong => {
            fact.value = match (name, fact.value) {
                (FactName::OutcomeDelayP90Days | FactName::ModelReproducedMetricGap, _) => {
                    return None;
                }
                (_, FactValue::Flag { .. }) => FactValue::flag(false),
                (_, FactValue::Interval { .. }) => FactValue::interval(-9.0, (-10.0, -8.0), 0.95),
                (_, FactValue::Scalar { value }) => {
                    let below = FactValue::scalar(value - 0.5);
                    let falls = |v: FactValue| status_with(name, v) == Status::Fail;
                    if falls(below) { below } else { FactValue::scalar(value + 0.5) }
                }
            };
            Some(Status::Fail)
        }
    }
}

fn depends(name: FactName, kind: SubjectKind) -> bool {
    name.subject_kind() == kind || name.also_depends_on().contains(&kind)
}

fn status_with(name: FactName, value: FactValue) -> Status {
    let (gate, mut input) = g1(Tier::T2);
    for fact in input.facts.iter_mut().filter(|fact| fact.name == name) {
        fact.value = value;
    }
    let evaluation = evaluate(&gate, &input);
    let checks = evaluation.results.iter().flat_map(|r| &r.checks);
    checks.filter(|check| check.fact == name).map(|check| check.status).max().unwrap()
}
