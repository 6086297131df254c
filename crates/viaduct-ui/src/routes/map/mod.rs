//! From what the use cases answer to what pages show. Nothing is decided here.

pub(super) mod change;
pub(super) mod decision;
pub(super) mod effect;
pub(super) mod gate;
pub(super) mod history;
pub(super) mod kpi;
pub(super) mod review;
pub(super) mod traffic;
pub(super) mod trial;

use viaduct_base::Span;
use viaduct_domain::manifest::ProjectSpec;
use viaduct_domain::stage::{Standing, State};

use crate::view;

/// What turns a project's bare numbers into amounts.
#[derive(Debug, Clone, Default)]
pub(super) struct Units {
    /// The primary KPI's unit.
    pub(super) kpi: String,
    /// The currency of money facts.
    pub(super) money: String,
    /// S1's margin.
    pub(super) shadow_margin: f64,
}

impl Units {
    pub(super) fn of(spec: &ProjectSpec) -> Self {
        let kpi = spec.primary_kpi();
        let of_kpi = kpi.and_then(|kpi| kpi.unit_value.as_ref()).map(|v| v.currency.as_str());
        let money = spec.costs.as_ref().map(|costs| costs.currency.as_str()).or(of_kpi);
        Self {
            kpi: kpi.map(|kpi| kpi.unit.clone()).unwrap_or_default(),
            money: money.unwrap_or_default().to_owned(),
            shadow_margin: spec.endpoint.as_ref().map_or(0.0, |e| e.shadow_margin),
        }
    }
}

/// The stage of a standing.
pub(super) fn stage(stage: viaduct_domain::stage::Stage) -> view::Stage {
    view::Stage::parse(stage.as_str()).unwrap_or(view::Stage::Concept)
}

/// The state of a standing.
pub(super) fn state(standing: &Standing) -> view::State {
    match standing.state {
        State::Clear => view::State::Clear,
        State::UnderReview => view::State::UnderReview,
        State::Frozen => view::State::Frozen,
    }
}

/// A length of time in words: `21 days`.
pub(super) fn length(span: Span) -> String {
    let days = span.as_days();
    let (count, noun) = if days >= 1.0 {
        (days, "day")
    } else if days * 24.0 >= 1.0 {
        (days * 24.0, "hour")
    } else {
        (days * 1_440.0, "minute")
    };
    let count = if count >= 10.0 { count.round() } else { (count * 10.0).round() / 10.0 };
    format!("{count} {noun}{}", if count == 1.0 { "" } else { "s" })
}

/// A word of the code as words for people: `business_owner` → `business owner`.
pub(super) fn words(text: &str) -> String {
    text.replace('_', " ")
}
