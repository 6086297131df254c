//! Models that stay Python: one supervised process group a version, asked over a Unix socket.
//!
//! The process gets an empty environment, a memory limit and a folder of its own. It ends when its
//! standard input closes, so it does not outlive the server even when that is killed. One that ends
//! or stops answering its health probe is started again, each time after a longer pause.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::{TAIL_BYTES, tail_of};

/// The program that the processes run; `sidecar.py serve FOLDER SOCKET`.
pub const PROGRAM: &str = include_str!("sidecar.py");
/// The kernel's limit of a socket's path, with a byte for its end.
const SOCKET_PATH_MAX: usize = 107;
const POLL: Duration = Duration::from_millis(100);
const PROBE_EVERY: Duration = Duration::from_secs(2);
const PROBE_PATIENCE: Duration = Duration::from_secs(5);
/// So many probes in a row without an answer end it.
const PROBES_MISSED_MAX: u32 = 3;
/// Importing a large library takes this long on a busy machine.
const START_MAX: Duration = Duration::from_secs(180);
/// Requests under way when a version leaves are answered within this time.
const GRACE: Duration = Duration::from_secs(5);
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// After so long without a fault the next pause is a first one.
const IS_SOUND: Duration = Duration::from_secs(60);

/// How sidecars run.
#[derive(Debug, Clone)]
pub struct SidecarOptions {
    /// The interpreter; it has `mlflow-skinny` and what the models need.
    pub python: PathBuf,
    /// Where sockets and the program lie.
    pub folder: PathBuf,
    /// Address space of each process, in MiB.
    pub memory_limit_mib: u64,
}

/// All sidecars of this server; dropping it ends them.
#[derive(Debug)]
pub struct Sidecars {
    options: SidecarOptions,
    running: Mutex<Running>,
}

#[derive(Debug, Default)]
struct Running {
    /// By name: the socket, and what ends it when it is dropped.
    by_name: HashMap<String, (PathBuf, Sender<()>)>,
    /// Why counted: one that comes back must not share the socket of one that is going.
    started: u64,
}

impl Sidecars {
    /// Lays the program and the folder of sockets out; nothing runs yet.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn new(options: SidecarOptions) -> io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&options.folder)?;
        std::fs::write(options.folder.join("sidecar.py"), PROGRAM)?;
        for entry in std::fs::read_dir(&options.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == "sock") {
                std::fs::remove_file(path)?;
            }
        }
        Ok(Self { options, running: Mutex::default() })
    }

    /// How they run.
    pub fn options(&self) -> &SidecarOptions {
        &self.options
    }

    /// Starts the model of a folder under this name, unless it runs; answers its socket.
    ///
    /// # Errors
    /// The socket's path is longer than the system takes.
    pub fn ensure(&self, name: &str, model: &Path) -> Result<PathBuf, String> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((socket, _)) = running.by_name.get(name) {
            return Ok(socket.clone());
        }
        running.started += 1;
        let socket = self.options.folder.join(format!("{name}-{}.sock", running.started));
        if socket.as_os_str().len() > SOCKET_PATH_MAX {
            return Err(format!(
                "`{}` is too long for a socket: start the server on a shorter `--data-dir`",
                socket.display()
            ));
        }
        let (stop, stopped) = channel();
        let options = self.options.clone();
        let sidecar = Sidecar { options, socket: socket.clone(), model: model.to_owned() };
        std::thread::Builder::new()
            .name("sidecar".into())
            .spawn(move || sidecar.supervise(&stopped))
            .map_err(|e| format!("no thread for a sidecar: {e}"))?;
        running.by_name.insert(name.to_owned(), (socket.clone(), stop));
        Ok(socket)
    }

    /// Ends all but these, once what they were asked is answered.
    pub fn retain(&self, sockets: &HashSet<PathBuf>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.by_name.retain(|_, (socket, _)| sockets.contains(socket));
    }
}

struct Sidecar {
    options: SidecarOptions,
    socket: PathBuf,
    model: PathBuf,
}

/// Why one run of the process is over.
enum End {
    Asked,
    Fault(String),
}

impl Sidecar {
    fn supervise(&self, stopped: &Receiver<()>) {
        let mut pause = PAUSE_FIRST;
        loop {
            let started = Instant::now();
            let end = match self.start() {
                Ok(mut child) => {
                    let errors = tail_of(child.stderr.take());
                    let end = self.watch(&mut child, stopped);
                    // Why always: what it started must not outlive it.
                    let _ = killpg(Pid::from_raw(child.id() as i32), Signal::SIGKILL);
                    let _ = child.wait();
                    let said = errors.join().unwrap_or_default();
                    let from = said.len().saturating_sub(TAIL_BYTES / 8);
                    match end {
                        End::Fault(why) => {
                            End::Fault(format!("{why}: {}", said.get(from..).unwrap_or(&said)))
                        }
                        End::Asked => End::Asked,
                    }
                }
                Err(error) => End::Fault(format!("it did not start: {error}")),
            };
            let _ = std::fs::remove_file(&self.socket);
            let End::Fault(why) = end else { return };
            let model = self.model.display();
            tracing::warn!(%model, again_in = ?pause, "a sidecar ended: {}", why.trim_end());
            if started.elapsed() > IS_SOUND {
                pause = PAUSE_FIRST;
            }
            if !matches!(stopped.recv_timeout(pause), Err(RecvTimeoutError::Timeout)) {
                return;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn start(&self) -> io::Result<Child> {
        let folder = &self.options.folder;
        // Why a shell: as in `run_local`, limits are set between fork and exec.
        Command::new("/bin/sh")
            .arg("-c")
            .arg("ulimit -v \"$1\"; ulimit -c 0; shift; exec \"$@\"")
            .arg("sh")
            .arg((self.options.memory_limit_mib * 1024).to_string())
            .arg(&self.options.python)
            .arg(folder.join("sidecar.py"))
            .arg("serve")
            .arg(&self.model)
            .arg(&self.socket)
            .current_dir(folder)
            .env_clear()
            .envs([
                ("PATH", "/usr/bin:/bin"),
                ("LANG", "C.UTF-8"),
                ("PYTHONDONTWRITEBYTECODE", "1"),
                ("OMP_NUM_THREADS", "1"),
                ("OPENBLAS_NUM_THREADS", "1"),
                ("MLFLOW_DISABLE_TELEMETRY", "true"),
            ])
            .env("HOME", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
    }

    fn watch(&self, child: &mut Child, stopped: &Receiver<()>) -> End {
        let started = Instant::now();
        let (mut probed, mut answers, mut missed) = (started, false, 0);
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return End::Fault(format!("it ended with {status}")),
                Ok(None) => {}
                Err(error) => return End::Fault(format!("it was lost: {error}")),
            }
            if probed.elapsed() > PROBE_EVERY {
                let is_well = probe(&self.socket).is_ok();
                probed = Instant::now();
                answers |= is_well;
                missed = if is_well { 0 } else { missed + u32::from(answers) };
                if missed >= PROBES_MISSED_MAX {
                    return End::Fault("it does not answer its health probe".into());
                }
                if !answers && started.elapsed() > START_MAX {
                    return End::Fault(format!("it was not ready within {START_MAX:?}"));
                }
            }
            if !matches!(stopped.recv_timeout(POLL), Err(RecvTimeoutError::Timeout)) {
                std::thread::sleep(GRACE);
                return End::Asked;
            }
        }
    }
}

/// Asks whether it lives.
fn probe(socket: &Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PROBE_PATIENCE))?;
    stream.set_write_timeout(Some(PROBE_PATIENCE))?;
    stream.write_all(b"GET /v2/health/live HTTP/1.0\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    match head.ends_with(b" 200") {
        true => Ok(()),
        false => Err(io::Error::other("not well")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program in place of Python: it keeps its arguments and does what the script says.
    fn sidecars(folder: &Path, script: &str) -> Sidecars {
        use std::os::unix::fs::PermissionsExt;
        let python = folder.join("python");
        std::fs::write(&python, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
        let folder = folder.join("sockets");
        Sidecars::new(SidecarOptions { python, folder, memory_limit_mib: 4096 }).unwrap()
    }

    fn lines(path: &Path) -> usize {
        std::fs::read_to_string(path).unwrap_or_default().lines().count()
    }

    fn wait_until(what: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !what() {
            assert!(Instant::now() < end, "it took too long");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn one_that_ends_is_started_again() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("starts");
        let sidecars = sidecars(folder.path(), &format!("echo x >> {}; exit 3", log.display()));
        let first = sidecars.ensure("m-1", Path::new("/model")).unwrap();
        assert_eq!(sidecars.ensure("m-1", Path::new("/model")).unwrap(), first);
        wait_until(|| lines(&log) >= 3);
        // Not wanted any more: it stays away.
        sidecars.retain(&HashSet::new());
        std::thread::sleep(Duration::from_millis(300));
        let ended = lines(&log);
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(lines(&log), ended);
    }

    #[test]
    fn the_group_dies_when_it_is_not_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let pids = folder.path().join("pids");
        let script = format!("/bin/sleep 300 & echo $! >> {}; wait", pids.display());
        let sidecars = sidecars(folder.path(), &script);
        sidecars.ensure("m-1", Path::new("/model")).unwrap();
        wait_until(|| lines(&pids) == 1);
        let pid: i32 = std::fs::read_to_string(&pids).unwrap().trim().parse().unwrap();
        drop(sidecars);
        let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        wait_until(|| state().is_empty() || state().contains(") Z "));
    }

    #[test]
    fn a_path_too_long_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let sidecars = sidecars(folder.path(), "exit 0");
        let said = sidecars.ensure(&"x".repeat(120), Path::new("/model")).unwrap_err();
        assert!(said.contains("shorter `--data-dir`"), "{said}");
    }
}
