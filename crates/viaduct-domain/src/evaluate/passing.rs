//! Test ground: an input that opens a gate, built from the policy itself.

use std::collections::BTreeMap;

use viaduct_base::{Digest, FactId, ProjectId, Span, Timestamp, WorkspaceId};

use super::{CurrentSubject, EvaluationInput, Names};
use crate::fact::{Fact, FactKey, FactName, FactValue, Measurement, Shape, Subject, Unit, Window};
use crate::policy::{Check, Gate, Operator, Policy, Threshold};
use crate::stage::GateName;
use crate::tier::Tier;

pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_764_000_000_000_000);

pub(crate) fn shipped(name: GateName) -> Gate {
    Policy::shipped().unwrap().gate(name).unwrap().clone()
}

pub(crate) fn project() -> ProjectId {
    ProjectId::from_u128(7)
}

/// A value on the passing side of a check, as near to the edge as it may be.
fn value(check: &Check) -> FactValue {
    let edge = match check.threshold {
        Threshold::Number(number) => number,
        Threshold::Band(low, high) => (low + high) / 2.0,
        Threshold::OneOf(ref numbers) => numbers[0],
        Threshold::Nothing | Threshold::MinusShadowMargin => 0.0,
    };
    match (check.op, check.fact.shape()) {
        (Operator::LessThan, _) => FactValue::scalar(edge - 0.01),
        (Operator::MoreThan, _) => FactValue::scalar(edge + 0.01),
        (_, Shape::Scalar) => FactValue::scalar(edge),
        (Operator::LowerAbove, _) => {
            FactValue::interval(edge + 0.2, (edge + 0.1, edge + 0.3), 0.95)
        }
        (Operator::UpperBelow, _) => {
            FactValue::interval(edge - 0.2, (edge - 0.3, edge - 0.1), 0.95)
        }
        (_, Shape::Interval) => FactValue::interval(edge, (edge, edge), 0.95),
        (_, Shape::Flag) => FactValue::flag(true),
    }
}

/// The facts that pass `gate`; those without a producer are left out.
pub(crate) fn facts(gate: &Gate, tier: Tier) -> Vec<Fact> {
    let checks = gate.criteria.iter().flat_map(|criterion| &criterion.checks);
    let mut rows: BTreeMap<FactName, Fact> = BTreeMap::new();
    for check in checks.filter(|check| check.when.holds(tier, &Default::default())) {
        let name = check.fact;
        if name.producer().is_none() {
            continue;
        }
        let subject = Subject::new(name.subject_kind(), id_of(name));
        let mut made = Measurement::new(name, subject, value(check), Digest::of(b"rows"));
        made.n = Some(check.min_n.unwrap_or(1_000));
        made.window = check.window.map(|length| Window::ending(NOW, length));
        made.currency = (name.unit() == Unit::Money).then(|| "EUR".to_owned());
        let key = FactKey {
            id: FactId::from_u128(name as u128),
            workspace: WorkspaceId::from_u128(1),
            project: project(),
        };
        let fact = Fact::record(key, made, NOW).unwrap();
        rows.insert(name, fact);
    }
    rows.into_values().collect()
}

fn id_of(name: FactName) -> String {
    format!("{}-1", name.subject_kind())
}

/// An input that opens `gate` at `tier`, as far as its facts have producers.
pub(crate) fn input(gate: &Gate, tier: Tier) -> EvaluationInput {
    let names = Names {
        project: "term-deposit".into(),
        endpoint: Some("calls".into()),
        model: Some("term-deposit/3".into()),
        kpi: None,
    };
    let mut input = EvaluationInput::new(project(), names, tier, NOW);
    input.facts = facts(gate, tier);
    for fact in &input.facts {
        let since = NOW - Span::days(40);
        input
            .subjects
            .insert(fact.subject.kind, CurrentSubject::new(fact.subject.id.clone(), since));
    }
    input
}

/// G1 and an input that opens it.
pub(crate) fn g1(tier: Tier) -> (Gate, EvaluationInput) {
    let gate = shipped(GateName::G1);
    let input = input(&gate, tier);
    (gate, input)
}
