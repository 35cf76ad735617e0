//! `/v1/snapshots/{id}/files/{sha256}`: a file of a snapshot, as a whole or in parts.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use futures::FutureExt;
use stedi_openapi::{SnapshotFilePath, SnapshotFileQuery};

use super::authenticated::Authenticated;
use super::error::ApiError;
use super::extract::{PathOf, QueryOf};
use super::origin::Origin;
use super::ranged::{Gate, PARQUET, Ranged, Source};
use super::redirect::Redirect;
use super::snapshots::{TRAINERS, versions};
use super::state::ApiState;
use crate::ledger::audit::{Action, Draft};
use crate::snapshot::SnapshotError;

/// A file of a snapshot
///
/// Parquet. It never changes, so that its digest is its `ETag`, and what is missing of it can be fetched
/// by `Range`. It breaks off if a consent ends whose rows it may have.
#[utoipa::path(
    get,
    path = "/v1/snapshots/{id}/files/{sha256}",
    operation_id = "snapshot_file",
    tag = "snapshots",
    params(
        SnapshotFilePath,
        SnapshotFileQuery,
        ("Range" = Option<String>, Header, description = "A range of bytes (RFC 9110, section 14.2)."),
        ("If-Range" = Option<String>, Header, description = "The `ETag`: all of it if it is another one."),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag`: 304 if it is the same."),
    ),
    responses(
        (status = OK, description = "All of it.", content(
            (Vec<u8> = "application/vnd.apache.parquet"),
        ), headers(
            ("ETag" = String, description = "Its digest, in quotes."),
            ("Repr-Digest" = String, description = "Its digest (RFC 9530)."),
            ("Accept-Ranges" = String, description = "`bytes`."),
        )),
        (status = PARTIAL_CONTENT, description = "The range.", content(
            (Vec<u8> = "application/vnd.apache.parquet"),
        ), headers(
            ("Content-Range" = String, description = "Which bytes they are."),
        )),
        (status = TEMPORARY_REDIRECT, description = "With `redirect=1`, where the server may and the store can: the store gives it.", headers(
            ("Location" = String, description = "A URL that holds for a short time."),
        )),
        (status = NOT_MODIFIED, description = "It is the one that `If-None-Match` names."),
    ),
)]
pub(super) async fn file(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<SnapshotFilePath>,
    QueryOf(query): QueryOf<SnapshotFileQuery>,
    origin: Origin,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    principal.require(&TRAINERS)?;
    let sight = state.app.catalog.sight(&principal);
    let snapshots = &state.app.snapshots;
    let (record, reading) = snapshots.giving(&sight, &path.id).await?;
    let part = snapshots.file(&record, &path.sha256)?;
    snapshots.received(&record, &principal.subject).await?;
    let route = "GET /v1/snapshots/{id}/files/{sha256}";
    let draft = origin.draft(Action::Snapshot, route, &principal);
    let open = state.app.audit.prepare(Draft { tables: versions(&record.manifest), ..draft });
    let gate: Gate = Box::new(move || {
        let reading = reading.clone();
        async move { Ok(reading.still().await.map_err(SnapshotError::from)?) }.boxed()
    });
    let holds = match query.redirect {
        Some(1) => snapshots.rules().redirect,
        None | Some(0) => Duration::ZERO,
        Some(_) => return Err(ApiError::Malformed("redirect: 0 or 1".to_owned())),
    };
    let (lake, deny) = (&state.app.lake, &state.app.deny);
    let redirect = Redirect::of(lake, deny, &principal, holds);
    let mut digest = [0; 32];
    let known = hex::decode_to_slice(&path.sha256, &mut digest).is_ok();
    let file = Ranged {
        source: Source::Object(state.app.lake.clone(), part.path),
        bytes: part.bytes,
        tag: path.sha256,
        sha256: known.then_some(digest),
        media_type: PARQUET,
        gate: Some(gate),
        redirect,
        open: Some(open),
    };
    file.answer(&method, &headers).await
}
