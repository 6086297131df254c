//! A server process: started, waited for, measured, stopped.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::run::program;

/// The status of a GET over HTTP/1.1 to this machine; 0 for an answer that is none.
pub(crate) fn status_of(port: u16, path: &str) -> std::io::Result<u16> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    stream.set_nodelay(true)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0))
}

/// A port that nobody uses now.
pub(crate) fn free_port() -> Outcome<u16> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|e| format!("no free port: {e}"))
}

/// A running server whose log goes to a file.
pub(crate) struct Server {
    child: Child,
    /// Where it answers.
    pub port: u16,
    started: Instant,
}

impl Server {
    /// Starts the binary; the server outlives this process unless it is stopped.
    pub(crate) fn start(command: &mut Command, port: u16, log: &Path) -> Outcome<Self> {
        let file = fs::File::create(log)
            .map_err(|e| format!("`{}` cannot be written: {e}", log.display()))?;
        let again = file.try_clone().map_err(|e| format!("the log cannot be shared: {e}"))?;
        let started = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(again)
            .spawn()
            .map_err(|e| format!("the server cannot be started: {e}"))?;
        Ok(Self { child, port, started })
    }

    /// Waits until `path` answers 200, and says how long that took since the start.
    pub(crate) fn wait_for(&mut self, path: &str, limit: Duration) -> Outcome<Duration> {
        loop {
            if status_of(self.port, path).is_ok_and(|status| status == 200) {
                return Ok(self.started.elapsed());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the server ended at once ({status})"));
            }
            if self.started.elapsed() > limit {
                return Err(format!("the server did not answer `{path}` in {limit:?}"));
            }
            sleep(Duration::from_millis(2));
        }
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in MiB.
    pub(crate) fn resident_mib(&self) -> Outcome<f64> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(&path).map_err(|e| format!("`{path}`: {e}"))?;
        text.lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<f64>().ok())
            .map(|kib| kib / 1024.0)
            .ok_or_else(|| format!("`{path}` does not tell the memory"))
    }

    /// Asks it to stop and waits.
    pub(crate) fn stop(mut self) -> Outcome {
        terminate(self.child.id())?;
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(15) {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return Ok(());
            }
            sleep(Duration::from_millis(20));
        }
        self.child.kill().map_err(|e| format!("the server cannot be ended: {e}"))
    }
}

/// SIGTERM.
pub(crate) fn terminate(pid: u32) -> Outcome {
    let status = program("kill").arg("-TERM").arg(pid.to_string()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!("process {pid} cannot be stopped")),
    }
}
