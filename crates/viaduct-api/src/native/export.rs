//! Decisions that leave the log: as a file, into a model again, or for good.

use std::io::{self, Write};

use axum::Json;
use axum::body::Body as AxumBody;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use viaduct_app::App;
use viaduct_app::decision::{Erasure, Export, Replay};
use viaduct_base::{DecisionId, Timestamp};
use viaduct_domain::permission::Operation;

use crate::extract::{Body, Who, id};
use crate::problem::Problem;
use crate::routes::{Routes, doc};

const PARQUET: &str = "application/vnd.apache.parquet";
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that wait for a slow client before the writer stops.
const PIECES_WAITING: usize = 8;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get(
            "/api/v1/decisions/export",
            Operation::ExportDecisions,
            export,
            doc("decisions", "An endpoint's decisions as a Parquet file")
                .query(&["endpoint", "from", "to"])
                .gives(PARQUET),
        )
        .post(
            "/api/v1/decisions/{decision}/replay",
            Operation::ReplayDecision,
            replay,
            doc("decisions", "Ask a version of the model about a decision's inputs again").body(
                || json!({ "type": "object", "properties": { "version": { "type": "integer" } } }),
            ),
        )
        .post(
            "/api/v1/endpoints/{endpoint}/erase",
            Operation::EraseEntity,
            erase,
            doc("decisions", "Take an entity out of an endpoint's decisions").body(|| {
                json!({ "type": "object", "required": ["entity"],
                    "properties": { "entity": { "type": "string" } } })
            }),
        )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Span {
    endpoint: String,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

async fn export(
    State(app): State<App>,
    Who(caller): Who,
    Query(span): Query<Span>,
) -> Result<Response, Problem> {
    let export = app.export_decisions(&caller, &span.endpoint, span.from, span.to).await?;
    let name = format!("attachment; filename=\"decisions-{}.parquet\"", export.name);
    let headers = [(header::CONTENT_TYPE, PARQUET.to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, body(export)).into_response())
}

/// Writes the file on a thread that may wait, as fast as the client takes it. A failure ends the
/// answer without its last chunk, so that no client takes it for whole.
fn body(export: Export) -> AxumBody {
    let (pieces, received) = mpsc::channel::<io::Result<Bytes>>(PIECES_WAITING);
    tokio::task::spawn_blocking(move || {
        let out = io::BufWriter::with_capacity(PIECE_BYTES, Pieces(pieces.clone()));
        if let Err(error) = export.write(out) {
            tracing::error!(%error, endpoint = export.name, "the export of decisions broke off");
            // A client that went away wants no reason.
            let _ = pieces.blocking_send(Err(io::Error::other("the export broke off")));
        }
    });
    let next = |mut received: mpsc::Receiver<io::Result<Bytes>>| async {
        let piece = received.recv().await?;
        Some((piece, received))
    };
    AxumBody::from_stream(stream::unfold(received, next))
}

/// Sends what is written to the client.
struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        self.0.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replayed {
    version: Option<i64>,
}

async fn replay(
    State(app): State<App>,
    Who(caller): Who,
    Path(decision): Path<String>,
    Body(body): Body<Replayed>,
) -> Result<Json<Replay>, Problem> {
    let decision = id::<DecisionId>(&decision)?;
    Ok(Json(app.replay_decision(&caller, decision, body.version).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Erased {
    entity: String,
}

async fn erase(
    State(app): State<App>,
    Who(caller): Who,
    Path(endpoint): Path<String>,
    Body(body): Body<Erased>,
) -> Result<Json<Erasure>, Problem> {
    Ok(Json(app.erase_entity(&caller, &endpoint, &body.entity).await?))
}
