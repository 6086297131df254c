//! A throw-away PostgreSQL: one cluster a test process, a fresh database a test.
//!
//! The cluster listens on a Unix socket only, so that no port is taken. A small shell beside it
//! waits for the end of a pipe that this process holds: whatever ends the process, a kill -9
//! too, the cluster is stopped and its folder is deleted.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why there is no cluster; says what to install.
#[derive(Debug, Clone)]
pub struct MissingPostgres(String);

impl fmt::Display for MissingPostgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tests need a PostgreSQL server: {}. Install it with `apt-get update && apt-get \
             install -y postgresql`",
            self.0
        )
    }
}

impl std::error::Error for MissingPostgres {}

/// Whether a commit waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sync {
    Off,
    On,
}

/// A running cluster; dropping it stops the server and deletes its folder.
#[derive(Debug)]
pub struct PgCluster {
    bin: PathBuf,
    dir: PathBuf,
    watcher: Child,
    lifeline: Option<ChildStdin>,
    databases: AtomicU64,
}

impl PgCluster {
    /// The cluster of this test process, started by the first test that asks.
    ///
    /// # Errors
    /// [`MissingPostgres`] when no server is installed or it does not start: a test fails then,
    /// it does not skip.
    pub fn shared() -> Result<&'static Self, MissingPostgres> {
        static SHARED: OnceLock<Result<PgCluster, MissingPostgres>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref().map_err(Clone::clone)
    }

    /// A cluster of its own that does not wait for the disk.
    ///
    /// # Errors
    /// As [`PgCluster::shared`].
    pub fn start() -> Result<Self, MissingPostgres> {
        Self::launch(Sync::Off)
    }

    /// A cluster of its own that waits for the disk at each commit, for measurements.
    ///
    /// # Errors
    /// As [`PgCluster::shared`].
    pub fn start_durable() -> Result<Self, MissingPostgres> {
        Self::launch(Sync::On)
    }

    fn launch(sync: Sync) -> Result<Self, MissingPostgres> {
        let bin = find_bin()?;
        let dir = make_dir()?;
        let data = dir.join("data");
        let initdb = as_postgres(&bin.join("initdb"))
            .args(["-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"])
            .arg("-D")
            .arg(&data)
            .output();
        succeeded("initdb", initdb)?;
        let (watcher, lifeline) = watch(&bin, &dir)?;
        let cluster =
            Self { bin, dir, watcher, lifeline: Some(lifeline), databases: AtomicU64::new(0) };
        cluster.start_server(sync)?;
        Ok(cluster)
    }

    fn start_server(&self, sync: Sync) -> Result<(), MissingPostgres> {
        let fsync = match sync {
            // Why: commits still reach the operating system, so a crash of the server loses none.
            Sync::Off => "-c fsync=off -c full_page_writes=off",
            Sync::On => "",
        };
        let options = format!(
            "-c listen_addresses= -k {} -c max_connections=300 -c shared_buffers=32MB {fsync}",
            self.dir.display()
        );
        let mut start = as_postgres(&self.bin.join("pg_ctl"));
        start.arg("-D").arg(self.dir.join("data")).arg("-l").arg(self.dir.join("log"));
        start.args(["-w", "-t", "30", "-o", &options, "start"]);
        // Why: the server inherits a captured stdout, and reading it would never end.
        let status = start.stdout(Stdio::null()).stderr(Stdio::null()).status();
        match status {
            Ok(status) if status.success() => Ok(()),
            _ => {
                let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
                Err(MissingPostgres(format!("`pg_ctl start` failed: {log}")))
            }
        }
    }

    /// Makes an empty database and returns its address. Its own order of text is not bytewise,
    /// so that a store which relies on the server's default is found out.
    ///
    /// # Errors
    /// As [`PgCluster::shared`], when `createdb` fails.
    pub fn database(&self) -> Result<String, MissingPostgres> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        let socket = self.dir.display().to_string();
        let created = as_postgres(&self.bin.join("createdb"))
            .args(["-h", &socket, "-U", "postgres", "-T", "template0"])
            .args(["--locale-provider=icu", "--icu-locale=en-US", "--locale=C.UTF-8", &name])
            .output();
        succeeded("createdb", created)?;
        Ok(format!("postgres://postgres@/{name}?host={socket}"))
    }

    /// Stops the server as a crash would: connections break, nothing is flushed.
    ///
    /// # Errors
    /// As [`PgCluster::shared`], when `pg_ctl` fails.
    pub fn crash(&self) -> Result<(), MissingPostgres> {
        let stopped = as_postgres(&self.bin.join("pg_ctl"))
            .arg("-D")
            .arg(self.dir.join("data"))
            .args(["-m", "immediate", "-w", "stop"])
            .output();
        succeeded("pg_ctl stop", stopped)
    }

    /// Starts the server again after [`PgCluster::crash`].
    ///
    /// # Errors
    /// As [`PgCluster::shared`].
    pub fn restart(&self) -> Result<(), MissingPostgres> {
        self.start_server(Sync::Off)
    }
}

impl Drop for PgCluster {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.watcher.wait();
    }
}

/// The newest installed server's programs.
fn find_bin() -> Result<PathBuf, MissingPostgres> {
    let versions = std::fs::read_dir("/usr/lib/postgresql");
    let mut found: Vec<(u32, PathBuf)> = versions
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            bin.join("initdb").is_file().then_some((version, bin))
        })
        .collect();
    found.sort();
    found
        .pop()
        .map(|(_, bin)| bin)
        .ok_or_else(|| MissingPostgres("no `/usr/lib/postgresql/*/bin/initdb`".to_owned()))
}

/// A short folder under /tmp that the `postgres` user owns: a socket's path has 107 characters.
fn make_dir() -> Result<PathBuf, MissingPostgres> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let dir = PathBuf::from(format!("/tmp/viaduct-pg-{}-{count}", std::process::id()));
    let failed = |e: std::io::Error| MissingPostgres(format!("`{}`: {e}", dir.display()));
    // Why: a process of the same number may have been killed before its watcher was.
    if dir.exists() {
        std::fs::remove_dir_all(&dir).map_err(failed)?;
    }
    std::fs::create_dir_all(&dir).map_err(failed)?;
    if is_root() {
        let chown = Command::new("chown").arg("postgres:postgres").arg(&dir).output();
        succeeded("chown", chown)?;
    }
    Ok(dir)
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

/// The server refuses to run as root, so root steps down to the `postgres` user.
fn as_postgres(program: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir("/tmp").env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    command
}

/// A process group of its own, so that Ctrl-C on the tests does not end it before its work.
fn watch(bin: &Path, dir: &Path) -> Result<(Child, ChildStdin), MissingPostgres> {
    let step_down =
        if is_root() { "setpriv --reuid=postgres --regid=postgres --init-groups" } else { "" };
    let script = format!(
        "read line; cd /tmp; {step_down} {bin}/pg_ctl -D {dir}/data -m immediate stop; rm -rf {dir}",
        bin = bin.display(),
        dir = dir.display(),
    );
    let failed = |e: std::io::Error| MissingPostgres(format!("no watcher: {e}"));
    let mut child = Command::new("setsid")
        .args(["sh", "-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let lifeline = child.stdin.take();
    let lifeline = lifeline.ok_or_else(|| MissingPostgres("no watcher's pipe".to_owned()))?;
    Ok((child, lifeline))
}

fn succeeded(what: &str, output: std::io::Result<Output>) -> Result<(), MissingPostgres> {
    let output = output.map_err(|e| MissingPostgres(format!("`{what}`: {e}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(MissingPostgres(format!("`{what}` failed: {said}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_starts_answers_and_leaves_nothing() {
        let cluster = PgCluster::start().unwrap_or_else(|e| panic!("{e}"));
        let dir = cluster.dir.clone();
        let url = cluster.database().unwrap();
        let answer = Command::new(cluster.bin.join("psql"))
            .args([&url, "-Atc", "SELECT 'a' < 'B'"])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&answer.stdout).trim(), "t", "{answer:?}");
        drop(cluster);
        assert!(!dir.exists());
    }
}
