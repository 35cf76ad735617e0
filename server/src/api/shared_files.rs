//! `/sharing/files/{token}`: the bytes of a shared file. Its URL is all that is needed, and is checked
//! at every fetch.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use futures::FutureExt;
use stedi_openapi::SharedFilePath;

use super::error::ApiError;
use super::extract::PathOf;
use super::origin::Origin;
use super::ranged::{Gate, PARQUET, Ranged, Source};
use super::redirect::Redirect;
use super::state::ApiState;
use crate::ledger::Reading;
use crate::ledger::audit::{Action, Draft};
use crate::sharing::{Bytes, SharingError};

/// A shared file
///
/// The address is one that an answer of `…/query` or `…/changes` gave; it needs no token beside it, and
/// ends with its time. It takes `Range`, `If-Range` and `If-None-Match`.
#[utoipa::path(
    get,
    path = "/sharing/files/{token}",
    operation_id = "shared_file",
    tag = "sharing",
    params(
        SharedFilePath,
        ("Range" = Option<String>, Header, description = "One range of bytes (RFC 9110, section 14)."),
        ("If-Range" = Option<String>, Header, description = "The range only if the file has this `ETag`."),
        ("If-None-Match" = Option<String>, Header, description = "Nothing if the file has this `ETag`."),
    ),
    responses(
        (status = OK, description = "The file.", content_type = "application/vnd.apache.parquet", body = Vec<u8>, headers(
            ("ETag" = String, description = "The same for the same bytes."),
        )),
        (status = PARTIAL_CONTENT, description = "The range.", content_type = "application/vnd.apache.parquet", body = Vec<u8>, headers(
            ("Content-Range" = String, description = "Which bytes of how many."),
        )),
        (status = TEMPORARY_REDIRECT, description = "Where the server may and the store can: the store gives it.", headers(
            ("Location" = String, description = "A URL that holds for a short time."),
        )),
        (status = NOT_MODIFIED, description = "It has that `ETag`."),
    ),
)]
pub(super) async fn file(
    State(state): State<ApiState>,
    PathOf(path): PathOf<SharedFilePath>,
    origin: Origin,
    request: Request,
) -> Result<Response, ApiError> {
    let fetched = state.app.sharing.fetch(&path.token).await?;
    let draft = origin.draft(Action::Share, "GET /sharing/files/{token}", &fetched.principal);
    let (lake, deny) = (&state.app.lake, &state.app.deny);
    let holds = state.app.sharing.rules().redirect;
    let redirect = Redirect::of(lake, deny, &fetched.principal, holds);
    let tables = BTreeMap::from([(fetched.table, Some(fetched.version))]);
    let (source, bytes, sha256) = match fetched.bytes {
        Bytes::Stored(path, bytes) => (Source::Object(state.app.lake.clone(), path), bytes, None),
        Bytes::Made(made) => {
            let bytes = made.bytes.len() as u64;
            (Source::Memory(made.bytes), bytes, Some(made.sha256))
        }
    };
    let ranged = Ranged {
        source,
        bytes,
        tag: fetched.tag,
        sha256,
        media_type: PARQUET,
        gate: Some(gate(fetched.reading)),
        redirect,
        open: Some(state.app.audit.prepare(Draft { tables, ..draft })),
    };
    ranged.answer(request.method(), request.headers()).await
}

/// Looks at the deny list before each part leaves.
fn gate(reading: Reading) -> Gate {
    let reading = Arc::new(reading);
    Box::new(move || {
        let reading = Arc::clone(&reading);
        async move { Ok(reading.still().await.map_err(SharingError::from)?) }.boxed()
    })
}
