//! Checked configuration: typed values and absolute paths, built once and handed down in parts.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use viaduct_app::decision::DecisionRetention;
use viaduct_base::{Span, Timestamp};
use viaduct_store::{DatabaseConfig, DatabaseUrl};

use super::keys::{self, Key};
use super::settings::Setting;
use super::{ConfigError, Settings};

/// What the server runs on.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Where to answer.
    pub listen: SocketAddr,
    /// Where gRPC answers beside.
    pub grpc_listen: Option<SocketAddr>,
    /// Connections at once.
    pub connections_max: u32,
    /// How long a connection may give nothing.
    pub read_timeout: Span,
    /// Absolute.
    pub data_dir: PathBuf,
    /// Host names beside the loopback ones.
    pub allowed_hosts: Vec<String>,
    /// Which database.
    pub database: DatabaseConfig,
    /// Which clock.
    pub clock: ClockChoice,
    /// Filter text of the log.
    pub log_level: String,
    /// Form of the log.
    pub log_format: LogFormat,
    /// When a decision is acknowledged.
    pub durability: DurabilityChoice,
    /// Whether predictions go on when the disk takes no decision.
    pub goes_on_unlogged: bool,
    /// How long decisions and their inputs are kept.
    pub decision_retention: DecisionRetention,
    /// libonnxruntime, when named.
    pub runtime_library: Option<PathBuf>,
    /// Memory that loaded models may take together; 0 for half of the machine's.
    pub model_memory_mib: u64,
    /// How M2 reruns training.
    pub reproduce: ReproduceConfig,
    /// The interpreter of sidecars; without it there are none.
    pub sidecar_python: Option<PathBuf>,
    /// How much memory a sidecar may take.
    pub sidecar_memory_limit_mib: u64,
    /// Versions that other servers answer.
    pub remotes: Vec<viaduct_app::RemoteModel>,
    /// Gate policy file, when named.
    pub policy: Option<PathBuf>,
    /// Where artifacts are kept.
    pub artifacts: viaduct_blob::Places,
    /// Folder of MLflow's pages, when named.
    pub mlflow_ui: Option<PathBuf>,
    /// How long what was deleted is kept.
    pub mlflow_retention: Span,
}

/// Which clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClockChoice {
    /// The machine's.
    System,
    /// One that only `clock/advance` moves; `start` counts on a new data directory.
    Simulated {
        /// Where it starts.
        start: Option<Timestamp>,
    },
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// When a decision is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DurabilityChoice {
    /// When the operating system has it.
    Os,
    /// When the disk has it.
    Fsync,
}

/// How M2 reruns training.
#[derive(Debug, Clone)]
pub(crate) struct ReproduceConfig {
    /// The interpreter; without it M2 has no producer.
    pub python: Option<PathBuf>,
    /// How long a rerun may take.
    pub time_limit: Span,
    /// How much memory it may take.
    pub memory_limit_mib: u64,
}

impl Config {
    /// Gives every setting its meaning.
    ///
    /// # Errors
    /// The first value that has none, with its key, its origin and what is wanted.
    pub(crate) fn check(settings: &Settings) -> Result<Self, ConfigError> {
        let reader = Reader { settings };
        let data_dir = reader.path("server.data_dir").unwrap_or_else(|| settings.directory.clone());
        Ok(Self {
            listen: reader.address("server.listen", "127.0.0.1:7878")?,
            grpc_listen: match reader.text("server.grpc_listen").is_empty() {
                true => None,
                false => Some(reader.address("server.grpc_listen", "127.0.0.1:8001")?),
            },
            connections_max: reader.at_least_one("server.connections_max")?,
            read_timeout: reader.read_timeout()?,
            allowed_hosts: reader.list("server.allowed_hosts"),
            database: reader.database(&data_dir)?,
            clock: reader.clock()?,
            log_level: reader.text("log.level"),
            log_format: reader
                .one_of("log.format", &[("text", LogFormat::Text), ("json", LogFormat::Json)])?,
            durability: reader.one_of(
                "decisions.durability",
                &[("os", DurabilityChoice::Os), ("fsync", DurabilityChoice::Fsync)],
            )?,
            goes_on_unlogged: reader
                .one_of("decisions.on_log_full", &[("refuse", false), ("continue", true)])?,
            decision_retention: DecisionRetention {
                rows: reader.age("decisions.keep_rows", "P400D")?,
                inputs: reader.age("decisions.keep_inputs", "P90D")?,
            },
            runtime_library: reader.path("runtime.library"),
            model_memory_mib: reader.parse("runtime.model_memory_mib", "a whole number of MiB")?,
            reproduce: ReproduceConfig {
                python: reader.program("reproduce.python"),
                time_limit: reader
                    .parse("reproduce.time_limit", "an ISO 8601 duration, as in `PT30M`")?,
                memory_limit_mib: reader
                    .parse("reproduce.memory_limit_mib", "a whole number of MiB")?,
            },
            sidecar_python: reader.program("sidecar.python"),
            sidecar_memory_limit_mib: reader
                .parse("sidecar.memory_limit_mib", "a whole number of MiB")?,
            remotes: super::remote::read(&reader)?,
            policy: reader.path("gates.policy"),
            artifacts: super::artifacts::read(&reader, &data_dir)?,
            mlflow_ui: reader.mlflow_ui()?,
            mlflow_retention: reader
                .parse("mlflow.retention", "an ISO 8601 duration, as in `P30D`")?,
            data_dir,
        })
    }
}

pub(super) struct Reader<'a> {
    settings: &'a Settings,
}

impl Reader<'_> {
    fn mlflow_ui(&self) -> Result<Option<PathBuf>, ConfigError> {
        let wanted = "a folder with `index.html`, as `…/site-packages/mlflow/server/js/build`";
        match self.path("mlflow.ui") {
            Some(folder) if !crate::mlflow_ui::holds_pages(&folder) => {
                Err(self.invalid("mlflow.ui", wanted))
            }
            named => Ok(named),
        }
    }

    fn setting(&self, path: &'static str) -> (Option<&'static Key>, Option<Setting>) {
        let key = keys::find(path);
        (key, key.map(|key| self.settings.get(key)))
    }

    pub(super) fn text(&self, path: &'static str) -> String {
        self.setting(path).1.map(|s| s.value.text()).unwrap_or_default()
    }

    pub(super) fn list(&self, path: &'static str) -> Vec<String> {
        self.setting(path).1.map(|s| s.value.items()).unwrap_or_default()
    }

    pub(super) fn invalid(&self, path: &'static str, wanted: impl Into<String>) -> ConfigError {
        let (key, setting) = self.setting(path);
        let hidden = key.is_some_and(|key| key.secret);
        let place = setting.as_ref().map(|s| s.origin.to_string()).unwrap_or_default();
        let value = if hidden { "…".to_owned() } else { self.text(path) };
        ConfigError::Invalid { place, key: path, value, wanted: wanted.into() }
    }

    fn parse<T: FromStr>(&self, path: &'static str, wanted: &str) -> Result<T, ConfigError> {
        self.text(path).trim().parse().map_err(|_| self.invalid(path, wanted))
    }

    /// A span longer than nothing; `None` where nothing is said.
    fn age(&self, path: &'static str, example: &str) -> Result<Option<Span>, ConfigError> {
        let text = self.text(path);
        let wanted = || format!("an ISO 8601 duration, as in `{example}`");
        match text.trim() {
            "" => Ok(None),
            said => match said.parse::<Span>() {
                Ok(age) if age.as_micros() > 0 => Ok(Some(age)),
                _ => Err(self.invalid(path, wanted())),
            },
        }
    }

    fn one_of<T: Copy>(&self, path: &'static str, choices: &[(&str, T)]) -> Result<T, ConfigError> {
        let text = self.text(path);
        choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice).ok_or_else(|| {
            let words: Vec<String> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
            self.invalid(path, words.join(" or "))
        })
    }

    fn address(&self, path: &'static str, example: &str) -> Result<SocketAddr, ConfigError> {
        let text = self.text(path);
        let found = text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
        found.ok_or_else(|| self.invalid(path, format!("an address and a port, as in `{example}`")))
    }

    fn at_least_one(&self, path: &'static str) -> Result<u32, ConfigError> {
        let wanted = "a whole number from 1";
        let number: u32 = self.parse(path, wanted)?;
        if number == 0 { Err(self.invalid(path, wanted)) } else { Ok(number) }
    }

    fn read_timeout(&self) -> Result<Span, ConfigError> {
        let (path, wanted) = ("server.read_timeout", "an ISO 8601 duration, as in `PT20S`");
        let span: Span = self.parse(path, wanted)?;
        if span.to_std().is_zero() { Err(self.invalid(path, wanted)) } else { Ok(span) }
    }

    /// Where a relative path that this key says starts.
    pub(super) fn base(&self, path: &'static str) -> PathBuf {
        let origin = self.setting(path).1.map(|setting| setting.origin);
        origin.map_or_else(|| self.settings.directory.clone(), |o| self.settings.base_of(&o))
    }

    fn path(&self, path: &'static str) -> Option<PathBuf> {
        let setting = self.setting(path).1?;
        let text = setting.value.text();
        if text.is_empty() {
            return None;
        }
        Some(tidy_path(&self.settings.base_of(&setting.origin).join(text)))
    }

    /// A program: a bare word is looked up by whoever runs it, a path is made absolute.
    fn program(&self, path: &'static str) -> Option<PathBuf> {
        let text = self.text(path);
        if text.is_empty() {
            None
        } else if text.contains('/') {
            self.path(path)
        } else {
            Some(PathBuf::from(text))
        }
    }

    fn database(&self, data_dir: &Path) -> Result<DatabaseConfig, ConfigError> {
        let text = self.text("database.url");
        if text.is_empty() {
            return Ok(DatabaseConfig::sqlite_in(data_dir));
        }
        let url: DatabaseUrl = text.parse().map_err(|_| {
            self.invalid(
                "database.url",
                "a `postgres://…` address; leave it empty for SQLite in the data directory",
            )
        })?;
        Ok(DatabaseConfig { url })
    }

    fn clock(&self) -> Result<ClockChoice, ConfigError> {
        let start = self.text("clock.start");
        let start = if start.is_empty() {
            None
        } else {
            Some(self.parse("clock.start", "a time, as in `2026-01-05T00:00:00Z`")?)
        };
        let simulated = self.one_of("clock.kind", &[("system", false), ("simulated", true)])?;
        match (simulated, start) {
            (true, start) => Ok(ClockChoice::Simulated { start }),
            (false, None) => Ok(ClockChoice::System),
            (false, Some(_)) => Err(ConfigError::Together(
                "`clock.start` is set but `clock.kind` is `system`: only a simulated clock starts somewhere; add `--clock simulated`"
                    .to_owned(),
            )),
        }
    }
}

/// Takes `.` and `..` out without asking the disk.
pub(super) fn tidy_path(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                tidy.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => tidy.push(part),
        }
    }
    tidy
}
