//! Decisions as a Parquet file.

use std::io::Write;

use viaduct_base::{EndpointId, Error, Fault, Kind, Refusal, Timestamp};
use viaduct_decisions::DecisionLog;
use viaduct_domain::permission::{Caller, Operation};
use viaduct_lake::{LakeError, Plan, Report, export};

use crate::App;

/// An export that may be made: what was asked for, checked.
#[derive(Debug, Clone)]
pub struct Export {
    log: DecisionLog,
    endpoint: EndpointId,
    from: Timestamp,
    to: Timestamp,
    /// The endpoint's name.
    pub name: String,
}

impl Export {
    /// Reads the log twice, first for the columns and then for the rows, and writes the file with
    /// the memory of one row group. Blocks.
    ///
    /// # Errors
    /// The log is damaged or cannot be read, or `out` takes no more; the file is then without its
    /// foot and no reader takes it for whole.
    pub fn write(&self, out: impl Write + Send) -> Result<Report, Error> {
        let scan = || self.log.scan(Some(self.endpoint), self.from, self.to);
        let fault = |e: LakeError| Error::from(Fault::caused("export decisions", e));
        let plan = Plan::of(scan()).map_err(|e| fault(e.into()))?;
        export(&plan, scan(), out).map_err(fault)
    }
}

impl App {
    /// Prepares the export of an endpoint's decisions with `from <= at < to`.
    ///
    /// # Errors
    /// `not-found`; a span that ends before it begins.
    pub async fn export_decisions(
        &self,
        caller: &Caller,
        endpoint: &str,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> Result<Export, Error> {
        self.authorise(caller, Operation::ExportDecisions)?;
        let id = self.get_endpoint(caller, endpoint).await?.id;
        let from = from.unwrap_or(Timestamp::from_micros(i64::MIN));
        let to = to.unwrap_or(Timestamp::from_micros(i64::MAX));
        if from >= to {
            let detail = format!("`from` ({from}) is not before `to` ({to})");
            return Err(Refusal::new(Kind::InvalidInput, detail).into());
        }
        let (log, name) = (self.decisions().clone(), endpoint.to_owned());
        Ok(Export { log, endpoint: id, from, to, name })
    }
}
