//! Tier: exposure times purpose. It sets how strict the gates are.
//!
//! The platform computes it; people may raise it in the project's file. Lowering it needs a
//! second-line signature, which this release does not take, so lowering is refused.

use serde::{Deserialize, Serialize};
use viaduct_base::{Currency, Kind, Refusal};

use crate::words::words;

/// Money at risk in a year from which a project is T1, and from which it is T2 (gates.md §2.2).
/// Amounts are read in the currency of the project's file.
const EXPOSURE_T1: f64 = 1_000_000.0;
const EXPOSURE_T2: f64 = 100_000.0;
const MONTHS_A_YEAR: f64 = 12.0;

words! {
    /// How strict the gates are: T1 the strictest.
    Tier, "a tier" {
        /// Access of natural persons or safety decided by machine, or more than a million a year.
        T1 = "T1",
        /// A hundred thousand to a million a year, or advice to people about people.
        T2 = "T2",
        /// The rest.
        T3 = "T3",
    }
}

words! {
    /// What makes a purpose weigh more than its money.
    PurposeFlag, "a purpose flag" {
        /// Affects a natural person's access: credit, job, insurance, an essential service.
        NaturalPerson = "natural_person",
        /// Somebody may be hurt.
        Safety = "safety",
        /// Tells people something about people, without deciding their access.
        AboutPeople = "about_people",
    }
}

words! {
    /// Who acts on the output.
    Automation, "an automation level" {
        /// A person sees the output and decides.
        Advisory = "advisory",
        /// The rule acts without a person.
        Automatic = "automatic",
    }
}

/// What the tier is computed from; the `tier` section of the project's file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TierInputs {
    /// Decisions (or people touched) in a month.
    pub decisions_per_month: f64,
    /// Money at risk in one decision.
    pub value_per_decision: f64,
    /// Its currency.
    pub currency: Currency,
    /// What the purpose touches.
    pub purpose_flags: Vec<PurposeFlag>,
    /// Who acts on the output.
    pub automation: Automation,
    /// A stricter tier that people asked for.
    pub raise_to: Option<Tier>,
}

impl TierInputs {
    /// Money at risk in a year. A number that is not finite or is negative counts as unlimited,
    /// so that a broken input never makes a gate easier.
    pub fn annual_exposure(&self) -> f64 {
        let exposure = self.decisions_per_month * MONTHS_A_YEAR * self.value_per_decision;
        if exposure.is_finite() && self.decisions_per_month >= 0.0 && exposure >= 0.0 {
            exposure
        } else {
            f64::INFINITY
        }
    }
}

/// The tier and the sentence that says why.
///
/// # Errors
/// Refused when `raise_to` would lower the computed tier.
pub fn tier(inputs: &TierInputs) -> Result<(Tier, String), Refusal> {
    let (computed, why) = computed_tier(inputs);
    match inputs.raise_to {
        None => Ok((computed, why)),
        Some(wanted) if wanted <= computed => {
            let why =
                if wanted == computed { why } else { format!("raised by people; computed: {why}") };
            Ok((wanted, why))
        }
        Some(wanted) => Err(Refusal::new(
            Kind::InvalidInput,
            format!(
                "`raise_to: {wanted}` would lower the tier, which is `{computed}` ({why}): \
                 take the line out, or name a stricter tier"
            ),
        )),
    }
}

fn computed_tier(inputs: &TierInputs) -> (Tier, String) {
    let exposure = inputs.annual_exposure();
    let currency = &inputs.currency;
    if let Some(flag) = inputs.purpose_flags.first() {
        return match inputs.automation {
            Automation::Automatic => (Tier::T1, format!("purpose `{flag}` and no person decides")),
            Automation::Advisory if exposure > EXPOSURE_T1 => (
                Tier::T1,
                format!("{exposure:.0} {currency} a year at risk, over {EXPOSURE_T1:.0}"),
            ),
            Automation::Advisory => (Tier::T2, format!("purpose `{flag}`, a person decides")),
        };
    }
    let money = format!("{exposure:.0} {currency} a year at risk");
    if exposure > EXPOSURE_T1 {
        (Tier::T1, format!("{money}, over {EXPOSURE_T1:.0}"))
    } else if exposure >= EXPOSURE_T2 {
        (Tier::T2, format!("{money}, from {EXPOSURE_T2:.0}"))
    } else {
        (Tier::T3, format!("{money}, under {EXPOSURE_T2:.0}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(decisions: f64, value: f64) -> TierInputs {
        TierInputs {
            decisions_per_month: decisions,
            value_per_decision: value,
            currency: "EUR".to_owned().try_into().unwrap(),
            purpose_flags: vec![],
            automation: Automation::Advisory,
            raise_to: None,
        }
    }

    #[test]
    fn exposure_sets_the_tier() {
        for (decisions, value, wanted) in [
            (3_000.0, 2.0, Tier::T3),
            (1_000.0, 100.0 / 12.0, Tier::T2),
            (1_000.0, 1_000.0 / 12.0, Tier::T2),
            (1_000.0, 84.0, Tier::T1),
            (f64::NAN, 1.0, Tier::T1),
            (-5.0, 1.0, Tier::T1),
            (-5.0, -1.0, Tier::T1),
        ] {
            assert_eq!(tier(&inputs(decisions, value)).unwrap().0, wanted, "{decisions} x {value}");
        }
    }

    #[test]
    fn purpose_sets_the_tier() {
        let mut advice = inputs(1.0, 1.0);
        advice.purpose_flags = vec![PurposeFlag::AboutPeople];
        assert_eq!(tier(&advice).unwrap().0, Tier::T2);
        advice.automation = Automation::Automatic;
        assert_eq!(tier(&advice).unwrap().0, Tier::T1);
        advice.automation = Automation::Advisory;
        advice.value_per_decision = 1e6;
        assert_eq!(tier(&advice).unwrap().0, Tier::T1);
    }

    #[test]
    fn people_raise_and_never_lower() {
        let mut small = inputs(1.0, 1.0);
        small.raise_to = Some(Tier::T2);
        let (raised, why) = tier(&small).unwrap();
        assert_eq!(raised, Tier::T2);
        assert_eq!(why, "raised by people; computed: 12 EUR a year at risk, under 100000");
        let mut large = inputs(1e6, 1.0);
        large.raise_to = Some(Tier::T2);
        let refusal = tier(&large).unwrap_err();
        assert!(refusal.detail.contains("would lower the tier, which is `T1`"), "{refusal}");
    }

    #[test]
    fn words_read_back_and_name_the_nearest() {
        assert_eq!("T2".parse::<Tier>().unwrap(), Tier::T2);
        assert_eq!(serde_json::to_string(&PurposeFlag::AboutPeople).unwrap(), "\"about_people\"");
        let error = "natural_persons".parse::<PurposeFlag>().unwrap_err();
        assert_eq!(
            error,
            "`natural_persons` is not a purpose flag; did you mean `natural_person`?"
        );
    }
}
