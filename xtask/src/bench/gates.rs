//! Whole evaluations from stored facts, by the example of `viaduct-app` that measures them.

use super::{Targets, example, machine};
use crate::Outcome;
use crate::run::{output, program};

const LIMIT_MS: f64 = 5.0;

pub(super) fn gates(built: bool) -> Outcome {
    let example = example("viaduct-app", "gates", built)?;
    println!("{}", machine());
    let text = output(program(example).arg("examples/term-deposit/viaduct.yaml"))?;
    print!("{text}");
    let mut targets = Targets::default();
    for gate in ["G1", "G2"] {
        let median = median(&text, gate)?;
        let verdict = targets.below(gate, median, LIMIT_MS, "ms");
        println!("{gate}: p50 {median:.3} ms (target < {LIMIT_MS} ms: {verdict})");
    }
    targets.done()
}

/// From `G1 | from stored facts | p50 1.234 ms | p99 2.345 ms`.
fn median(text: &str, gate: &str) -> Outcome<f64> {
    let head = format!("{gate} | from stored facts | p50 ");
    text.lines()
        .find_map(|line| line.strip_prefix(&head)?.split(' ').next()?.parse().ok())
        .ok_or_else(|| format!("the example did not tell the time of {gate}"))
}
