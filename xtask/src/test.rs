//! `cargo xtask test`: everything, in the order in which a failure is cheapest.

use crate::Outcome;
use crate::run::{Build, build, cargo, program, run, succeeds};
use crate::setup::{Wanted, python, setup};

pub(crate) fn test(no_e2e: bool) -> Outcome {
    setup(Wanted::Everything)?;
    rust()?;
    if no_e2e { Ok(()) } else { e2e() }
}

fn rust() -> Outcome {
    if succeeds(cargo().args(["nextest", "--version"])) {
        let mut most = cargo();
        most.args(["nextest", "run", "--locked", "--workspace", "--no-fail-fast"]);
        run(most.args(["--exclude", "viaduct-store"]))?;
        // Why apart: nextest gives each test a process, and each process would start a PostgreSQL
        // of its own; here all tests share one.
        run(cargo().args(["test", "--locked", "-p", "viaduct-store", "--tests", "--lib"]))?;
        // nextest leaves the examples in the documentation out.
        run(cargo().args(["test", "--locked", "--workspace", "--doc", "--quiet"]))
    } else {
        run(cargo().args(["test", "--locked", "--workspace", "--no-fail-fast"]))
    }
}

/// The built binary with real clients. Last, so that pytest's closing line is the last line.
fn e2e() -> Outcome {
    let binary = build(Build::Dev)?;
    let mut pytest = program(python());
    pytest.args(["-m", "pytest", "-p", "no:cacheprovider", "tests/e2e"]);
    run(pytest.env("VIADUCT_BIN", binary))
}
