use super::*;
use serde_json::json;

fn kpi(kind: &str, not_acted: Value) -> KpiSpec {
    serde_json::from_value(json!({
        "name": "margin", "primary": true, "unit": "EUR", "type": kind, "direction": "increase",
        "source": "decisions", "value_if_not_acted": not_acted, "maturity": "P21D"
    }))
    .unwrap()
}

fn rule() -> Rule {
    serde_json::from_value(json!({
        "name": "r", "when": {"field": "probability", "op": ">=", "threshold": 0.1},
        "action": "call", "otherwise": "skip", "mode": "auto"
    }))
    .unwrap()
}

fn outcome(label: Option<Value>, value: Option<f64>) -> Outcome {
    Outcome { label, value, observed_at: day(0), status: OutcomeStatus::Final }
}

fn day(n: i32) -> Timestamp {
    Day::from_number(n).start()
}

#[test]
fn values() {
    let mean = kpi("mean", json!(0));
    let worth = |o: &Outcome, done| mean.value_of(Some(o), done);
    assert_eq!(worth(&outcome(None, Some(12.0)), Deed::Acted), Some(12.0));
    assert_eq!(worth(&outcome(None, Some(3.0)), Deed::NotActed), Some(3.0));
    assert_eq!(worth(&outcome(None, None), Deed::NotActed), Some(0.0));
    assert_eq!(worth(&outcome(None, None), Deed::Acted), None);
    assert_eq!(worth(&outcome(None, Some(f64::NAN)), Deed::NotActed), None);
    assert_eq!(worth(&outcome(Some(json!("yes")), None), Deed::Acted), None);
    assert_eq!(mean.value_of(None, Deed::NotActed), None);

    let share = kpi("proportion", json!("observed"));
    for (label, value, expected) in [
        (Some(json!("Yes")), None, Some(1.0)),
        (Some(json!(false)), None, Some(0.0)),
        (Some(json!(1)), None, Some(1.0)),
        (None, Some(0.0), Some(0.0)),
        (None, Some(0.5), None),
        (Some(json!("perhaps")), None, None),
    ] {
        assert_eq!(share.value_of(Some(&outcome(label, value)), Deed::Acted), expected);
    }
    assert_eq!(share.value_of(Some(&outcome(None, None)), Deed::NotActed), None);
}

#[test]
fn counterfactuals() {
    let amount = kpi("mean", json!(-0.5));
    let observed = kpi("mean", json!("observed"));
    let seen = Some(7.0);
    for (model, done, with_amount, with_observed) in [
        ("call", "call", seen, seen),
        ("skip", "skip", seen, seen),
        ("skip", "call", Some(-0.5), None),
        ("call", "skip", None, None),
        ("letter", "call", None, None),
        ("skip", "letter", Some(-0.5), None),
    ] {
        let case = ShadowCase { model_action: model, action_done: done, observed: seen };
        assert_eq!(amount.counterfactual(&rule(), case), with_amount, "{model} {done}");
        assert_eq!(observed.counterfactual(&rule(), case), with_observed, "{model} {done}");
    }
    let missing = ShadowCase { model_action: "skip", action_done: "call", observed: None };
    assert_eq!(amount.counterfactual(&rule(), missing), Some(-0.5));
    assert_eq!(amount.shadow_pair(&rule(), missing), None);
    let known = ShadowCase { observed: seen, ..missing };
    assert_eq!(amount.shadow_pair(&rule(), known), Some((-0.5, 7.0)));
}

#[test]
fn the_report_that_counts() {
    let report = |value: f64, at: i32, status| Outcome {
        label: None,
        value: Some(value),
        observed_at: day(at),
        status,
    };
    let history = [
        report(1.0, 5, OutcomeStatus::Partial),
        report(2.0, 10, OutcomeStatus::Final),
        report(3.0, 20, OutcomeStatus::Corrected),
        report(4.0, 20, OutcomeStatus::Corrected),
        report(5.0, 25, OutcomeStatus::Partial),
    ];
    for (now, expected) in
        [(4, None), (5, Some(1.0)), (10, Some(2.0)), (19, Some(2.0)), (30, Some(4.0))]
    {
        let value = outcome_at(&history, day(now)).and_then(|o| o.value);
        assert_eq!(value, expected, "day {now}");
    }
}

#[test]
fn points_wait_for_maturity_and_count_what_is_missing() {
    let kpi = kpi("mean", json!(0));
    let mut points = DailyPoints::new(&kpi, day(22));
    points.add(day(0), Some(Variant::Champion), Some(2.0));
    points.add(day(0), Some(Variant::Holdout), Some(4.0));
    points.add(day(0), Some(Variant::Holdout), None);
    points.add(day(1), None, Some(f64::NAN));
    points.add(day(2), Some(Variant::Champion), Some(99.0));
    assert_eq!(points.immature(), 1);
    let found: Vec<_> = points
        .finish()
        .into_iter()
        .map(|p| (p.day.number(), p.arm, p.value, p.n, p.missing))
        .collect();
    assert_eq!(
        found,
        [
            (0, None, Some(3.0), 2, 1),
            (0, Some(Variant::Champion), Some(2.0), 1, 0),
            (0, Some(Variant::Holdout), Some(4.0), 1, 1),
            (1, None, None, 0, 1),
        ]
    );
}

#[test]
fn history_reads_and_refuses_by_line() {
    let points =
        parse_history("\u{feff}date,value,n,arm\n2026-01-01,1.5,20,\n\n2026-01-02,2,30,a\n")
            .unwrap();
    assert_eq!(
        (points.len(), points[0].arm.clone(), points[1].arm.as_deref()),
        (2, None, Some("a"))
    );
    let errors = parse_history("date,value,n\n2026-13-01,1,1\n2026-01-02,nan,1\n2026-01-03,1,-2\n2026-01-04,1,1\n2026-01-04,1,1\n")
        .unwrap_err();
    let said: Vec<_> =
        errors.iter().map(|e| format!("{} {} {}", e.line.unwrap(), e.pointer, e.detail)).collect();
    assert_eq!(
        said,
        [
            "2 /date `2026-13-01` is not a day: use `2026-01-31`",
            "3 /value `nan` is not a finite number such as `12.5`",
            "4 /n `-2` is not a count: use a whole number such as `120`",
            "6 /date the day `2026-01-04` comes twice; keep one row a day and arm",
        ]
    );
    let errors = parse_history("day;value\n").unwrap_err();
    assert!(errors[0].detail.contains("must be `date,value,n`"), "{errors:?}");
}

#[test]
fn specs_round_trip() {
    for not_acted in [json!(0.0), json!("observed")] {
        let spec = kpi("mean", not_acted.clone());
        let value = serde_json::to_value(&spec).unwrap();
        assert_eq!(value["value_if_not_acted"], not_acted);
        assert_eq!(serde_json::from_value::<KpiSpec>(value).unwrap(), spec);
    }
}
