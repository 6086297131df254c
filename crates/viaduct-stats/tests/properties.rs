//! Laws that hold for all data: merging, relabelling, scaling, and that nothing panics.

use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value, json};
use viaduct_stats::{
    Moments, PairMoments, benjamini_hochberg, bonferroni, calc, cohens_kappa, holm, mcnemar, money,
    one_sided_lower, paired, plan, proportion,
    sketch::{BinCounter, CategoryCounter, Distinct, HeavyHitters, Quantiles},
    srm,
    value::{cuped, ratio},
    welch,
};

fn near(a: f64, b: f64, rel: f64) -> bool {
    (a - b).abs() <= rel * a.abs().max(b.abs()) + 1e-300
}

/// Rows with some spread, on any scale and offset.
fn sample() -> impl Strategy<Value = Vec<f64>> {
    (vec(-1.0..1.0_f64, 4..60), -6..6_i32, -3..3_i32).prop_map(|(rows, scale, offset)| {
        let scale = 10.0_f64.powi(scale);
        rows.into_iter().map(|row| (row + 10.0_f64.powi(offset)) * scale).collect()
    })
}

fn split<'a>(rows: &'a [f64], cuts: &[usize]) -> Vec<&'a [f64]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (rows.len() + 1)).collect();
    cuts.extend([0, rows.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &rows[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_partition_merges_to_the_same_estimate(
        control in sample(), treated in vec(-5.0..5.0_f64, 4..40), cuts in vec(any::<usize>(), 0..5),
    ) {
        let mut merged = Moments::default();
        for part in split(&control, &cuts) {
            merged.merge(&part.iter().copied().collect());
        }
        let other = Moments::of(&treated);
        let (Ok(whole), Ok(parts)) =
            (welch(&Moments::of(&control), &other, 0.95), welch(&merged, &other, 0.95))
        else {
            return Ok(());
        };
        prop_assert!(near(whole.se, parts.se, 1e-9), "{} {}", whole.se, parts.se);
        prop_assert!((whole.effect - parts.effect).abs() <= 1e-9 * whole.se.max(parts.effect.abs()));
        prop_assert_eq!(whole.n_control, parts.n_control);
    }

    #[test]
    fn pairs_merge_in_any_partition(y in sample(), cuts in vec(any::<usize>(), 0..5)) {
        let x: Vec<f64> = y.iter().rev().map(|v| v * 0.5).collect();
        let whole = PairMoments::of(&y, &x).expect("equal lengths");
        let mut merged = PairMoments::default();
        let (ys, xs) = (split(&y, &cuts), split(&x, &cuts));
        for (y, x) in ys.iter().zip(&xs) {
            let mut part = PairMoments::default();
            y.iter().zip(*x).for_each(|(y, x)| part.push(*y, *x));
            merged.merge(&part);
        }
        let scale = (whole.y.m2 * whole.x.m2).sqrt();
        prop_assert!((whole.c - merged.c).abs() <= 1e-9 * scale + 1e-12 * whole.y.mean.abs() * whole.x.mean.abs());
    }

    #[test]
    fn swapping_arms_flips_the_sign(a in sample(), b in sample()) {
        let (a, b) = (Moments::of(&a), Moments::of(&b));
        if let (Ok(ab), Ok(ba)) = (welch(&a, &b, 0.9), welch(&b, &a, 0.9)) {
            prop_assert_eq!(ab.effect, -ba.effect);
            prop_assert!(near(ab.lower, -ba.upper, 1e-12));
            prop_assert!(near(ab.se, ba.se, 1e-14));
            let (p, q) = (ab.p_value.expect("p"), ba.p_value.expect("p"));
            prop_assert!(near(p, q, 1e-9));
        }
    }

    #[test]
    fn swapping_proportions_flips_the_sign(
        n in (1..400_u64, 1..400_u64), shares in (0.0..=1.0_f64, 0.0..=1.0_f64),
    ) {
        let x = ((n.0 as f64 * shares.0) as u64, (n.1 as f64 * shares.1) as u64);
        let there = proportion(x.0, n.0, x.1, n.1, 0.95);
        let back = proportion(x.1, n.1, x.0, n.0, 0.95);
        match (there, back) {
            (Ok(there), Ok(back)) => {
                prop_assert!((there.effect + back.effect).abs() < 1e-15);
                prop_assert!((there.lower + back.upper).abs() < 1e-12);
                prop_assert!(near(there.p_value.expect("p"), back.p_value.expect("p"), 1e-9));
            }
            (there, back) => prop_assert_eq!(there.is_err(), back.is_err()),
        }
    }

    #[test]
    fn a_change_of_unit_changes_the_unit_only(a in sample(), b in sample(), power in -9..9_i32) {
        let unit = 2.0_f64.powi(power);
        let scaled = |rows: &[f64]| Moments::of(&rows.iter().map(|v| v * unit).collect::<Vec<_>>());
        let (plain, other) =
            (welch(&Moments::of(&a), &Moments::of(&b), 0.95), welch(&scaled(&a), &scaled(&b), 0.95));
        if let (Ok(plain), Ok(other)) = (plain, other) {
            prop_assert!(near(plain.effect * unit, other.effect, 1e-12));
            prop_assert!(near(plain.lower * unit, other.lower, 1e-10));
            prop_assert!(near(plain.p_value.expect("p"), other.p_value.expect("p"), 1e-9));
        }
    }

    #[test]
    fn cuped_and_ratio_do_not_depend_on_a_shift_of_the_covariate(
        y in vec(-1.0..1.0_f64, 12..40), shift in -100.0..100.0_f64,
    ) {
        let x: Vec<f64> = y.iter().enumerate().map(|(i, v)| v + (i % 3) as f64).collect();
        let half = y.len() / 2;
        let arms = |shift: f64| {
            let x: Vec<f64> = x.iter().map(|v| v + shift).collect();
            let arm = |from: usize, to: usize| PairMoments::of(&y[from..to], &x[from..to]);
            (arm(0, half).expect("pairs"), arm(half, y.len()).expect("pairs"))
        };
        let ((a, b), (c, d)) = (arms(0.0), arms(shift));
        if let (Ok(plain), Ok(shifted)) = (cuped::cuped(&a, &b, 0.95), cuped::cuped(&c, &d, 0.95)) {
            prop_assert!((plain.effect - shifted.effect).abs() < 1e-7);
            prop_assert!(near(plain.se, shifted.se, 1e-6));
        }
        let doubled = |pairs: &PairMoments| {
            let mut pairs = *pairs;
            pairs.x = Moments { mean: pairs.x.mean * 2.0, m2: pairs.x.m2 * 4.0, ..pairs.x };
            pairs.c *= 2.0;
            pairs
        };
        if let (Ok(plain), Ok(half)) =
            (ratio::ratio_delta(&c, &d, 0.95), ratio::ratio_delta(&doubled(&c), &doubled(&d), 0.95))
        {
            prop_assert!(near(plain.effect, 2.0 * half.effect, 1e-9));
        }
    }

    #[test]
    fn intervals_widen_with_confidence_and_hold_the_effect(a in sample(), b in sample()) {
        let (a, b) = (Moments::of(&a), Moments::of(&b));
        if let (Ok(narrow), Ok(wide)) = (welch(&a, &b, 0.8), welch(&a, &b, 0.99)) {
            prop_assert!(wide.lower <= narrow.lower && narrow.upper <= wide.upper);
            prop_assert!(narrow.lower <= narrow.effect && narrow.effect <= narrow.upper);
            // The one-sided bound at 95 % is the lower end of the two-sided interval at 90 %.
            let bound = one_sided_lower(&wide, 0.95).expect("a bound");
            let ninety = welch(&a, &b, 0.9).expect("an interval");
            prop_assert!(near(bound, ninety.lower, 1e-9) || (bound - ninety.lower).abs() < 1e-9 * wide.se);
        }
    }

    #[test]
    fn corrections_keep_order_and_never_lower_p(p in vec(0.0..=1.0_f64, 1..30)) {
        let adjusted = [holm(&p), bonferroni(&p), benjamini_hochberg(&p)];
        for adjusted in adjusted {
            let adjusted = adjusted.expect("p-values");
            for (i, a) in p.iter().enumerate() {
                prop_assert!(adjusted[i] >= *a - 1e-15 && adjusted[i] <= 1.0);
                for (j, b) in p.iter().enumerate() {
                    prop_assert!(a > b || adjusted[i] <= adjusted[j] + 1e-15);
                }
            }
        }
        let (holm, bonferroni) = (holm(&p).expect("p"), bonferroni(&p).expect("p"));
        prop_assert!(holm.iter().zip(&bonferroni).all(|(holm, plain)| holm <= plain));
    }

    #[test]
    fn mismatch_does_not_depend_on_the_scale_of_weights(
        counts in vec(1..10_000_u64, 2..5), scale in 0.001..1000.0_f64,
    ) {
        let weights: Vec<f64> = (1..=counts.len()).map(|i| i as f64).collect();
        let scaled: Vec<f64> = weights.iter().map(|w| w * scale).collect();
        let (a, b) = (srm(&counts, &weights).expect("srm"), srm(&counts, &scaled).expect("srm"));
        prop_assert!(near(a.chi2, b.chi2, 1e-9) || (a.chi2 - b.chi2).abs() < 1e-9);
    }

    #[test]
    fn agreement_ignores_the_order_of_judges(table in vec(1..50_u64, 4)) {
        let (a, b, c, d) = (table[0], table[1], table[2], table[3]);
        let (one, other) = (
            mcnemar([[a, b], [c, d]]).expect("cases"), mcnemar([[a, c], [b, d]]).expect("cases"),
        );
        prop_assert!(near(one.p_exact, other.p_exact, 1e-12));
        let kappa = |t: Vec<Vec<u64>>| cohens_kappa(&t, 0.95);
        let (one, other) = (kappa(vec![vec![a, b], vec![c, d]]), kappa(vec![vec![a, c], vec![b, d]]));
        if let (Ok(one), Ok(other)) = (one, other) {
            prop_assert!((one.kappa - other.kappa).abs() < 1e-12);
        }
    }

    #[test]
    fn a_planned_sample_has_the_planned_power(
        sd in 0.1..50.0_f64, share in 0.02..1.0_f64, power in 0.55..0.99_f64, ratio in 0.2..5.0_f64,
        correlation in -0.9..0.9_f64,
    ) {
        let mut question = plan::Question::of_mean(sd, sd * share);
        (question.power, question.ratio, question.correlation) = (power, ratio, correlation);
        let size = plan::sample_size(&question).expect("a size");
        let reached = plan::power(&question, size.control).expect("power");
        prop_assert!(reached >= power - 1e-9, "{reached} {power}");
        let mde = plan::minimum_detectable_effect(&question, size.control).expect("an effect");
        prop_assert!(mde <= sd * share * (1.0 + 1e-9));
    }

    #[test]
    fn a_rate_of_return_makes_the_value_zero(
        first in 1.0..1e6_f64, later in vec(0.0..1e5_f64, 1..40),
    ) {
        let mut flows = vec![-first];
        flows.extend(&later);
        // Below -30 % a month the annual rate is within 1.4 % of -1 and digits are lost on the way.
        if let Some(rate) = money::irr(&flows).expect("flows").filter(|rate| *rate > -0.3) {
            let annual = money::annual_rate(rate);
            let value = money::npv(&flows, annual).expect("a value");
            let size: f64 = flows.iter().map(|flow| flow.abs()).sum();
            prop_assert!(value.abs() < 1e-6 * size, "{value} {rate}");
        }
    }

    #[test]
    fn shares_of_cents_add_up(cents in -10_000_000_i64..10_000_000, weights in vec(0..1_000_000_u32, 1..20)) {
        use rust_decimal::Decimal;
        use viaduct_stats::value::ledger::split_cents;
        let total = Decimal::new(cents, 2);
        let weights: Vec<Decimal> = weights.into_iter().map(Decimal::from).collect();
        if let Ok(parts) = split_cents(total, &weights) {
            prop_assert_eq!(parts.iter().sum::<Decimal>(), total);
            for (part, weight) in parts.iter().zip(&weights) {
                prop_assert!(!weight.is_zero() || part.is_zero());
            }
        }
    }

    #[test]
    fn paired_differences_flip_with_the_order(a in vec(-9.0..9.0_f64, 3..40)) {
        let there = Moments::of(&a);
        let back = Moments { mean: -there.mean, ..there };
        if let (Ok(there), Ok(back)) = (paired(&there, 0.95), paired(&back, 0.95)) {
            prop_assert!((there.lower + back.upper).abs() < 1e-12);
        }
    }

    #[test]
    fn counters_merge_in_any_partition(
        values in vec(-3.0..3.0_f64, 0..200), cuts in vec(any::<usize>(), 0..4),
    ) {
        let edges: Vec<f64> = (-4..=4).map(|i| f64::from(i) * 0.5).collect();
        let mut whole = BinCounter::new(edges.clone()).expect("edges");
        values.iter().for_each(|value| whole.update(*value));
        whole.update(f64::NAN);
        let mut merged = BinCounter::new(edges.clone()).expect("edges");
        for part in split(&values, &cuts) {
            let mut counter = BinCounter::new(edges.clone()).expect("edges");
            part.iter().for_each(|value| counter.update(*value));
            merged.merge(&counter).expect("the same edges");
        }
        merged.update_missing();
        prop_assert_eq!(&whole, &merged);
        let text = serde_json::to_string(&whole).expect("JSON");
        prop_assert_eq!(whole, serde_json::from_str::<BinCounter>(&text).expect("JSON"));
    }
}

#[test]
fn sketches_merge_and_survive_bytes() {
    let (mut a, mut b) = (Quantiles::new().expect("a sketch"), Quantiles::new().expect("a sketch"));
    let (mut da, mut db) = (Distinct::new().expect("a sketch"), Distinct::new().expect("a sketch"));
    let (mut ha, mut hb) =
        (HeavyHitters::new().expect("a sketch"), HeavyHitters::new().expect("a sketch"));
    for i in 0..20_000_u32 {
        // A permutation of 0..20000, so that quantiles are known.
        let value = f64::from(i * 7919 % 20_000);
        let name = if i % 4 == 0 { "often".to_owned() } else { format!("rare {i}") };
        if i % 2 == 0 {
            a.update(value);
            da.update(i % 5000);
            ha.update(&name);
        } else {
            b.update(value);
            db.update(i % 5000);
            hb.update(&name);
        }
    }
    a.merge(&b);
    da.merge(&db).expect("a union");
    ha.merge(&hb);
    let mut back = Quantiles::from_bytes(&a.to_bytes()).expect("bytes");
    for q in [0.01, 0.25, 0.5, 0.75, 0.99] {
        let got = back.quantile(q).expect("values");
        assert!((got - 20_000.0 * q).abs() < 100.0, "{q}: {got}");
    }
    let distinct = Distinct::from_bytes(&da.to_bytes()).expect("bytes").estimate();
    assert!((distinct / 5000.0 - 1.0).abs() < 0.05, "{distinct}");
    let top = HeavyHitters::from_bytes(&ha.to_bytes()).expect("bytes").top(1);
    assert_eq!(top[0].value, "often");
    assert!(top[0].at_least <= 5000 && 5000 <= top[0].at_most);
    assert!(Quantiles::from_bytes(b"nonsense").is_err());

    let mut known = CategoryCounter::new(["a".to_owned(), "b".to_owned()]).expect("categories");
    for value in [Some("a"), Some("z"), None, Some("a")] {
        known.update(value);
    }
    assert_eq!((known.counts()["a"], known.unseen(), known.missing()), (2, 1, 1));
}

// === nothing panics ===

fn hostile_number() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(0)),
        Just(json!(-1)),
        Just(json!(1)),
        Just(json!(2)),
        Just(json!(1e308)),
        Just(json!(-1e308)),
        Just(json!(5e-324)),
        Just(json!(u64::MAX)),
        Just(json!(i64::MIN)),
        Just(json!(0.5)),
        Just(json!(1e-300)),
        Just(json!(9_007_199_254_740_993_u64)),
        (-1e6..1e6_f64).prop_map(|number| json!(number)),
        (0..40_i64).prop_map(|number| json!(number)),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => hostile_number(),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => "[a-z%=>. 0-9]{0,12}".prop_map(Value::String),
        1 => Just(json!("decrease")),
        1 => Just(json!("numeric")),
    ];
    leaf.prop_recursive(3, 40, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::Array),
            proptest::collection::hash_map("[a-z_]{1,10}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn names() -> Vec<String> {
    calc::list().lines().filter_map(|line| line.split('\t').next().map(str::to_owned)).collect()
}

/// The names of fields that a family's line mentions.
fn words(family: &str) -> Vec<String> {
    let list = calc::list();
    let line = list.lines().find(|line| line.starts_with(&format!("{family}\t"))).unwrap_or("");
    let fields = line.split('\t').nth(1).unwrap_or("");
    let mut words: Vec<String> = fields
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    words.dedup();
    words
}

fn is_answer(text: &str) -> bool {
    !text.contains("NaN")
        && serde_json::from_str::<Value>(text).is_ok_and(|answer| {
            answer.as_object().is_some_and(|map| {
                !map.contains_key("error") || map.get("reason").is_some_and(Value::is_string)
            })
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn calc_answers_any_text(text in "\\PC{0,60}") {
        for family in names() {
            prop_assert!(is_answer(&calc::run(&family, &text)));
        }
        let unknown = calc::run(&text, "{}");
        prop_assert!(is_answer(&unknown));
    }

    #[test]
    fn calc_answers_any_json(values in vec(any_json(), 12)) {
        for family in names() {
            let mut map = Map::new();
            for (word, value) in words(&family).into_iter().zip(values.iter().cycle()) {
                map.insert(word, value.clone());
            }
            let input = Value::Object(map).to_string();
            let answer = calc::run(&family, &input);
            prop_assert!(is_answer(&answer), "{family} {input} {answer}");
        }
    }
}
