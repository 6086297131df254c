//! `cargo xtask demo` and `stop`: the example on a new server, which stays.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::run::{Build, build, program, root, run};
use crate::server::{Server, terminate};
use crate::setup::{Wanted, python, setup};

/// Before the Monday on which the example starts.
const START: &str = "2026-01-01T00:00:00Z";
/// The real campaign is replayed from here (its README says why).
const START_OF_CAMPAIGN: &str = "2008-09-01T00:00:00Z";
const SCRIPT: &str = "examples/term-deposit/demo.py";

fn folder() -> PathBuf {
    root().join("var/demo")
}

fn pid_file() -> PathBuf {
    folder().join("server.pid")
}

pub(crate) fn demo(data: Option<&Path>, port: u16) -> Outcome {
    let data = data.map(whole_path).transpose()?;
    let binary = build(Build::Dev)?;
    setup(Wanted::Python)?;
    stop()?;
    let folder = folder();
    let place = folder.join("data");
    if place.exists() {
        fs::remove_dir_all(&place).map_err(|e| named("removed", &place, &e))?;
    }
    fs::create_dir_all(&place).map_err(|e| named("made", &place, &e))?;
    let config = folder.join("viaduct.toml");
    let text = format!("[reproduce]\npython = {:?}\n", python().display().to_string());
    fs::write(&config, text).map_err(|e| named("written", &config, &e))?;
    let mut runtime = program(&binary);
    runtime.args(["setup", "runtime", "--python"]).arg(python());
    run(runtime.arg("--config").arg(&config).arg("--data-dir").arg(&place))?;
    let address = format!("127.0.0.1:{port}");
    let start = if data.is_some() { START_OF_CAMPAIGN } else { START };
    let mut command = program(&binary);
    command.arg("server").arg("--config").arg(&config).arg("--data-dir").arg(&place);
    command.args(["--listen", &address, "--clock", "simulated", "--clock-start", start]);
    // Why a group of its own: Ctrl-C in the terminal must not reach a server that stays.
    command.process_group(0);
    let log = folder.join("server.log");
    let mut server = Server::start(&mut command, port, &log)?;
    fs::write(pid_file(), server.pid().to_string())
        .map_err(|e| named("written", &pid_file(), &e))?;
    server.wait_for("/readyz", Duration::from_secs(30)).map_err(|e| with_log(&e, &log))?;
    let mut script = program(python());
    script.arg(SCRIPT).arg("--server").arg(format!("http://{address}"));
    script.arg("--cli").arg(&binary).arg("--work").arg(folder.join("work"));
    if let Some(data) = data {
        script.arg("--data").arg(data);
    }
    run(&mut script).map_err(|e| with_log(&e, &log))?;
    println!(
        "\nThe server goes on at http://{address} (log: {}); `make stop` ends it.",
        log.display()
    );
    Ok(())
}

/// Stops the demo's server, if there is one.
pub(crate) fn stop() -> Outcome {
    let file = pid_file();
    let Ok(text) = fs::read_to_string(&file) else { return Ok(()) };
    if let Ok(pid) = text.trim().parse::<u32>()
        && is_ours(pid)
    {
        terminate(pid)?;
        let asked = Instant::now();
        while is_ours(pid) {
            if asked.elapsed() > Duration::from_secs(20) {
                return Err(format!("the demo's server (process {pid}) does not stop"));
            }
            sleep(Duration::from_millis(50));
        }
        println!("stopped the demo's server (process {pid})");
    }
    fs::remove_file(&file).map_err(|e| named("removed", &file, &e))
}

/// Why: after a restart of the machine the number may belong to anybody.
fn is_ours(pid: u32) -> bool {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&words).into_owned();
    words.contains("viaduct") && words.contains("var/demo")
}

fn whole_path(path: &Path) -> Outcome<PathBuf> {
    path.canonicalize().map_err(|e| named("read", path, &e))
}

fn named(what: &str, path: &Path, error: &std::io::Error) -> String {
    format!("`{}` cannot be {what}: {error}", path.display())
}

fn with_log(error: &str, log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(15)..].join("\n");
    format!("{error}\n--- the end of {} ---\n{last}", log.display())
}
