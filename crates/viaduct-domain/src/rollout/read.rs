//! Reads a plan out of plain values, with every mistake and its place.

use serde_json::{Map, Value};
use viaduct_base::{FieldError, Span, nearest};

use super::condition::{Condition, Watched};
use super::plan::{Plan, Step};
use crate::assign::BUCKETS;

/// Nobody watches more.
const STEPS_MAX: usize = 20;
const CONDITIONS_MAX: usize = 20;
const STEP_KEYS: &[&str] = &["shadow", "share", "min_time", "min_n", "manual"];
const CONDITION_KEYS: &[&str] = &["what", "max", "min", "min_n", "window", "max_age"];

/// A plan: `{steps: [{shadow: true} | {share: 0.05, min_time: PT10M, min_n: 100}], conditions: […]}`.
/// What is left out is as in [`Plan::default`].
///
/// # Errors
/// Every bad place by pointer.
pub fn plan(value: &Value) -> Result<Plan, Vec<FieldError>> {
    let mut said = Said::default();
    let usual = Plan::default();
    let Some(map) = said.mapping(value, "", "a rollout", &["steps", "conditions"]) else {
        return Err(said.0);
    };
    let steps = match given(map, "steps") {
        None => usual.steps,
        Some(Value::Array(items)) if !items.is_empty() && items.len() <= STEPS_MAX => {
            items.iter().enumerate().filter_map(|(n, item)| said.step(item, n)).collect()
        }
        Some(_) => {
            said.say("/steps", format!("`steps` is a list of 1 to {STEPS_MAX} steps"));
            Vec::new()
        }
    };
    said.order(&steps);
    let conditions = match given(map, "conditions") {
        None => usual.conditions,
        Some(list) => said.conditions(list, "/conditions"),
    };
    if said.0.is_empty() { Ok(Plan { steps, conditions }) } else { Err(said.0) }
}

/// A list of conditions by itself, as an endpoint's `guards`.
///
/// # Errors
/// Every bad place by pointer.
pub fn conditions(value: &Value) -> Result<Vec<Condition>, Vec<FieldError>> {
    let mut said = Said::default();
    let found = said.conditions(value, "");
    if said.0.is_empty() { Ok(found) } else { Err(said.0) }
}

fn given<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    map.get(key).filter(|value| !value.is_null())
}

#[derive(Default)]
struct Said(Vec<FieldError>);

impl Said {
    fn say(&mut self, pointer: &str, detail: impl Into<String>) {
        let (pointer, detail) = (pointer.to_owned(), detail.into());
        self.0.push(FieldError { pointer, detail, line: None, column: None });
    }

    fn mapping<'a>(
        &mut self,
        value: &'a Value,
        at: &str,
        label: &str,
        known: &[&str],
    ) -> Option<&'a Map<String, Value>> {
        let Some(map) = value.as_object() else {
            self.say(at, format!("{label} is a mapping with `{}`", known.join("`, `")));
            return None;
        };
        for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
            let hint = match nearest(key, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("its keys are `{}`", known.join("`, `")),
            };
            self.say(&format!("{at}/{key}"), format!("`{key}` is not a key of {label}: {hint}"));
        }
        Some(map)
    }

    fn step(&mut self, item: &Value, n: usize) -> Option<Step> {
        let at = format!("/steps/{n}");
        let map = self.mapping(item, &at, "a step", STEP_KEYS)?;
        let shadow = self.flag(map, &at, "shadow");
        let manual = self.flag(map, &at, "manual");
        let share = given(map, "share");
        let share_bp = match (shadow, share) {
            (true, None) => 0,
            (true, Some(_)) => {
                self.say(&format!("{at}/share"), "a shadow step has no `share`: it answers nobody");
                0
            }
            (false, None) => {
                self.say(&at, "a step needs `shadow: true`, or a `share` such as `0.05`");
                0
            }
            (false, Some(share)) => {
                let found = share.as_f64().filter(|share| *share > 0.0 && *share < 1.0);
                if found.is_none() {
                    let detail =
                        format!("`share` is {share}: it lies between 0 and 1, as in `0.05`");
                    self.say(&format!("{at}/share"), detail);
                }
                (found.unwrap_or(0.5) * f64::from(BUCKETS)).round().clamp(1.0, 9_999.0) as u16
            }
        };
        let min_time = self.span(map, &at, "min_time", Span::minutes(10));
        let min_n = self.whole(map, &at, "min_n", 100);
        Some(Step { shadow, share_bp, min_time, min_n, manual })
    }

    /// Shadow first, then shares that grow: a smaller one would move entities back and forth.
    fn order(&mut self, steps: &[Step]) {
        let late = steps.windows(2).position(|pair| {
            pair[1].share_bp <= pair[0].share_bp && !(pair[0].shadow && pair[1].shadow)
        });
        if let Some(n) = late {
            self.say(
                &format!("/steps/{}", n + 1),
                "steps go up: shadow first, then a larger `share` each time",
            );
        }
    }

    fn conditions(&mut self, value: &Value, at: &str) -> Vec<Condition> {
        let Some(items) = value.as_array().filter(|items| items.len() <= CONDITIONS_MAX) else {
            self.say(at, format!("conditions are a list of at most {CONDITIONS_MAX}"));
            return Vec::new();
        };
        let found = items.iter().enumerate();
        found.filter_map(|(n, item)| self.condition(item, &format!("{at}/{n}"))).collect()
    }

    fn condition(&mut self, item: &Value, at: &str) -> Option<Condition> {
        let map = self.mapping(item, at, "a condition", CONDITION_KEYS)?;
        let Some(text) = given(map, "what").and_then(Value::as_str) else {
            self.say(
                at,
                "a condition needs `what`, such as `error_rate` or `fact:calibration.ece`",
            );
            return None;
        };
        let what = match text.parse::<Watched>() {
            Ok(what) => what,
            Err(error) => {
                self.say(&format!("{at}/what"), error);
                return None;
            }
        };
        let (max, min) = (self.number(map, at, "max"), self.number(map, at, "min"));
        if max.is_none() && min.is_none() {
            self.say(at, format!("the condition on `{what}` needs `max` or `min`"));
        }
        Some(Condition {
            what,
            max,
            min,
            min_n: self.whole(map, at, "min_n", 20),
            window: self.span(map, at, "window", Span::minutes(1)),
            max_age: self.span(map, at, "max_age", Span::days(7)),
        })
    }

    fn flag(&mut self, map: &Map<String, Value>, at: &str, key: &str) -> bool {
        match given(map, key) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                self.say(&format!("{at}/{key}"), format!("`{key}` is {other}: use true or false"));
                false
            }
        }
    }

    fn number(&mut self, map: &Map<String, Value>, at: &str, key: &str) -> Option<f64> {
        let value = given(map, key)?;
        let number = value.as_f64().filter(|number| number.is_finite());
        if number.is_none() {
            self.say(&format!("{at}/{key}"), format!("`{key}` is {value}: it is a number"));
        }
        number
    }

    fn whole(&mut self, map: &Map<String, Value>, at: &str, key: &str, usual: u64) -> u64 {
        let Some(value) = given(map, key) else { return usual };
        let number = value.as_u64().filter(|number| *number <= 1_000_000_000_000);
        if number.is_none() {
            self.say(&format!("{at}/{key}"), format!("`{key}` is {value}: it is a whole number"));
        }
        number.unwrap_or(usual)
    }

    fn span(&mut self, map: &Map<String, Value>, at: &str, key: &str, usual: Span) -> Span {
        let Some(value) = given(map, key) else { return usual };
        let span = value.as_str().and_then(|text| text.parse::<Span>().ok());
        let span = span.filter(|span| *span >= Span::micros(0) && *span <= Span::days(366));
        if span.is_none() {
            let detail =
                format!("`{key}` is {value}: it is a span of at most a year, as in `PT10M`");
            self.say(&format!("{at}/{key}"), detail);
        }
        span.unwrap_or(usual)
    }
}
