//! `viaduct doctor`: what would keep the server from working well here, and how to mend it.

use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use viaduct_base::{Clock as _, Span, SystemClock, Timestamp};
use viaduct_cli::{Failure, Printer};
use viaduct_infer::{Runtime, RuntimeConfig};
use viaduct_store::{DataDirLock, DatabaseUrl, OpenError, Store};

use crate::config::Config;
use crate::data_dir;

/// Below this a server soon stops taking decisions.
const FREE_BYTES_WARN: u64 = 1 << 30;
const FREE_BYTES_FAIL: u64 = 100 << 20;
/// When this was written; a machine that says an earlier time is wrong.
const WRITTEN: &str = "2026-11-25T00:00:00Z";
/// Files may be this much in the future before a wrong clock is suspected.
const SKEW: Span = Span::minutes(5);

/// One line of the report.
struct Finding {
    what: &'static str,
    state: State,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    Warn,
    Fail,
}

impl Finding {
    fn new(what: &'static str, state: State, text: impl Into<String>) -> Self {
        Self { what, state, text: text.into() }
    }
}

pub(crate) fn run(config: &Config, printer: &mut Printer) -> Result<(), Failure> {
    let mut findings = vec![directory(config), space(config)];
    let running = running_server(config);
    findings.push(lock(config, running));
    findings.push(clock_of_directory(config));
    findings.push(database(config));
    findings.push(runtime_library(config));
    findings.push(python(config));
    findings.push(port(config, running));
    findings.push(machine_clock(config));
    let mut text = String::new();
    for finding in &findings {
        let state = match finding.state {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Fail => "fail",
        };
        text.push_str(&format!("{state:<4}  {:<14}  {}\n", finding.what, finding.text));
    }
    printer.print(&text)?;
    if findings.iter().any(|finding| finding.state == State::Fail) {
        return Err(Failure::No);
    }
    Ok(())
}

fn directory(config: &Config) -> Finding {
    let dir = &config.data_dir;
    let shown = dir.display();
    let what = "data directory";
    if !dir.exists() {
        let parent = existing_parent(dir);
        return match writable(parent) {
            Ok(()) => Finding::new(what, State::Ok, format!("`{shown}` will be made")),
            Err(error) => Finding::new(
                what,
                State::Fail,
                format!(
                    "`{shown}` cannot be made in `{}`: {error}; use another `--data-dir`",
                    parent.display()
                ),
            ),
        };
    }
    match writable(dir) {
        Ok(()) => Finding::new(what, State::Ok, format!("`{shown}` is writable")),
        Err(error) => Finding::new(
            what,
            State::Fail,
            format!(
                "`{shown}` is not writable: {error}; give this user the right, or use another `--data-dir`"
            ),
        ),
    }
}

fn existing_parent(dir: &Path) -> &Path {
    dir.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"))
}

fn writable(dir: &Path) -> std::io::Result<()> {
    let probe = dir.join(format!(".viaduct-doctor-{}", std::process::id()));
    fs::write(&probe, b"probe")?;
    fs::remove_file(&probe)
}

fn space(config: &Config) -> Finding {
    let dir = existing_parent(&config.data_dir);
    match fs4::available_space(dir) {
        Ok(free) => {
            let text = format!("{:.1} GB free", free as f64 / 1e9);
            if free < FREE_BYTES_FAIL {
                Finding::new(
                    "space",
                    State::Fail,
                    format!("{text}: decisions will be refused; free some"),
                )
            } else if free < FREE_BYTES_WARN {
                Finding::new("space", State::Warn, format!("{text}: free some soon"))
            } else {
                Finding::new("space", State::Ok, text)
            }
        }
        Err(error) => Finding::new("space", State::Warn, format!("cannot be told: {error}")),
    }
}

fn lock(config: &Config, running: bool) -> Finding {
    if !config.data_dir.exists() {
        return Finding::new("lock", State::Ok, "nobody uses the data directory");
    }
    match DataDirLock::take(&config.data_dir) {
        Ok(lock) => {
            drop(lock);
            Finding::new("lock", State::Ok, "nobody uses the data directory")
        }
        Err(error @ OpenError::InUse { .. }) if running => {
            let _ = error;
            Finding::new("lock", State::Ok, "the server that answers holds the data directory")
        }
        Err(error) => Finding::new("lock", State::Warn, error.to_string()),
    }
}

fn clock_of_directory(config: &Config) -> Finding {
    match data_dir::read(&config.data_dir) {
        Ok(Some(identity)) => {
            let kind = match identity.clock {
                viaduct_base::ClockKind::System => "the machine's clock",
                viaduct_base::ClockKind::Simulated => "a simulated clock",
            };
            Finding::new("identity", State::Ok, format!("made {} under {kind}", identity.made_at))
        }
        Ok(None) => Finding::new("identity", State::Ok, "the data directory is new"),
        Err(failure) => Finding::new("identity", State::Fail, failure.to_string()),
    }
}

fn database(config: &Config) -> Finding {
    if let DatabaseUrl::Sqlite(path) = &config.database.url
        && !path.exists()
    {
        return Finding::new("database", State::Ok, "SQLite; the file will be made");
    }
    match Store::open_beside(&config.database) {
        Ok(_) => {
            let text = format!("`{}` answers, its schema is current", config.database.url);
            Finding::new("database", State::Ok, text)
        }
        Err(error @ OpenError::OlderSchema { .. }) => {
            Finding::new("database", State::Warn, error.to_string())
        }
        Err(error) => Finding::new("database", State::Fail, error.to_string()),
    }
}

fn runtime_library(config: &Config) -> Finding {
    let place = RuntimeConfig {
        library: config.runtime_library.clone(),
        ..RuntimeConfig::new(&config.data_dir)
    };
    match Runtime::find(&place) {
        Ok(runtime) => {
            let (library, origin) = (runtime.library().display(), runtime.origin().as_str());
            Finding::new("runtime", State::Ok, format!("`{library}` ({origin}) loads"))
        }
        Err(missing) if config.runtime_library.is_some() => {
            Finding::new("runtime", State::Fail, missing.to_string())
        }
        Err(missing) => Finding::new("runtime", State::Warn, missing.to_string()),
    }
}

fn python(config: &Config) -> Finding {
    let Some(python) = &config.reproduce.python else {
        return Finding::new(
            "python",
            State::Warn,
            "criterion M2 has no producer: set `[reproduce] python` to an interpreter with the packages of your training",
        );
    };
    let shown = python.display();
    match Command::new(python).arg("--version").stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => {
            let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            Finding::new("python", State::Ok, format!("`{shown}` is {version}"))
        }
        Ok(output) => Finding::new(
            "python",
            State::Fail,
            format!(
                "`{shown} --version` ended with {}: correct `[reproduce] python`",
                output.status
            ),
        ),
        Err(error) => Finding::new(
            "python",
            State::Fail,
            format!("`{shown}` cannot be run: {error}; correct `[reproduce] python`"),
        ),
    }
}

/// True when a viaduct server answers at the address.
fn running_server(config: &Config) -> bool {
    use std::io::Write as _;
    let wait = Duration::from_secs(1);
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&config.listen, wait)?;
        stream.set_read_timeout(Some(wait))?;
        let request = format!(
            "GET /healthz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            config.listen
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.take(64 * 1024).read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}

fn port(config: &Config, running: bool) -> Finding {
    let address = config.listen;
    if running {
        return Finding::new("port", State::Ok, format!("a server answers on `{address}`"));
    }
    match TcpListener::bind(address) {
        Ok(_) => Finding::new("port", State::Ok, format!("`{address}` is free")),
        Err(error) => Finding::new(
            "port",
            State::Fail,
            format!("`{address}` cannot be used: {error}; use another `--listen`"),
        ),
    }
}

fn machine_clock(config: &Config) -> Finding {
    let now = SystemClock.now();
    let written: Option<Timestamp> = WRITTEN.parse().ok();
    if written.is_some_and(|written| now < written) {
        return Finding::new(
            "clock",
            State::Fail,
            format!("the machine says {now}, which is past: set its clock"),
        );
    }
    let newest = fs::metadata(config.data_dir.join("viaduct.db"))
        .and_then(|meta| meta.modified())
        .ok()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .map(|since| Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)));
    match newest {
        Some(newest) if newest > now + SKEW => Finding::new(
            "clock",
            State::Warn,
            format!(
                "the machine says {now}, but the database was written at {newest}: set the clock"
            ),
        ),
        _ => Finding::new("clock", State::Ok, format!("the machine says {now}")),
    }
}
