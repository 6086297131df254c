use proptest::prelude::*;
use viaduct_base::Span;

use super::*;
use crate::evaluate::passing::{NOW, input, project, shipped};
use crate::evaluate::{EvaluationInput, evaluate};
use crate::fact::{FactName, SubjectKind};
use crate::stage::{Event, Stage, Standing, State, next};

const RISK: &str = "Callers may get tired of the same customers";

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn signers() -> Signers {
    Signers::new()
        .with(SignerRole::BusinessOwner, [name("bea")])
        .with(SignerRole::DataOwner, [name("dan")])
        .with(SignerRole::RiskPartner, [name("rita")])
}

struct World {
    gate: Gate,
    input: EvaluationInput,
    signed: Evaluation,
}

fn world(tier: Tier) -> World {
    let gate = shipped(GateName::G1);
    let input = input(&gate, tier);
    let signed = evaluate(&gate, &input);
    World { gate, input, signed }
}

impl World {
    fn open_with(&self, signers: &Signers) -> Result<Review, Refusal> {
        let request = ReviewRequest {
            id: ReviewId::from_u128(1),
            gate: &self.gate,
            evaluation: (EvaluationId::from_u128(2), &self.signed),
            signers,
            by: name("ana"),
        };
        Review::open(request, NOW)
    }

    fn open(&self) -> Review {
        self.open_with(&signers()).unwrap()
    }

    fn fresh(&self, now: Timestamp) -> Evaluation {
        let mut input = self.input.clone();
        input.now = now;
        for fact in &mut input.facts {
            fact.observed_at = now;
        }
        evaluate(&self.gate, &input)
    }
}

fn sign(review: &mut Review, role: SignerRole, user: &str, now: Timestamp) -> Result<(), Refusal> {
    let seen = review.evaluation_hash.clone();
    review.sign(role, name(user), RISK, &seen, now).map(|_| ())
}

fn hours(n: i64) -> Timestamp {
    NOW + Span::hours(n)
}

#[test]
fn two_signatures_and_the_same_evidence_open_the_gate() {
    let world = world(Tier::T2);
    let mut review = world.open();
    sign(&mut review, SignerRole::BusinessOwner, "bea", hours(1)).unwrap();
    assert!(
        matches!(review.readiness(hours(1)), Readiness::Waiting(left) if left[0].role == SignerRole::DataOwner)
    );
    let early = conclude(&mut review, &world.signed, &world.fresh(hours(1)), hours(1));
    assert_eq!(early.unwrap_err().detail, "the review still waits for `data_owner`");
    sign(&mut review, SignerRole::DataOwner, "dan", hours(2)).unwrap();
    assert_eq!(review.readiness(hours(2)), Readiness::Signed);
    let fresh = world.fresh(hours(2));
    let Ok(Conclusion::Opened(opened)) = conclude(&mut review, &world.signed, &fresh, hours(2))
    else {
        panic!("the gate must open");
    };
    assert_eq!(opened.evaluation_hash(), &fresh.hash().unwrap());
    assert_eq!(review.consent, Some(Consent::Signatures));
    let standing = Standing::begin(project(), NOW);
    let standing = next(standing, Event::ReviewOpened, NOW).unwrap();
    let after = next(standing, Event::GateOpened(opened), hours(2)).unwrap();
    assert_eq!((after.stage, after.state, after.since), (Stage::Pilot, State::Clear, hours(2)));
    let again = conclude(&mut review, &world.signed, &fresh, hours(2)).unwrap_err();
    assert_eq!(again.kind, Kind::Conflict);
}

#[test]
fn evidence_that_went_away_closes_the_review_with_the_difference() {
    let mut world = world(Tier::T2);
    let mut review = world.open();
    sign(&mut review, SignerRole::BusinessOwner, "bea", hours(1)).unwrap();
    sign(&mut review, SignerRole::DataOwner, "dan", hours(1)).unwrap();
    world.input.facts.retain(|fact| fact.name != FactName::OutcomeJoinedShare);
    let fresh = world.fresh(hours(2));
    let concluded = conclude(&mut review, &world.signed, &fresh, hours(2)).unwrap();
    let Conclusion::Closed(rows) = concluded else { panic!("it must stay shut") };
    assert_eq!(rows.iter().map(|row| row.what.as_str()).collect::<Vec<_>>(), ["D4"]);
    assert_eq!((review.state, review.difference.len()), (ReviewState::Closed, 1));
}

#[test]
fn another_model_tier_or_policy_is_not_what_was_signed() {
    for change in 0..4 {
        let mut world = world(Tier::T2);
        let mut review = world.open();
        sign(&mut review, SignerRole::BusinessOwner, "bea", hours(1)).unwrap();
        sign(&mut review, SignerRole::DataOwner, "dan", hours(1)).unwrap();
        match change {
            0 => {
                let version = world.input.subjects.get_mut(&SubjectKind::ModelVersion).unwrap();
                version.id = "other".into();
                let of_model =
                    |f: &&mut crate::fact::Fact| f.subject.kind == SubjectKind::ModelVersion;
                for fact in world.input.facts.iter_mut().filter(of_model) {
                    fact.subject.id = "other".into();
                }
            }
            1 => world.input.tier = Tier::T1,
            2 => world.gate.policy.hash = Digest::of(b"another policy"),
            _ => {
                world.input.purposes.insert(crate::tier::PurposeFlag::Safety);
            }
        }
        let fresh = world.fresh(hours(2));
        assert!(fresh.opens, "{change}: {:?}", fresh.blockers);
        let concluded = conclude(&mut review, &world.signed, &fresh, hours(2)).unwrap();
        assert!(matches!(concluded, Conclusion::Closed(_)), "{change}");
    }
}

#[test]
fn silence_opens_at_t3_after_three_working_days_and_only_there() {
    for (tier, opens) in [(Tier::T1, false), (Tier::T2, false), (Tier::T3, true)] {
        let world = world(tier);
        let mut review = world.open();
        assert_eq!(review.due_at, after_working_days(NOW, 3));
        let (before, due) = (review.due_at - Span::micros(1), review.due_at);
        assert!(matches!(review.readiness(before), Readiness::Waiting(_)));
        assert!(conclude(&mut review, &world.signed, &world.fresh(before), before).is_err());
        assert!(!review.escalate(before));
        let concluded = conclude(&mut review.clone(), &world.signed, &world.fresh(due), due);
        if opens {
            assert_eq!(review.readiness(due), Readiness::Silence);
            assert!(matches!(concluded, Ok(Conclusion::Opened(_))));
            assert!(!review.escalate(due));
        } else {
            assert!(
                concluded.unwrap_err().detail.starts_with("the review still waits for `business")
            );
            assert!(review.escalate(due), "{tier}");
            assert!(!review.escalate(due), "recorded once");
            assert_eq!(review.escalated_at, Some(due));
            review.on_timeout = OnTimeout::Accept;
            assert!(matches!(review.readiness(due), Readiness::Overdue(_)));
        }
    }
}

#[test]
fn at_t3_silence_does_not_stand_in_for_evidence() {
    let mut world = world(Tier::T3);
    let mut review = world.open();
    world.input.facts.retain(|fact| fact.name != FactName::ModelReproduced);
    let due = review.due_at;
    let concluded = conclude(&mut review, &world.signed, &world.fresh(due), due).unwrap();
    assert!(matches!(concluded, Conclusion::Closed(_)));
}

#[test]
fn signers_are_named_different_and_say_something() {
    let world = world(Tier::T1);
    let mut review = world.open();
    let roles: Vec<_> = review.required.iter().map(|slot| slot.role.as_str()).collect();
    assert_eq!(roles, ["business_owner", "data_owner", "risk_partner"]);
    let hash = review.evaluation_hash.clone();
    let mut refused = |role, user: &str, statement: &str, seen: &Digest| {
        review.sign(role, name(user), statement, seen, NOW).unwrap_err()
    };
    let business = SignerRole::BusinessOwner;
    assert_eq!(refused(business, "tom", RISK, &hash).kind, Kind::Forbidden);
    assert_eq!(refused(business, "bea", RISK, &Digest::of(b"x")).kind, Kind::Conflict);
    assert_eq!(refused(SignerRole::Compliance, "bea", RISK, &hash).kind, Kind::InvalidInput);
    for empty in ["", "ok", "            ", "1234567890123", "-------------a"] {
        assert!(
            refused(business, "bea", empty, &hash).detail.contains("says too little"),
            "{empty}"
        );
    }
    sign(&mut review, business, "bea", NOW).unwrap();
    assert_eq!(sign(&mut review, business, "bea", NOW).unwrap_err().kind, Kind::AlreadyExists);
    assert_eq!(
        sign(&mut review, SignerRole::DataOwner, "bea", NOW).unwrap_err().detail,
        "`bea` signed as `business_owner` already: signers are different people"
    );
}

#[test]
fn a_review_needs_an_open_evaluation_and_its_people() {
    let mut world = world(Tier::T2);
    let refused = |world: &World, people: &Signers| world.open_with(people).unwrap_err().detail;
    let nobody = Signers::new().with(SignerRole::BusinessOwner, [name("bea")]);
    assert!(refused(&world, &nobody).contains("nobody is named as `data_owner`"));
    let same = nobody.clone().with(SignerRole::DataOwner, [name("bea")]);
    assert!(refused(&world, &same).contains("nobody is left for `data_owner`"));
    let shared = Signers::new()
        .with(SignerRole::BusinessOwner, [name("bea"), name("bob")])
        .with(SignerRole::DataOwner, [name("bea")]);
    assert!(world.open_with(&shared).is_ok(), "bob signs for the business, bea for the data");
    let two = signers().with(SignerRole::DataOwner, [name("dora")]);
    assert_eq!(world.open_with(&two).unwrap().required.len(), 3, "every data owner signs");
    world.input.facts.pop();
    world.signed = evaluate(&world.gate, &world.input);
    let refusal = world.open_with(&signers()).unwrap_err();
    assert_eq!(refusal.kind, Kind::GateShut);
    assert!(refusal.detail.contains("is kept shut by `O1`"), "{refusal}");
}

#[test]
fn forged_signatures_do_not_count() {
    let world = world(Tier::T2);
    let mut review = world.open();
    sign(&mut review, SignerRole::BusinessOwner, "bea", hours(1)).unwrap();
    sign(&mut review, SignerRole::DataOwner, "dan", hours(1)).unwrap();
    let good = review.signatures.clone();
    for forge in 0..4 {
        let mut rows = good.clone();
        match forge {
            0 => rows[1].evaluation_hash = Digest::of(b"x"),
            1 => rows[1].user = name("bea"),
            2 => rows[1].statement.clear(),
            _ => rows[1].signed_at = NOW - Span::days(1),
        }
        let forged = review.clone().with_signatures(rows);
        assert!(matches!(forged.readiness(hours(2)), Readiness::Waiting(_)), "{forge}");
    }
}

#[test]
fn the_signed_evaluation_and_a_fresh_one_of_now_are_demanded() {
    let world = world(Tier::T2);
    let mut review = world.open();
    sign(&mut review, SignerRole::BusinessOwner, "bea", hours(1)).unwrap();
    sign(&mut review, SignerRole::DataOwner, "dan", hours(1)).unwrap();
    let fresh = world.fresh(hours(2));
    let other = conclude(&mut review, &fresh, &fresh, hours(2)).unwrap_err();
    assert!(other.detail.contains("not the one at hand"), "{other}");
    let old = conclude(&mut review, &world.signed, &world.signed, hours(2)).unwrap_err();
    assert!(old.detail.contains("evaluated again"), "{old}");
    assert_eq!(review.state, ReviewState::Open);
}

#[test]
fn who_asked_or_signs_may_withdraw_and_it_ends_there() {
    let world = world(Tier::T2);
    let mut review = world.open();
    assert_eq!(review.withdraw(name("tom"), NOW).unwrap_err().kind, Kind::Forbidden);
    review.clone().withdraw(name("ana"), NOW).unwrap();
    review.withdraw(name("dan"), NOW).unwrap();
    assert_eq!(review.withdrawn_by, Some(name("dan")));
    assert!(sign(&mut review, SignerRole::BusinessOwner, "bea", NOW).is_err());
    assert_eq!(review.readiness(review.due_at), Readiness::Over);
}

#[test]
fn a_review_reads_back_without_its_signatures() {
    let world = world(Tier::T2);
    let mut review = world.open();
    sign(&mut review, SignerRole::BusinessOwner, "bea", hours(1)).unwrap();
    let json = serde_json::to_string(&review).unwrap();
    let back: Review = serde_json::from_str(&json).unwrap();
    assert!(back.signatures.is_empty());
    assert_eq!(back.with_signatures(review.signatures.clone()), review);
}

proptest! {
    /// Whoever signs whatever in whatever order: the gate opens only when every role has signed,
    /// each by a person of its own, or at T3 when the time-out has passed.
    #[test]
    fn no_sequence_opens_without_all_signatures_or_the_time_out(
        tier in prop::sample::select(Tier::ALL),
        acts in prop::collection::vec((0usize..10, 0usize..4, 0i64..4), 0..12),
        days in 0i64..9,
    ) {
        let world = world(tier);
        let mut review = world.open();
        let people = ["bea", "dan", "rita", "ana"];
        for (role, person, hour) in acts {
            let _ = sign(&mut review, SignerRole::ALL[role], people[person], hours(hour));
        }
        let now = NOW + Span::days(days);
        let has = |role, person: &str| {
            review.signatures.iter().any(|s| s.role == role && s.user.as_str() == person)
        };
        let all = has(SignerRole::BusinessOwner, "bea")
            && has(SignerRole::DataOwner, "dan")
            && (tier != Tier::T1 || has(SignerRole::RiskPartner, "rita"));
        let silent = tier == Tier::T3 && now >= after_working_days(NOW, 3);
        let concluded = conclude(&mut review, &world.signed, &world.fresh(now), now);
        prop_assert_eq!(matches!(concluded, Ok(Conclusion::Opened(_))), all || silent);
    }
}
