use std::collections::BTreeSet;

use super::*;

fn gate(extra: &str, check: &str) -> String {
    format!(
        "version: 1
gates:
  - gate: G1
    human_fields_max: 8
    working_days: 3
    on_timeout: {{T1: escalate, T2: escalate, T3: accept_if_all_block_pass}}
    signatures:
      - {{role: business_owner, statement: Right.}}
    criteria:
      - id: A1
        title: alive
        severity: block
        fix: look at {{project}}
        {extra}
        checks:
          - {check}
"
    )
}

const GOOD: &str = "{fact: kpi.live_share, op: '>=', threshold: 0.9, max_age: P2D}";

#[test]
fn the_shipped_policy_is_the_matrix_whole() {
    let policy = Policy::shipped().unwrap();
    let ids = |name| -> Vec<&str> {
        policy.gate(name).unwrap().criteria.iter().map(|c| c.id.as_str()).collect()
    };
    assert_eq!(
        ids(GateName::G1),
        ["A1", "A2", "A3", "A4", "A5", "D1", "D2", "D3", "D4", "M1", "M2", "M3", "S1", "I1", "O1"]
    );
    assert_eq!(
        ids(GateName::G2),
        [
            "V1", "V2", "V3", "V4", "D5", "D6", "D7", "D8", "M4", "M5", "M6", "I2", "I3", "I4",
            "I5", "I6", "R1", "R2", "R3", "R4", "O2", "O3", "O4", "O5", "P1", "P2", "P3", "P4"
        ]
    );
    assert_eq!(ids(GateName::G3), (1..=15).map(|n| format!("E{n}")).collect::<Vec<_>>());
}

#[test]
fn every_fact_is_read_and_g1_has_every_producer() {
    let policy = Policy::shipped().unwrap();
    let read = |gates: &[Gate]| -> BTreeSet<FactName> {
        let criteria = gates.iter().flat_map(|gate| gate.criteria.iter());
        criteria.flat_map(|c| c.checks.iter().map(|check| check.fact)).collect()
    };
    let unread: Vec<_> =
        FactName::ALL.iter().filter(|name| !read(policy.gates()).contains(name)).collect();
    assert!(unread.is_empty(), "no criterion reads {unread:?}");
    let g1 = policy.gates().iter().filter(|gate| gate.name == GateName::G1).cloned();
    for name in read(&g1.collect::<Vec<_>>()) {
        assert!(name.producer().is_some(), "{name} has no producer");
    }
    for id in ["V1", "V3"] {
        let criterion = policy.gate(GateName::G2).unwrap().criterion(id).unwrap();
        assert!(criterion.checks.iter().all(|check| check.fact.producer().is_some()), "{id}");
    }
}

#[test]
fn severities_signatures_and_time_outs_are_those_of_the_matrix() {
    let policy = Policy::shipped().unwrap();
    let find = |id: &str| policy.gates().iter().find_map(|gate| gate.criterion(id)).unwrap();
    let at =
        |id: &str| Tier::ALL.iter().map(|t| find(id).severity_at(*t).as_str()).collect::<Vec<_>>();
    for (id, wanted) in [
        ("A1", ["block", "block", "block"]),
        ("A4", ["block", "block", "warn"]),
        ("V4", ["warn", "warn", "warn"]),
        ("M4", ["block", "warn", "warn"]),
        ("M5", ["warn", "warn", "warn"]),
        ("P4", ["block", "warn", "warn"]),
        ("E5", ["block", "block", "warn"]),
        ("E6", ["warn", "warn", "warn"]),
        ("E13", ["block", "block", "warn"]),
        ("E14", ["block", "warn", "warn"]),
    ] {
        assert_eq!(at(id), wanted, "{id}");
    }
    assert!(!find("V3").waivable);
    let signed = find("R3").checks.iter().find(|c| c.fact == FactName::ArtifactSignatureVerified);
    assert!(!signed.unwrap().waivable);
    let g1 = policy.gate(GateName::G1).unwrap();
    assert_eq!((g1.working_days, g1.human_fields_max), (3, 8));
    let timeouts = Tier::ALL.iter().map(|t| g1.on_timeout(*t)).collect::<Vec<_>>();
    assert_eq!(timeouts, [OnTimeout::Escalate, OnTimeout::Escalate, OnTimeout::Accept]);
    let none = BTreeSet::new();
    let roles = |tier| -> Vec<_> {
        g1.signatures
            .iter()
            .filter(|s| s.when.holds(tier, &none))
            .map(|s| s.role.as_str())
            .collect()
    };
    assert_eq!(roles(Tier::T2), ["business_owner", "data_owner"]);
    assert_eq!(roles(Tier::T1), ["business_owner", "data_owner", "risk_partner"]);
    assert_eq!(policy.window_of(FactName::KpiLiveShare), Some(Span::days(28)));
}

#[test]
fn the_hash_is_of_the_rows_not_of_the_text() {
    let plain = Policy::parse(&gate("", GOOD)).unwrap();
    let spaced = Policy::parse(&format!("# a note\n{}", gate("waivable: true", GOOD))).unwrap();
    let other = Policy::parse(&gate("waivable: false", GOOD)).unwrap();
    assert_eq!(plain.hash(), spaced.hash());
    assert_ne!(plain.hash(), other.hash());
    assert_eq!(plain.gate(GateName::G1).unwrap().policy.hash, *plain.hash());
}

#[test]
fn mistakes_name_the_place_and_the_nearest_word() {
    for (extra, check, wanted, line) in [
        ("severty: warn", GOOD, "`severty` is not a key here; did you mean `severity`?", 14),
        (
            "",
            "{fact: kpi.live_shar, op: '>=', threshold: 1, max_age: P1D}",
            "`kpi.live_shar` is not a fact; did you mean `kpi.live_share`?",
            16,
        ),
        (
            "",
            "{fact: kpi.live_share, op: ci_lower_gte, threshold: 1, max_age: P1D}",
            "`kpi.live_share` is a number, and `ci_lower_gte` does not read one: use `>=`",
            16,
        ),
        (
            "",
            "{fact: kpi.live_share, op: is_tru, max_age: P1D}",
            "`is_tru` is not an operator; did you mean `is_true`?",
            16,
        ),
        (
            "",
            "{fact: kpi.live_share, op: '>=', max_age: P1D}",
            "`>=` of `kpi.live_share` takes a number",
            16,
        ),
        (
            "",
            "{fact: kpi.live_share, op: '>=', threshold: high, max_age: P1D}",
            "takes a number",
            16,
        ),
        ("", "{fact: kpi.live_share, op: '>=', threshold: .nan, max_age: P1D}", "finite", 16),
        ("", "{fact: kpi.live_share, op: '>=', threshold: 1}", "`max_age` is missing", 16),
        (
            "",
            "{fact: kpi.live_share, op: '>=', threshold: 1, max_age: P0D}",
            "longer than nothing",
            16,
        ),
        (
            "",
            "{fact: kpi.live_share, op: exists, level: 0.9, max_age: P1D}",
            "for an interval only",
            16,
        ),
        (
            "",
            "{fact: override.rate, op: inside, threshold: [0.3, 0.01], max_age: P1D}",
            "a lowest and a highest",
            16,
        ),
        ("when: \"tier == 'T9'\"", GOOD, "`T9` is not a tier", 14),
        ("tiers: {T4: {severity: warn}}", GOOD, "`T4` is not a tier", 14),
        ("tiers: {T3: {severity: wurn}}", GOOD, "did you mean `warn`?", 14),
    ] {
        let refusal = Policy::parse(&gate(extra, check)).unwrap_err();
        let found = &refusal.errors[0];
        assert!(found.detail.contains(wanted), "{check}{extra}: {}", found.detail);
        assert_eq!(found.line, Some(line), "{}", found.detail);
    }
}

#[test]
fn a_gate_that_would_open_on_nothing_is_refused() {
    let text = gate("", GOOD);
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        Policy::parse(&text.replace(from, to)).unwrap_err().detail
    };
    assert!(refused("severity: block", "severity: warn").contains("would open on nothing"));
    assert!(refused("fix: look at {project}", "fix: look at {projct}").contains("`{project}`"));
    assert!(refused("T1: escalate", "T1: accept_if_all_block_pass").contains("at `T3` only"));
    assert!(refused("T1: escalate, ", "").contains("does not say what happens at `T1`"));
    assert!(refused("working_days: 3", "working_days: 0").contains("at least 1"));
    assert!(refused("business_owner", "busines_owner").contains("did you mean `business_owner`?"));
}
