//! `cargo xtask check`: what a commit must pass, without running the product.

use crate::Outcome;
use crate::run::{cargo, run};

pub(crate) fn check() -> Outcome {
    run(cargo().args(["fmt", "--all", "--", "--check"]))?;
    let mut clippy = cargo();
    clippy.args(["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    run(&mut clippy)?;
    run(cargo().args(["test", "--locked", "--package", "viaduct-tests", "--test", "it", "tidy"]))
}
