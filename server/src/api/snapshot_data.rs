//! `/v1/snapshots/{id}/data`: rows of a snapshot as an Arrow stream.

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_TYPE, TRAILER};
use axum::response::Response;
use stedi_openapi::{SnapshotDataQuery, SnapshotPath};

use super::authenticated::Authenticated;
use super::error::ApiError;
use super::extract::{PathOf, QueryOf};
use super::origin::Origin;
use super::recorded::Recorded;
use super::result;
use super::snapshots::TRAINERS;
use super::state::ApiState;
use crate::query::{Answer, Codec, Format};

/// Rows of a snapshot
///
/// An Arrow stream of some columns, the rows of which fulfil a condition, are in a split, and in one of
/// several shards. Where it breaks off it ends without its end, and the connection without its last
/// chunk.
#[utoipa::path(
    get,
    path = "/v1/snapshots/{id}/data",
    operation_id = "snapshot_data",
    tag = "snapshots",
    params(SnapshotPath, SnapshotDataQuery),
    responses((status = OK, description = "The rows.", content(
        (Vec<u8> = "application/vnd.apache.arrow.stream"),
    ), headers(
        ("Stedi-Snapshot-Id" = String, description = "The snapshot's id."),
    ))),
)]
pub(super) async fn data(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<SnapshotPath>,
    QueryOf(query): QueryOf<SnapshotDataQuery>,
    origin: Origin,
) -> Result<Response, ApiError> {
    principal.require(&TRAINERS)?;
    let sight = state.app.catalog.sight(&principal);
    let (snapshots, bounds) = (&state.app.snapshots, state.app.query.limits().of(&principal).text);
    let record = snapshots.get(&sight, &path.id).await?;
    let rows = snapshots.rows(&record, &query, &bounds).await?;
    let format = Format::Arrow(Codec::Lz4);
    let mut recorded = Recorded::of_snapshot(&state, origin, &principal, &rows.sql, format);
    let ready = match state.app.query.ready_over(&principal, &rows.sql, rows.given).await {
        Ok(ready) => ready,
        Err(error) => {
            recorded.failed(&error).await?;
            return Err(error.into());
        }
    };
    recorded.reads(&ready.prepared.versions);
    snapshots.received(&record, &principal.subject).await?;
    let reading = ready.prepared.reading.clone();
    let answer = match ready.answer(format).await {
        Ok(answer) => answer,
        Err(error) => {
            recorded.failed(&error).await?;
            return Err(error.into());
        }
    };
    let begun = matches!(answer, Answer::Begun(..));
    let mut response = Response::new(result::body(answer, format, recorded, reading).await?);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    let id = HeaderValue::from_str(&record.manifest.id);
    headers.insert("stedi-snapshot-id", id.map_err(|error| ApiError::Task(error.to_string()))?);
    if begun {
        headers.insert(TRAILER, HeaderValue::from_static("stedi-outcome"));
    }
    Ok(response)
}
