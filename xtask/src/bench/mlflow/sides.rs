//! The two servers, started for a row of the table.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use super::load::Target;
use super::process;
use super::seed::Seeded;
use crate::Outcome;
use crate::bench::work;
use crate::run::program;
use crate::server::{Server, free_port};

/// How a stock server is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stock {
    /// As anybody starts it: four workers and the consumers of its jobs.
    Default,
    /// So many workers, and no jobs.
    Workers(u32),
}

impl Stock {
    pub(super) fn name(self) -> String {
        match self {
            Stock::Default => "as it comes".to_owned(),
            Stock::Workers(1) => "1 worker".to_owned(),
            Stock::Workers(n) => format!("{n} workers"),
        }
    }
}

/// A server that runs.
pub(super) struct Running {
    server: Server,
    /// Seconds from the start to the answer of the first search.
    pub first_search: f64,
}

const FIRST: &str = "/api/2.0/mlflow/experiments/search?max_results=1";

impl Running {
    pub(super) fn stock(bin: &Path, kind: Stock, seeded: &Seeded) -> Outcome<Self> {
        let port = free_port()?;
        let mut command = program(bin.join("mlflow"));
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", bin.display()));
        command.env("MLFLOW_DISABLE_TELEMETRY", "true").env("GIT_PYTHON_REFRESH", "quiet");
        command.args(["server", "--port", &port.to_string(), "--backend-store-uri", &seeded.stock]);
        let artifacts = seeded.data.with_file_name("stock-artifacts");
        command.arg("--artifacts-destination").arg(artifacts);
        if let Stock::Workers(n) = kind {
            command.args(["--workers", &n.to_string()]);
            command.env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false");
        }
        Self::wait(Server::start(&mut command, port, &work()?.join("mlflow-stock.log"))?)
    }

    pub(super) fn ours(binary: &Path, seeded: &Seeded) -> Outcome<Self> {
        let port = free_port()?;
        let mut command = program(binary);
        let listen = format!("127.0.0.1:{port}");
        command.args(["server", "--listen", &listen, "--data-dir"]).arg(&seeded.data);
        if let Some(url) = &seeded.database {
            command.args(["--database", url]);
        }
        Self::wait(Server::start(&mut command, port, &work()?.join("mlflow-ours.log"))?)
    }

    fn wait(mut server: Server) -> Outcome<Self> {
        let took = server.wait_for(FIRST, Duration::from_secs(180))?;
        Ok(Self { server, first_search: took.as_secs_f64() })
    }

    pub(super) fn target(&self, time: Duration) -> Target {
        Target { port: self.server.port, pid: self.server.pid(), time }
    }

    /// Resident and proportional memory in MiB after a quiet while.
    pub(super) fn idle_memory(&self) -> (f64, f64) {
        sleep(Duration::from_secs(3));
        process::memory_mib(self.server.pid())
    }

    pub(super) fn stop(self) -> Outcome {
        // Why all: workers that outlive their parent would hold the next row's memory.
        let children = process::tree(self.server.pid());
        let stopped = self.server.stop();
        for pid in children.into_iter().skip(1) {
            if PathBuf::from(format!("/proc/{pid}")).exists() {
                let _ = crate::server::terminate(pid);
            }
        }
        stopped
    }
}
