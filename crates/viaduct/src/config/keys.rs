//! The closed list of configuration keys. `docs/operations/configuration.md` is checked against it.

use super::settings::Value;

/// One key of the configuration.
#[derive(Debug)]
pub(crate) struct Key {
    /// `section.key`.
    pub path: &'static str,
    /// The built-in value as text; empty where there is none.
    pub default: &'static str,
    /// Whether the value may hold a password.
    pub secret: bool,
    /// One line for people.
    pub doc: &'static str,
}

const fn key(path: &'static str, default: &'static str, doc: &'static str) -> Key {
    Key { path, default, secret: false, doc }
}

/// Every key, section by section.
pub(crate) const KEYS: &[Key] = &[
    key("server.listen", "127.0.0.1:7878", "Address and port to answer on."),
    key("server.data_dir", "viaduct-data", "Directory that holds everything the server keeps."),
    key(
        "server.allowed_hosts",
        "",
        "Further host names that requests may carry; loopback names and the listen address are always allowed.",
    ),
    key(
        "server.grpc_listen",
        "",
        "Address and port for gRPC alone; it also answers on the main port.",
    ),
    key("server.connections_max", "16384", "Connections at once; further ones wait."),
    key(
        "server.read_timeout",
        "PT20S",
        "How long a connection may give nothing, as ISO 8601 duration: no request, no whole head, under 1 KiB of a body.",
    ),
    Key {
        path: "database.url",
        default: "",
        secret: true,
        doc: "`postgres://user:password@host/database`; empty means a SQLite file in the data directory.",
    },
    key("clock.kind", "system", "`system`, or `simulated` on a data directory that is new."),
    key("clock.start", "", "Where a simulated clock starts, as in 2026-01-05T00:00:00Z."),
    key(
        "log.level",
        "info",
        "`error`, `warn`, `info`, `debug` or `trace`; also `info,viaduct_store=debug`.",
    ),
    key("log.format", "text", "`text` or `json`."),
    key(
        "decisions.durability",
        "os",
        "`os`: acknowledged when the operating system has it; `fsync`: when the disk has it.",
    ),
    key(
        "decisions.on_log_full",
        "refuse",
        "When the disk takes no decision: `refuse` predictions (503), or `continue` without logging them, counted in `viaduct_decision_log_lost`.",
    ),
    key(
        "decisions.keep_rows",
        "",
        "How long the decision log keeps decisions, as ISO 8601 duration; older ones go daily, as with `viaduct gc decisions`; empty means for ever.",
    ),
    key(
        "decisions.keep_inputs",
        "",
        "How long the decision log keeps the inputs of decisions, as ISO 8601 duration; empty means as long as the decisions.",
    ),
    key(
        "runtime.library",
        "",
        "Path of libonnxruntime.so; empty means what `viaduct setup runtime` put into the data directory.",
    ),
    key(
        "runtime.model_memory_mib",
        "0",
        "Memory that loaded models may take together, in MiB; the least recently used leave; 0 means half of the machine's.",
    ),
    key(
        "reproduce.python",
        "",
        "Interpreter that reruns training for criterion M2; empty means M2 has no producer.",
    ),
    key("reproduce.time_limit", "PT30M", "How long a rerun may take, as ISO 8601 duration."),
    key("reproduce.memory_limit_mib", "4096", "How much memory a rerun may take, in MiB."),
    key(
        "mlflow.ui",
        "",
        "Folder `mlflow/server/js/build` of MLflow's pages; empty means the first `mlflow` or `python3` on PATH.",
    ),
    key(
        "mlflow.retention",
        "P30D",
        "How long deleted runs, models and experiments can be restored for certain, as ISO 8601 duration; nothing younger is collected.",
    ),
    key(
        "artifacts.destination",
        "",
        "What the artifact proxy keeps: a folder, `s3://…`, `gs://…` or `wasbs://…`; empty means `blobs` in the data directory.",
    ),
    key(
        "artifacts.default_root",
        "",
        "Where new experiments keep artifacts: `s3://…` and the like, or a folder, that clients write to themselves; empty means the proxy.",
    ),
    key(
        "sidecar.python",
        "",
        "Interpreter that runs models which are no ONNX, in processes of their own, and that checks ONNX against its original; empty means no such model is run.",
    ),
    key("sidecar.memory_limit_mib", "8192", "Address space that a sidecar may take, in MiB."),
    key(
        "remote.models",
        "",
        "Versions that another server answers by the Open Inference Protocol: `MODEL/VERSION=http://HOST:PORT/v2/models/NAME`.",
    ),
    key("gates.policy", "", "Path of a gate policy file; empty means the shipped one."),
];

/// The key named `path`.
pub(crate) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The names of the sections, in order.
pub(crate) fn sections() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = KEYS.iter().map(Key::section).collect();
    names.dedup();
    names
}

impl Key {
    /// The part before the dot.
    pub(crate) fn section(&self) -> &'static str {
        self.path.split_once('.').map_or(self.path, |(section, _)| section)
    }

    /// The part after the dot.
    pub(crate) fn name(&self) -> &'static str {
        self.path.split_once('.').map_or(self.path, |(_, name)| name)
    }

    /// The built-in value.
    pub(crate) fn default_value(&self) -> Value {
        Value::Text(self.default.to_owned())
    }

    /// The environment variable that sets this key.
    pub(crate) fn variable(&self) -> String {
        format!("VIADUCT__{}__{}", self.section(), self.name()).to_ascii_uppercase()
    }
}
