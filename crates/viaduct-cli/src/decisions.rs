//! Decisions out of the log: as a file, into a model again, or for good.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use crate::client::segment;
use crate::{Failure, Session};

/// `decisions`.
#[derive(Debug, Subcommand)]
pub enum DecisionsVerb {
    /// Write an endpoint's decisions to a Parquet file
    Export {
        /// The endpoint's name
        #[arg(long)]
        endpoint: String,
        /// The first moment, as in 2026-03-01T00:00:00Z
        #[arg(long)]
        from: Option<String>,
        /// The moment before which to stop
        #[arg(long)]
        to: Option<String>,
        /// The file; `-` is standard output
        // Why not `--output`: that is how every command says its format.
        #[arg(short = 'f', long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Ask a version of the model about a decision's inputs again; exits 5 when it says something
    /// else
    #[command(disable_version_flag = true)]
    Replay {
        /// The decision's id
        decision: String,
        /// The version; the one that decided when it is left out
        #[arg(long)]
        version: Option<i64>,
    },
    /// Take an entity out of an endpoint's decisions; it cannot be undone
    Erase {
        /// The endpoint's name
        endpoint: String,
        /// The entity, as callers name it
        entity: String,
    },
}

pub(crate) fn run(session: &mut Session<'_>, verb: &DecisionsVerb) -> Result<(), Failure> {
    match verb {
        DecisionsVerb::Export { endpoint, from, to, file } => {
            let mut path = format!("/api/v1/decisions/export?endpoint={}", segment(endpoint));
            for (name, value) in [("from", from), ("to", to)] {
                if let Some(value) = value {
                    path.push_str(&format!("&{name}={}", segment(value)));
                }
            }
            export(session, &path, file)
        }
        DecisionsVerb::Replay { decision, version } => {
            let path = format!("/api/v1/decisions/{}/replay", segment(decision));
            let body = version.map_or_else(|| json!({}), |version| json!({ "version": version }));
            let answer = session.client.post(&path, body)?;
            session.printer.answer(&answer, |answer, _| replayed(answer))?;
            if answer["same"] == true { Ok(()) } else { Err(Failure::No) }
        }
        DecisionsVerb::Erase { endpoint, entity } => {
            let path = format!("/api/v1/endpoints/{}/erase", segment(endpoint));
            let answer = session.client.post(&path, json!({ "entity": entity }))?;
            session.printer.answer(&answer, |answer, _| {
                format!(
                    "{} decisions of `{endpoint}` no longer tell about that entity",
                    answer["decisions"]
                )
            })?;
            for place in answer["damaged"].as_array().into_iter().flatten() {
                session.printer.warn(place.as_str().unwrap_or_default());
            }
            Ok(())
        }
    }
}

fn replayed(answer: &Value) -> String {
    let verdict = match answer["same"].as_bool() {
        Some(true) => "the same answer",
        _ => "another answer",
    };
    format!(
        "{verdict}\nversion {}: {}\nversion {}: {}",
        answer["logged_version"], answer["logged"], answer["version"], answer["output"]
    )
}

/// Why a part file: a name that stands is a file that is whole.
fn export(session: &mut Session<'_>, path: &str, output: &Path) -> Result<(), Failure> {
    if output == Path::new("-") {
        session.client.download(path, &mut io::stdout().lock())?;
        return Ok(());
    }
    let mut name = output.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let broken = |error: io::Error| {
        Failure::Usage(format!("`{}` cannot be written: {error}", output.display()))
    };
    let mut file = BufWriter::new(File::create(&part).map_err(broken)?);
    let bytes = match session.client.download(path, &mut file) {
        Ok(bytes) => bytes,
        Err(failure) => {
            // Best effort: half a file is of no use, and the failure is what counts.
            let _ = fs::remove_file(&part);
            return Err(failure);
        }
    };
    file.flush().map_err(broken)?;
    drop(file);
    fs::rename(&part, output).map_err(broken)?;
    session.printer.say(&format!("wrote {bytes} bytes to `{}`", output.display()));
    Ok(())
}
