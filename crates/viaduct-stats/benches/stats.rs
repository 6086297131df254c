//! Times of the hot paths and of what peers compute too, as one JSON object of seconds.
//!
//! `cargo bench -p viaduct-stats` prints it; `xtask/bench/stats_peer.py FILE` computes the same on the
//! same data with scipy, gbstats, evidently and nannyml and prints the ratios. Data come from the
//! generator that the reference cases name, so both sides see the same values.

use std::{hint::black_box, time::Instant};

use viaduct_stats::{
    Moments,
    drift::{binning::Binning, evidently, nannyml, samples::Sorted},
    sketch::BinCounter,
    unlabelled::cbpe::{Cbpe, Scores},
    value::sequential::confidence_sequence,
    welch,
};

/// The reference cases' generator of roughly normal values.
fn values(seed: u64, n: usize, shift: f64) -> Vec<f64> {
    let mut x = seed.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(3_037_000_493);
    (0..n)
        .map(|_| {
            let sum: f64 = (0..12)
                .map(|_| {
                    x = x
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    (x >> 11) as f64 / (1_u64 << 53) as f64
                })
                .sum();
            shift + sum - 6.0
        })
        .collect()
}

/// Best of several runs, in seconds.
fn seconds<T>(runs: u32, mut work: impl FnMut() -> T) -> f64 {
    (0..runs)
        .map(|_| {
            let start = Instant::now();
            black_box(work());
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

fn main() {
    let (reference, current) = (values(77, 1_000_000, 0.0), values(78, 1_000_000, 0.2));
    let (small, other) = (&reference[..100_000], &current[..100_000]);
    let mut times: Vec<(&str, f64)> = Vec::new();

    let edges = Binning::ReferenceQuantiles { bins: 10 }.edges(&reference).unwrap_or_default();
    if let Ok(mut counter) = BinCounter::new(edges) {
        let took = seconds(7, || current.iter().for_each(|value| counter.update(*value)));
        let per_value = took * 1e9 / current.len() as f64;
        eprintln!("fixed-edge counter of 10 bins: {per_value:.2} ns a value (at most 8)");
        times.push(("counter_1m", took));
    }
    times.push((
        "welch_1m",
        seconds(5, || welch(&Moments::of(&reference), &Moments::of(&current), 0.95)),
    ));
    times.push((
        "sequential_1m",
        seconds(5, || {
            let (a, b) = (Moments::of(&reference), Moments::of(&current));
            confidence_sequence(&a, &b, 0.95, 5000.0)
        }),
    ));
    times.push((
        "ks_wasserstein_energy_100k",
        seconds(3, || {
            Sorted::new(small, other).map(|s| (s.ks().p_value(), s.wasserstein(), s.energy()))
        }),
    ));
    times.push((
        "evidently_psi_js_100k",
        seconds(3, || {
            evidently::Numeric::new(small, other).map(|field| {
                (field.score(evidently::Method::Psi), field.score(evidently::Method::JensenShannon))
            })
        }),
    ));
    times.push(("nannyml_univariate_100k", seconds(3, || nannyml::numeric(small, other))));
    let chance = |z: &f64| 1.0 / (1.0 + (-z).exp());
    let p: Vec<f64> = small.iter().map(chance).collect();
    let y: Vec<Option<bool>> = p.iter().zip(other).map(|(p, z)| Some(*p > chance(z))).collect();
    let scores = Scores { p, y };
    times.push((
        "cbpe_100k",
        seconds(2, || Cbpe::fit(&scores, 0.5, 5000).and_then(|fitted| fitted.estimate(&scores))),
    ));
    let map: serde_json::Map<String, serde_json::Value> =
        times.into_iter().map(|(name, took)| (name.to_owned(), took.into())).collect();
    println!("{}", serde_json::Value::Object(map));
}
