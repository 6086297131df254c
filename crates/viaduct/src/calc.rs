//! `viaduct calc`: an auditor recomputes a figure without a server.

use std::io::Read as _;

use viaduct_cli::{Failure, Printer};

use crate::cli::CalcArgs;

/// Inputs are samples or sums; nothing an exact method can do is larger.
const INPUT_BYTES_MAX: u64 = 256 * 1024 * 1024;

pub(crate) fn run(args: &CalcArgs, printer: &mut Printer) -> Result<(), Failure> {
    let Some(family) = args.family.as_ref().filter(|_| !args.list) else {
        return Ok(printer.print(&viaduct_stats::calc::list())?);
    };
    let mut input = String::new();
    std::io::stdin()
        .take(INPUT_BYTES_MAX)
        .read_to_string(&mut input)
        .map_err(|e| Failure::Usage(format!("standard input cannot be read: {e}")))?;
    Ok(printer.print(&viaduct_stats::calc::run(family, &input))?)
}
