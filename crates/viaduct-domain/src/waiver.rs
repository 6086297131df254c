//! Waivers: dated exemptions from one criterion, and the debt they leave.
//!
//! Invariant: a waiver stands in for a criterion only when somebody outside the project approved
//! it and its end, at most 90 days after it was asked for, has not come. What may be waived at all
//! is the policy's word.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use viaduct_base::{Kind, Name, Refusal, Span, Timestamp, WaiverId, nearest};

use crate::evaluate::{Evaluation, Status};
use crate::policy::Gate;
use crate::stage::GateName;

/// The longest life of a waiver (gates.md §2.2).
pub const LIFE_MAX: Span = Span::days(90);
/// Reasons shorter than this say nothing.
const WORDS_MIN: usize = 12;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaiverRequest {
    /// The criterion's id.
    pub criterion: String,
    /// Why it cannot be met now.
    pub reason: String,
    /// What is done instead until it is met.
    pub compensation: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Who approved, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Somebody outside the project.
    pub by: Name,
    /// When.
    pub at: Timestamp,
}

/// A dated exemption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    /// Its id.
    pub id: WaiverId,
    /// The gate.
    pub gate: GateName,
    /// The criterion's id.
    pub criterion: String,
    /// Why it cannot be met now.
    pub reason: String,
    /// What is done instead until it is met.
    pub compensation: String,
    /// Who asked.
    pub requested_by: Name,
    /// When.
    pub requested_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Who approved it; until then it stands in for nothing.
    pub approval: Option<Approval>,
}

impl Waiver {
    /// Asks for a waiver of a criterion of `gate`.
    ///
    /// # Errors
    /// Refused when the criterion is unknown or not waivable, when reason or compensation say
    /// nothing, or when it would end in the past or after more than 90 days.
    pub fn request(
        id: WaiverId,
        gate: &Gate,
        asked: WaiverRequest,
        by: Name,
        now: Timestamp,
    ) -> Result<Waiver, Refusal> {
        let Some(criterion) = gate.criterion(&asked.criterion) else {
            let ids = gate.criteria.iter().map(|criterion| criterion.id.as_str());
            let hint = match nearest(&asked.criterion, ids.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its criteria are `{}`", ids.collect::<Vec<_>>().join("`, `")),
            };
            let (wanted, name) = (&asked.criterion, gate.name);
            return refuse(format!("gate `{name}` has no criterion `{wanted}`: {hint}"));
        };
        if !criterion.is_waivable() {
            return refuse(format!("`{}` cannot be waived: {}", criterion.id, criterion.title));
        }
        for (key, text) in [("reason", &asked.reason), ("compensation", &asked.compensation)] {
            if text.trim().chars().count() < WORDS_MIN {
                return refuse(format!(
                    "`{key}` says too little: write {WORDS_MIN} characters or more"
                ));
            }
        }
        if asked.expires_at <= now {
            return refuse("`expires_at` is in the past: a waiver ends in the future".to_owned());
        }
        if asked.expires_at > now + LIFE_MAX {
            let latest = now + LIFE_MAX;
            return refuse(format!(
                "`expires_at` is too far away: at most 90 days, until {latest}"
            ));
        }
        Ok(Waiver {
            id,
            gate: gate.name,
            criterion: asked.criterion,
            reason: asked.reason.trim().to_owned(),
            compensation: asked.compensation.trim().to_owned(),
            requested_by: by,
            requested_at: now,
            expires_at: asked.expires_at,
            approval: None,
        })
    }

    /// Approves it; `insiders` are all people of the project.
    ///
    /// # Errors
    /// Refused when it is approved or over, and when `by` asked for it or belongs to the project.
    pub fn approve(
        &mut self,
        by: Name,
        insiders: &BTreeSet<Name>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if let Some(approval) = &self.approval {
            return Err(Refusal::new(
                Kind::Conflict,
                format!("`{}` approved the waiver of `{}` already", approval.by, self.criterion),
            ));
        }
        if now >= self.expires_at {
            return refuse(format!(
                "the waiver of `{}` is over: ask for a new one",
                self.criterion
            ));
        }
        if by == self.requested_by || insiders.contains(&by) {
            return Err(Refusal::new(
                Kind::Forbidden,
                format!("`{by}` belongs to the project: somebody outside it approves its waivers"),
            ));
        }
        self.approval = Some(Approval { by, at: now });
        Ok(())
    }

    /// Whether it is approved and not over.
    pub fn is_active(&self, now: Timestamp) -> bool {
        let approved = self.approval.as_ref().is_some_and(|approval| approval.at <= now);
        // Why the life is looked at again: a stored row must not outlive the rule either.
        let end = self.expires_at.min(self.requested_at + LIFE_MAX);
        approved && now < end
    }

    /// Whether it stands in for this criterion now.
    pub fn covers(&self, gate: GateName, criterion: &str, now: Timestamp) -> bool {
        self.gate == gate && self.criterion == criterion && self.is_active(now)
    }
}

fn refuse<T>(detail: String) -> Result<T, Refusal> {
    Err(Refusal::new(Kind::InvalidInput, detail))
}

/// Where a debt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The waiver is over, and the criterion still does not pass.
    Overdue,
    /// The waiver runs, and the criterion does not pass.
    Open,
    /// The criterion passes by itself.
    Paid,
}

/// One approved waiver as a debt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debt {
    /// The waiver.
    pub waiver: WaiverId,
    /// The gate.
    pub gate: GateName,
    /// The criterion.
    pub criterion: String,
    /// What is done instead.
    pub compensation: String,
    /// Who approved it.
    pub approved_by: Name,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Whole days until then; negative when it is over.
    pub days_left: i64,
    /// Where it stands.
    pub standing: Standing,
}

/// The debts of a project: overdue first, then by their end. `latest` are the latest evaluations
/// of its gates; a waiver whose gate is not among them counts as unpaid.
pub fn debts(waivers: &[Waiver], latest: &[Evaluation], now: Timestamp) -> Vec<Debt> {
    let mut debts: Vec<Debt> = waivers
        .iter()
        .filter_map(|waiver| {
            let approval = waiver.approval.as_ref()?;
            let result = latest.iter().find(|e| e.gate == waiver.gate);
            let result = result.and_then(|e| e.result(&waiver.criterion));
            let paid = result.is_some_and(|r| r.status < Status::Waived);
            let standing = match (paid, waiver.is_active(now)) {
                (true, _) => Standing::Paid,
                (false, true) => Standing::Open,
                (false, false) => Standing::Overdue,
            };
            Some(Debt {
                waiver: waiver.id,
                gate: waiver.gate,
                criterion: waiver.criterion.clone(),
                compensation: waiver.compensation.clone(),
                approved_by: approval.by.clone(),
                expires_at: waiver.expires_at,
                days_left: waiver.expires_at.since(now).as_days().floor() as i64,
                standing,
            })
        })
        .collect();
    debts.sort_by_key(|debt| (debt.standing, debt.expires_at, debt.waiver));
    debts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn asked(criterion: &str, life: Span) -> WaiverRequest {
        WaiverRequest {
            criterion: criterion.into(),
            reason: "labels come late this quarter".into(),
            compensation: "a person reads 50 cases a week".into(),
            expires_at: NOW + life,
        }
    }

    fn request(gate: GateName, asked: WaiverRequest) -> Result<Waiver, Refusal> {
        let policy = Policy::shipped().unwrap();
        Waiver::request(WaiverId::from_u128(1), policy.gate(gate).unwrap(), asked, name("ana"), NOW)
    }

    #[test]
    fn a_waiver_is_dated_reasoned_and_only_of_what_may_be_waived() {
        assert!(request(GateName::G1, asked("D4", LIFE_MAX)).is_ok());
        let refused = |gate, asked| request(gate, asked).unwrap_err().detail;
        assert!(refused(GateName::G1, asked("D44", LIFE_MAX)).contains("did you mean `D4`?"));
        assert!(refused(GateName::G2, asked("V3", LIFE_MAX)).contains("`V3` cannot be waived"));
        let long = LIFE_MAX.as_micros() + 1;
        assert!(refused(GateName::G1, asked("D4", Span::micros(long))).contains("at most 90 days"));
        assert!(refused(GateName::G1, asked("D4", Span::ZERO)).contains("in the past"));
        let mut silent = asked("D4", LIFE_MAX);
        silent.reason = "  because     ".into();
        assert!(refused(GateName::G1, silent).contains("`reason` says too little"));
    }

    #[test]
    fn only_an_outsider_approves_and_the_end_ends_it() {
        let insiders = BTreeSet::from([name("bea"), name("tom")]);
        let mut waiver = request(GateName::G1, asked("D4", Span::days(10))).unwrap();
        assert!(!waiver.covers(GateName::G1, "D4", NOW));
        for insider in ["ana", "bea"] {
            let refusal = waiver.approve(name(insider), &insiders, NOW).unwrap_err();
            assert_eq!(refusal.kind, Kind::Forbidden);
        }
        waiver.approve(name("rita"), &insiders, NOW).unwrap();
        assert!(waiver.approve(name("rolf"), &insiders, NOW).is_err());
        assert!(waiver.covers(GateName::G1, "D4", NOW));
        assert!(!waiver.covers(GateName::G2, "D4", NOW));
        assert!(!waiver.covers(GateName::G1, "D3", NOW));
        assert!(!waiver.covers(GateName::G1, "D4", NOW + Span::days(10)));
        let mut late = request(GateName::G1, asked("D4", Span::days(10))).unwrap();
        assert!(late.approve(name("rita"), &insiders, NOW + Span::days(10)).is_err());
    }

    #[test]
    fn a_stored_row_cannot_outlive_the_rule() {
        let mut waiver = request(GateName::G1, asked("D4", Span::days(10))).unwrap();
        waiver.approve(name("rita"), &BTreeSet::new(), NOW).unwrap();
        waiver.expires_at = NOW + Span::days(1_000);
        assert!(waiver.is_active(NOW + Span::days(89)));
        assert!(!waiver.is_active(NOW + LIFE_MAX));
    }

    #[test]
    fn debts_stand_overdue_first() {
        let mut rows: Vec<Waiver> = [("D2", 30), ("D4", 1), ("A3", 5)]
            .iter()
            .map(|(id, days)| request(GateName::G1, asked(id, Span::days(*days))).unwrap())
            .collect();
        for row in &mut rows[..2] {
            row.approve(name("rita"), &BTreeSet::new(), NOW).unwrap();
        }
        let found = debts(&rows, &[], NOW + Span::days(3));
        let shown: Vec<_> =
            found.iter().map(|d| (d.criterion.as_str(), d.standing, d.days_left)).collect();
        assert_eq!(shown, [("D4", Standing::Overdue, -2), ("D2", Standing::Open, 27)]);
    }
}
