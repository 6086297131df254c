//! Runs a command with limits and an empty environment, to its end or supervised as a sidecar.
//! Local processes only, so far.
//!
//! The child is the leader of its own process group; whatever it started dies with it. Limits of
//! memory and time are the caller's; what it prints is kept to a tail.

mod sidecar;

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

pub use sidecar::{PROGRAM as SIDECAR_PROGRAM, SidecarOptions, Sidecars};

/// How much of each output stream is kept: its end, where errors stand.
const TAIL_BYTES: usize = 16 * 1024;
/// How often a running child is looked at.
const POLL: Duration = Duration::from_millis(20);

/// What to run.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The program, as an absolute path or a name on `PATH` below.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The working folder.
    pub folder: PathBuf,
    /// The whole environment; nothing is inherited.
    pub environment: Vec<(String, String)>,
    /// When the group is killed.
    pub time_limit: Duration,
    /// Address space of each process, in MiB.
    pub memory_limit_mib: u64,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// True when the time limit ended it.
    pub timed_out: bool,
    /// The end of what it printed.
    pub stdout: String,
    /// The end of what it complained.
    pub stderr: String,
}

impl Finished {
    /// True when it ended by itself with 0.
    pub fn succeeded(&self) -> bool {
        self.code == Some(0) && !self.timed_out
    }
}

/// Why nothing ran.
#[derive(Debug, thiserror::Error)]
pub enum CannotRun {
    /// The process did not start.
    #[error("`{program}` did not start: {source}")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The process could not be waited for.
    #[error("`{program}` was lost: {source}")]
    Lost {
        /// The program.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Runs `workload` to its end. Blocks; call it from a thread that may wait.
///
/// # Errors
/// When the process does not start or cannot be waited for; a bad exit is a [`Finished`].
pub fn run_local(workload: &Workload) -> Result<Finished, CannotRun> {
    let program = workload.program.display().to_string();
    // Why a shell: the limit must be set in the child between fork and exec, and doing that
    // from Rust needs unsafe code. The arguments are passed as words, never as text.
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg("ulimit -v \"$1\"; shift; exec \"$@\"")
        .arg("sh")
        .arg((workload.memory_limit_mib * 1024).to_string())
        .arg(&workload.program)
        .args(&workload.arguments)
        .current_dir(&workload.folder)
        .env_clear()
        .envs(workload.environment.iter().map(|(k, v)| (k, v)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|source| CannotRun::Start { program: program.clone(), source })?;
    let stdout = tail_of(child.stdout.take());
    let stderr = tail_of(child.stderr.take());
    let group = Pid::from_raw(child.id() as i32);
    let (status, timed_out) = wait(&mut child, group, workload.time_limit)
        .map_err(|source| CannotRun::Lost { program, source })?;
    // Why again: a grandchild may hold the pipes open after the leader has gone.
    let _ = killpg(group, Signal::SIGKILL);
    Ok(Finished {
        code: status.code(),
        timed_out,
        stdout: stdout.join().unwrap_or_default(),
        stderr: stderr.join().unwrap_or_default(),
    })
}

fn wait(child: &mut Child, group: Pid, limit: Duration) -> std::io::Result<(ExitStatus, bool)> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((status, false));
        }
        if Instant::now() >= deadline {
            let _ = killpg(group, Signal::SIGKILL);
            return Ok((child.wait()?, true));
        }
        std::thread::sleep(POLL);
    }
}

fn tail_of(stream: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let mut chunk = [0u8; 8192];
        let Some(mut stream) = stream else { return String::new() };
        while let Ok(read) = stream.read(&mut chunk) {
            if read == 0 {
                break;
            }
            kept.extend_from_slice(&chunk[..read]);
            if kept.len() > 2 * TAIL_BYTES {
                kept.drain(..kept.len() - TAIL_BYTES);
            }
        }
        let from = kept.len().saturating_sub(TAIL_BYTES);
        String::from_utf8_lossy(&kept[from..]).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, seconds: u64, memory_limit_mib: u64) -> Finished {
        let folder = tempfile::tempdir().unwrap();
        run_local(&Workload {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            folder: folder.path().into(),
            environment: vec![("ONLY".into(), "this".into())],
            time_limit: Duration::from_secs(seconds),
            memory_limit_mib,
        })
        .unwrap()
    }

    #[test]
    fn the_environment_is_empty_but_for_what_was_given() {
        std::assert!(std::env::var_os("PATH").is_some());
        let done = shell("echo \"$ONLY/$HOME/$VIADUCT_TOKEN\"", 5, 4096);
        assert!(done.succeeded());
        assert_eq!(done.stdout, "this//\n");
    }

    #[test]
    fn a_bad_exit_keeps_the_end_of_stderr() {
        let done = shell("echo no >&2; exit 3", 5, 4096);
        assert_eq!((done.code, done.timed_out), (Some(3), false));
        assert_eq!(done.stderr, "no\n");
    }

    #[test]
    fn the_whole_group_dies_at_the_time_limit() {
        let started = Instant::now();
        let done = shell("/bin/sleep 60 & /bin/sleep 60", 1, 4096);
        assert!(done.timed_out && !done.succeeded());
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn memory_is_limited() {
        let done = shell("/usr/bin/perl -e '$x = \"x\" x (512*1024*1024); print 1'", 20, 128);
        assert!(!done.succeeded(), "{done:?}");
    }
}
