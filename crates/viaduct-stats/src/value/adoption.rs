//! Adoption, measured from the decision log and not from a survey.

use serde::{Deserialize, Serialize};

use crate::{
    insufficient::{Insufficient, require, require_rows},
    metrics::quantile,
    value::intervals::{Interval, wilson},
};

/// Override share below which people may be rubber-stamping (`value.md` §1.9).
pub const RUBBER_STAMP_MAX: f64 = 0.01;
/// Cases handled by people before a rubber-stamp alarm makes sense.
pub const RUBBER_STAMP_CASES: u64 = 300;
/// Override share above which people distrust the model.
pub const DISTRUST_MIN: f64 = 0.3;

/// One decision of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionEvent {
    /// Day within the window, 0 the first.
    pub day: i64,
    /// Person who handled it; absent where automated.
    pub user: Option<String>,
    /// Whether the model was meant for this case.
    pub eligible: bool,
    /// Whether the model answered.
    pub scored: bool,
    /// Whether the answer was acted upon without a person.
    pub automated: bool,
    /// Whether a person changed the answer.
    pub human_changed: bool,
    /// Seconds from score to action; absent where nothing followed.
    pub seconds_to_action: Option<f64>,
}

/// Adoption in a window. A share without a denominator is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adoption {
    /// Eligible decisions.
    pub eligible: u64,
    /// Scored over eligible.
    pub coverage: Option<f64>,
    /// Automated over scored.
    pub automation_rate: Option<f64>,
    /// Changed by a person over handled by a person, automated ones excluded.
    pub override_rate: Option<f64>,
    /// Decisions that a person handled.
    pub override_n: u64,
    /// Wilson's 95 % interval of the override rate.
    pub override_interval: Option<Interval>,
    /// People with a scored decision in the last seven days of the window.
    pub active_last_week: u64,
    /// People with a scored decision in the window.
    pub active: u64,
    /// Active last week over active.
    pub stickiness: Option<f64>,
    /// Median seconds to action of scored decisions.
    pub median_seconds_to_action: Option<f64>,
    /// Active people over people licensed.
    pub seat_activation: Option<f64>,
}

/// Measures adoption over `window_days` ending with day `window_days - 1`.
///
/// # Errors
/// No eligible decision, or a window of no days.
pub fn adoption(
    events: &[DecisionEvent],
    window_days: i64,
    licensed_users: u64,
) -> Result<Adoption, Insufficient> {
    require(window_days >= 1, "window", "at least 1 day")?;
    let inside: Vec<&DecisionEvent> = events
        .iter()
        .filter(|event| event.eligible && (0..window_days).contains(&event.day))
        .collect();
    let eligible = inside.len() as u64;
    require_rows("eligible decisions", eligible, 1)?;
    let scored: Vec<&&DecisionEvent> = inside.iter().filter(|event| event.scored).collect();
    let automated = scored.iter().filter(|event| event.automated).count() as u64;
    let handled = scored.len() as u64 - automated;
    let changed =
        scored.iter().filter(|event| !event.automated && event.human_changed).count() as u64;
    let people = |from: i64| {
        let mut names: Vec<&str> = scored
            .iter()
            .filter(|event| event.day >= from)
            .filter_map(|event| event.user.as_deref())
            .collect();
        names.sort_unstable();
        names.dedup();
        names.len() as u64
    };
    let (active_last_week, active) = (people(window_days - 7), people(0));
    let seconds: Vec<f64> = scored.iter().filter_map(|event| event.seconds_to_action).collect();
    let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
    Ok(Adoption {
        eligible,
        coverage: share(scored.len() as u64, eligible),
        automation_rate: share(automated, scored.len() as u64),
        override_rate: share(changed, handled),
        override_n: handled,
        override_interval: if handled > 0 { Some(wilson(changed, handled, 0.95)?) } else { None },
        active_last_week,
        active,
        stickiness: share(active_last_week, active),
        median_seconds_to_action: if seconds.is_empty() {
            None
        } else {
            Some(quantile(&seconds, 0.5)?)
        },
        seat_activation: share(active, licensed_users),
    })
}
