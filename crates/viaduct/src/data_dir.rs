//! What a data directory remembers about itself: which clock it lives under.
//!
//! Invariant: a directory that lived in real time never gets a simulated clock, nor the other way
//! round; otherwise evidence made in minutes could pass for evidence of months.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use viaduct_base::{Clock as _, ClockKind, SystemClock, Timestamp};
use viaduct_cli::Failure;

use crate::config::{ClockChoice, Config};
use crate::files::broken;

const FILE: &str = "viaduct.json";

/// The content of `viaduct.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Layout of the directory.
    pub format: u32,
    /// The clock it lives under, for good.
    pub clock: ClockKind,
    /// When it was made, by the machine's clock.
    pub made_at: Timestamp,
    /// The program that made it.
    pub made_by: String,
}

/// Reads the identity; a directory without one has none.
pub(crate) fn read(dir: &Path) -> Result<Option<Identity>, Failure> {
    let path = dir.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(broken("read", &path, &error)),
    };
    serde_json::from_str(&text).map(Some).map_err(|error| {
        Failure::Usage(format!(
            "`{}` is damaged ({error}): restore it from a backup",
            path.display()
        ))
    })
}

/// Gives a new directory its identity, or checks that the clock asked for is the one it has.
/// The caller holds the directory's lock.
pub(crate) fn settle(config: &Config) -> Result<Identity, Failure> {
    let wanted = match config.clock {
        ClockChoice::System => ClockKind::System,
        ClockChoice::Simulated { .. } => ClockKind::Simulated,
    };
    let dir = &config.data_dir;
    if let Some(identity) = read(dir)? {
        return if identity.clock == wanted { Ok(identity) } else { Err(other_clock(dir, wanted)) };
    }
    // Why: a directory with a database but no identity was made by something else; only the
    // machine's clock is safe to assume.
    if wanted == ClockKind::Simulated && dir.join("viaduct.db").exists() {
        return Err(other_clock(dir, wanted));
    }
    let identity = Identity {
        format: 1,
        clock: wanted,
        made_at: SystemClock.now(),
        made_by: format!("viaduct {}", env!("CARGO_PKG_VERSION")),
    };
    write(dir, &identity)?;
    Ok(identity)
}

fn write(dir: &Path, identity: &Identity) -> Result<(), Failure> {
    let path = dir.join(FILE);
    let text = serde_json::to_string_pretty(identity)
        .map_err(|error| Failure::Broken(format!("`{FILE}` cannot be made: {error}")))?;
    let mut file = fs::File::create(&path).map_err(|e| broken("made", &path, &e))?;
    writeln!(file, "{text}").map_err(|e| broken("written", &path, &e))?;
    file.sync_all().map_err(|e| broken("written", &path, &e))
}

fn other_clock(dir: &Path, wanted: ClockKind) -> Failure {
    let dir = dir.display();
    Failure::Usage(match wanted {
        ClockKind::Simulated => format!(
            "the data directory `{dir}` has lived in real time and cannot get a simulated clock: use a new `--data-dir`"
        ),
        ClockKind::System => format!(
            "the data directory `{dir}` was made under a simulated clock: start it with `--clock simulated`, or use another `--data-dir`"
        ),
    })
}
