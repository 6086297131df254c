//! `viaduct audit verify`: walks every hash chain and names the first entry that is not as it was
//! appended. The server may be running, or gone: only the database is read.

use viaduct_cli::{Failure, Printer};
use viaduct_store::Store;
use viaduct_store::chain::{self, ChainName, VerifyError};

use crate::config::Config;
use crate::server::refused;

pub(crate) fn verify(config: &Config, printer: &mut Printer) -> Result<(), Failure> {
    let store = Store::open_beside(&config.database).map_err(|e| refused(&e))?;
    let mut is_whole = true;
    for name in ChainName::ALL {
        let report = store.read_blocking("verify_chain", move |tx| chain::verify(tx, name));
        let line = match report {
            Ok(report) if report.entries == 0 => {
                format!("ok      {:<12}  no entries", name.as_str())
            }
            Ok(report) => format!(
                "ok      {:<12}  {} entries, head {}",
                name.as_str(),
                report.entries,
                report.head.get(..12).unwrap_or(&report.head)
            ),
            Err(VerifyError::Broken(broken)) => {
                is_whole = false;
                format!("broken  {:<12}  {broken}", name.as_str())
            }
            Err(VerifyError::Store(error)) => {
                return Err(Failure::Broken(format!(
                    "chain `{}` cannot be read: {error}",
                    name.as_str()
                )));
            }
        };
        printer.print(&line)?;
    }
    if is_whole { Ok(()) } else { Err(Failure::No) }
}
