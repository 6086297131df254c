//! From what the models said to what is answered, and logged.

use std::sync::Arc;

use serde_json::Value;
use viaduct_base::{DecisionId, FieldError, Kind, Refusal};
use viaduct_decisions::{Answered, BatchRow, DecisionBatch, Flag, Way};
use viaduct_domain::columns::Outputs;
use viaduct_domain::output::ModelOutput;
use viaduct_domain::rule::{Mode as RuleMode, Rule, Threshold, Verdict};

use crate::asked::Side;
use crate::call::Answer;
use crate::endpoint::Endpoint;
use crate::place::Place;
use crate::retention::hash_entity;
use crate::said::{Failure, Said, Told, Trouble, Which};
use crate::snapshot::{Fallback, Killed};
use crate::usual::Usual;

/// What one request came to: as it is logged, and as it is answered.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) batch: DecisionBatch,
}

/// Where an answer comes from; with the flags it names a [`Way`] without comparing texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Model,
    Constant,
    /// The endpoint's own business as usual.
    Declared,
    /// What the caller sent: any text.
    Sent,
    Nothing,
}

type WayKey = (Place, Option<Which>, Option<Verdict>, Origin, u8);

const UNSTICKY: u8 = 1;
const OVERRIDE: u8 = 2;
const WITHHELD: u8 = 4;
const FALLBACK: u8 = 8;
const KILLED: u8 = 16;
const NOT_FINITE: u8 = 32;
const DEFAULTED: u8 = 64;
const FLAGS: [(u8, Flag); 7] = [
    (UNSTICKY, Flag::Unsticky),
    (OVERRIDE, Flag::Override),
    (WITHHELD, Flag::Withheld),
    (FALLBACK, Flag::Fallback),
    (KILLED, Flag::Killed),
    (NOT_FINITE, Flag::NotFinite),
    (DEFAULTED, Flag::Defaulted),
];

/// Turns places, sides and outputs into the rows of a batch.
pub(crate) struct Settler<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) salt: &'a str,
    pub(crate) said: &'a Said,
    pub(crate) is_foreign: bool,
    /// Rows in which a default stands in, in order.
    pub(crate) defaulted: &'a [usize],
}

/// What one row is answered.
struct Reply<'a> {
    origin: Origin,
    action: Option<&'a str>,
    answered: Answered,
}

impl Settler<'_> {
    /// Adds all rows to the batch.
    ///
    /// # Errors
    /// A row whose model cannot answer and that has nothing to fall back on.
    pub(crate) fn settle(
        &self,
        ids: &[DecisionId],
        sides: Vec<Side>,
        places: &[Place],
        batch: &mut DecisionBatch,
    ) -> Result<(), Refusal> {
        let mut known: Vec<(WayKey, u16)> = Vec::new();
        batch.rows.reserve(ids.len());
        for (row, side) in sides.into_iter().enumerate() {
            let (place, told) = (places[row], self.said.told[row]);
            let verdict = self.verdict(told);
            let reply =
                self.reply(row, place, told, verdict, side.usual.as_ref(), side.sent.is_some())?;
            let flags = self.flags(row, place, told, &side, reply.origin);
            // The bucket is the row's own, not its way's.
            let key = (Place { bucket: None, ..place }, told.which, verdict, reply.origin, flags);
            let found = known.iter().find(|(known, _)| *known == key).map(|(_, way)| *way);
            let way = match found.filter(|_| reply.origin != Origin::Sent) {
                Some(way) => way,
                None => {
                    let way = batch.way(self.way(place, told, verdict, reply.action, flags));
                    known.push((key, way));
                    way
                }
            };
            let entity = side.entity.map(|entity| hash_entity(self.salt, &entity));
            batch.rows.push(BatchRow {
                id: ids[row],
                entity_hash: entity.unwrap_or_default(),
                keys: side.keys,
                bucket: place.bucket,
                way,
                output: told.at,
                answered: reply.answered,
                incumbent: side.sent,
                latency_us: 0,
            });
        }
        Ok(())
    }

    fn verdict(&self, told: Told) -> Option<Verdict> {
        let (rule, at) = (self.endpoint.spec.rule.as_ref()?, told.at?);
        let outputs = self.said.sets.get(usize::from(at.set))?;
        Some(verdict(rule, outputs, at.row as usize))
    }

    fn reply<'a>(
        &'a self,
        row: usize,
        place: Place,
        told: Told,
        verdict: Option<Verdict>,
        usual: Option<&'a Arc<Usual>>,
        is_sent: bool,
    ) -> Result<Reply<'a>, Refusal> {
        if !place.is_answered_by_model() {
            return Ok(by_usual(usual, is_sent));
        }
        if !told.is_good() {
            return self.fallback(row, told, usual, is_sent);
        }
        let usual_action = usual.map(|usual| usual.action.as_str());
        let action = match (&self.endpoint.spec.rule, verdict) {
            (Some(rule), Some(verdict)) => match (rule.mode, verdict) {
                (RuleMode::Shadow, _) => usual_action,
                // Why: a score that the rule cannot read must not decide.
                (_, Verdict::Unknown) => usual_action.or(Some(rule.otherwise.as_str())),
                (_, Verdict::Met) => Some(rule.action.as_str()),
                (_, Verdict::NotMet) => Some(rule.otherwise.as_str()),
            },
            _ => None,
        };
        // A shadow or unread rule takes the caller's own text where there is one.
        let is_own = is_sent && action.is_some() && action == usual_action;
        let origin = if is_own { Origin::Sent } else { Origin::Model };
        Ok(Reply { origin, action, answered: Answered::Output })
    }

    fn fallback<'a>(
        &'a self,
        row: usize,
        told: Told,
        usual: Option<&'a Arc<Usual>>,
        is_sent: bool,
    ) -> Result<Reply<'a>, Refusal> {
        let is_failed = told.trouble == Some(Trouble::Failed);
        match &self.endpoint.spec.fallback {
            Fallback::Constant { output, action } => Ok(Reply {
                origin: Origin::Constant,
                action: action.as_deref(),
                answered: Answered::Value(output.clone().unwrap_or(Value::Null)),
            }),
            // Where business as usual is known, a stopped model or a broken number needs no error.
            Fallback::BusinessAsUsual | Fallback::Previous if usual.is_some() => {
                Ok(by_usual(usual, is_sent))
            }
            Fallback::Error if usual.is_some() && !is_failed => Ok(by_usual(usual, is_sent)),
            _ => Err(self.no_answer(row, told)),
        }
    }

    fn no_answer(&self, row: usize, told: Told) -> Refusal {
        let name = &self.endpoint.spec.name;
        match (told.trouble, &self.said.failure) {
            (Some(Trouble::Killed), _) => {
                let (at, by, reason) = match &self.endpoint.spec.killed {
                    Some(Killed { at, by, reason }) => (at.to_string(), &**by, &**reason),
                    None => (String::new(), "", ""),
                };
                let detail = format!(
                    "endpoint `{name}` was stopped by {by} at {at}: {reason}; it has no fallback; \
                     `viaduct revive {name}` starts it again"
                );
                Refusal::new(Kind::EndpointKilled, detail)
            }
            (Some(Trouble::NotFinite), _) => {
                let detail = format!(
                    "endpoint `{name}`: the model's output is not finite and the endpoint has no \
                     fallback"
                );
                let at = FieldError {
                    pointer: format!("/rows/{row}"),
                    detail: "the model gives no finite number for this row".into(),
                    line: None,
                    column: None,
                };
                Refusal::new(Kind::NoAnswer, detail).with_errors(vec![at])
            }
            (_, Some(Failure::Unready(refusal))) => refusal.clone(),
            (_, Some(Failure::Failed(detail))) => {
                Refusal::new(Kind::NotReady, format!("endpoint `{name}`: {detail}"))
            }
            (_, None) => Refusal::new(Kind::NotReady, format!("endpoint `{name}` has no answer")),
        }
    }

    fn flags(&self, row: usize, place: Place, told: Told, side: &Side, origin: Origin) -> u8 {
        let mut flags = 0;
        let is_model = place.is_answered_by_model();
        let is_fallback = is_model && (!told.is_good() || told.is_relieved);
        let set = [
            (side.entity.is_none(), UNSTICKY),
            (side.entity.is_some() && self.is_foreign || place.picked, OVERRIDE),
            (told.at.is_some() && !(is_model && told.is_good()), WITHHELD),
            (is_fallback, FALLBACK),
            (self.endpoint.spec.killed.is_some(), KILLED),
            (told.trouble == Some(Trouble::NotFinite), NOT_FINITE),
            (self.defaulted.binary_search(&row).is_ok(), DEFAULTED),
        ];
        for (is_set, flag) in set {
            flags |= if is_set { flag } else { 0 };
        }
        debug_assert!(origin != Origin::Constant || is_fallback);
        flags
    }

    fn way(
        &self,
        place: Place,
        told: Told,
        verdict: Option<Verdict>,
        action: Option<&str>,
        flags: u8,
    ) -> Way {
        let spec = &self.endpoint.spec;
        let asked = told.at.and(told.which).and_then(|which| self.endpoint.served(which));
        let model_action =
            spec.rule.as_ref().zip(verdict).and_then(|(rule, verdict)| match verdict {
                Verdict::Met => Some(rule.action.clone()),
                Verdict::NotMet => Some(rule.otherwise.clone()),
                Verdict::Unknown => None,
            });
        Way {
            trial: place.trial,
            variant: place.variant.as_str().to_owned(),
            flags: FLAGS
                .iter()
                .filter(|(bit, _)| flags & bit != 0)
                .map(|(_, flag)| *flag)
                .collect(),
            model: asked.map(|model| model.name.clone()).unwrap_or_default(),
            model_version: asked.map(|model| model.version).unwrap_or_default(),
            model_action,
            action: action.unwrap_or_default().to_owned(),
        }
    }
}

fn by_usual(usual: Option<&Arc<Usual>>, is_sent: bool) -> Reply<'_> {
    let origin = match usual {
        Some(_) if is_sent => Origin::Sent,
        Some(_) => Origin::Declared,
        None => Origin::Nothing,
    };
    let output = usual.and_then(|usual| usual.output.clone()).unwrap_or(Value::Null);
    Reply {
        origin,
        action: usual.map(|usual| usual.action.as_str()),
        answered: Answered::Value(output),
    }
}

/// The rule's comparison on one row of outputs; only unusual fields cost a [`ModelOutput`].
pub(crate) fn verdict(rule: &Rule, outputs: &Outputs, row: usize) -> Verdict {
    let number = match rule.when.field.as_str() {
        "probability" => outputs.probabilities.as_ref().and_then(|found| found.positive(row)),
        "value" => outputs.value.as_ref().and_then(|values| values.get(row).copied()),
        _ => return rule.when.verdict(&outputs.row(row)),
    };
    match (&rule.when.threshold, number.filter(|number| number.is_finite())) {
        (Threshold::Number(threshold), Some(number)) => {
            match rule.when.op.holds(number, *threshold) {
                true => Verdict::Met,
                false => Verdict::NotMet,
            }
        }
        (Threshold::Number(_), None) => Verdict::Unknown,
        (Threshold::Text(_), _) => rule.when.verdict(&outputs.row(row)),
    }
}

impl Decided {
    /// A model's output of one row, where one was logged.
    pub(crate) fn output(&self, row: usize) -> Option<ModelOutput> {
        let at = self.batch.rows.get(row)?.output?;
        Some(self.batch.outputs.get(usize::from(at.set))?.row(at.row as usize))
    }

    /// The one model's outputs, where every row is answered by the row of the same number.
    pub(crate) fn only_outputs(&self) -> Option<&Outputs> {
        let [outputs] = self.batch.outputs.as_slice() else { return None };
        let is_direct = outputs.rows == self.batch.rows.len()
            && self.batch.rows.iter().enumerate().all(|(number, row)| {
                row.answered == Answered::Output
                    && row.output.is_some_and(|at| at.row as usize == number)
            });
        is_direct.then_some(outputs)
    }

    pub(crate) fn way(&self, row: &BatchRow) -> Option<&Way> {
        self.batch.ways.get(usize::from(row.way))
    }

    /// Each row as it is answered.
    pub(crate) fn answers(&self) -> Vec<Answer> {
        let rows = self.batch.rows.iter().enumerate();
        rows.filter_map(|(number, row)| {
            let way = self.way(row)?;
            let is_model = row.answered == Answered::Output;
            let output = match &row.answered {
                Answered::Output => {
                    self.output(number).and_then(|output| serde_json::to_value(output).ok())
                }
                Answered::Value(Value::Null) => None,
                Answered::Value(value) => Some(value.clone()),
            };
            Some(Answer {
                decision_id: row.id,
                variant: viaduct_domain::assign::Variant::from_word(&way.variant)?,
                output,
                action: Some(way.action.clone()).filter(|action| !action.is_empty()),
                model_version: is_model.then_some(way.model_version),
                contract: self.batch.head.contract_hash.clone(),
                is_fallback: way.flags.contains(&Flag::Fallback),
            })
        })
        .collect()
    }
}
