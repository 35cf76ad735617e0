//! `/v1/snapshots`: tables as they were at one moment.

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use stedi_openapi::{
    Manifest, SnapshotInfo, SnapshotList, SnapshotPath, SnapshotQuery, SnapshotRequest,
};

use super::authenticated::Authenticated;
use super::error::ApiError;
use super::extract::{JsonOf, PathOf, QueryOf};
use super::idempotency;
use super::origin::Origin;
use super::state::ApiState;
use super::work;
use crate::auth::Role;
use crate::ledger::audit::{Action, End, Versions};

/// Whose snapshots are.
pub(super) const TRAINERS: [Role; 1] = [Role::Trainer];

/// Make a snapshot
///
/// Keeps the newest version of tables as it is. Columns of the class `pii` are in none. A table without
/// them costs no copy, and what was looked at before is not looked at again.
#[utoipa::path(
    post,
    path = "/v1/snapshots",
    operation_id = "snapshot_create",
    tag = "snapshots",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is the same snapshot."),
    ),
    request_body(content = SnapshotRequest, description = "A name, and which tables; nothing for those that the pipeline declares."),
    responses((status = CREATED, description = "The snapshot.", body = Manifest, headers(
        ("Location" = String, description = "The snapshot."),
    ))),
)]
pub(super) async fn create(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    origin: Origin,
    headers: HeaderMap,
    JsonOf(request): JsonOf<SnapshotRequest>,
) -> Result<Response, ApiError> {
    principal.require(&TRAINERS)?;
    let key = idempotency::key(&headers)?;
    let draft = origin.draft(Action::Snapshot, "POST /v1/snapshots", &principal);
    let open = state.app.audit.begin(draft).await?;
    let sight = state.app.catalog.sight(&principal);
    let made = state.app.snapshots.create(&principal.subject, &sight, &request, key).await;
    let manifest = match made {
        Ok(manifest) => manifest,
        Err(error) => {
            let code = error.code().name();
            open.end(End::other(crate::ledger::audit::Outcome::Failed, code)).await?;
            return Err(error.into());
        }
    };
    open.end(End { tables: Some(versions(&manifest)), ..End::ok() }).await?;
    let location = format!("/v1/snapshots/{}", manifest.id);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(manifest)).into_response())
}

/// Snapshots
///
/// Newest first, without those that were redacted.
#[utoipa::path(
    get,
    path = "/v1/snapshots",
    operation_id = "snapshots",
    tag = "snapshots",
    params(SnapshotQuery),
    responses((status = OK, description = "A page of snapshots.", body = SnapshotList)),
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    QueryOf(query): QueryOf<SnapshotQuery>,
) -> Result<Json<SnapshotList>, ApiError> {
    principal.require(&TRAINERS)?;
    let limit = work::limit(query.limit)?;
    let sight = state.app.catalog.sight(&principal);
    let (snapshots, next) =
        state.app.snapshots.list(&sight, limit, query.before.as_deref()).await?;
    Ok(Json(SnapshotList { snapshots, next }))
}

/// One snapshot
///
/// Its manifest. One that was redacted is gone (410), and `superseded_by` is the one without the rows.
#[utoipa::path(
    get,
    path = "/v1/snapshots/{id}",
    operation_id = "snapshot",
    tag = "snapshots",
    params(
        SnapshotPath,
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of an earlier answer: 304 if it would be the same."),
    ),
    responses(
        (status = OK, description = "The snapshot.", body = Manifest, headers(
            ("ETag" = String, description = "Its id, in quotes."),
        )),
        (status = NOT_MODIFIED, description = "It is the one that `If-None-Match` names."),
    ),
)]
pub(super) async fn one(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<SnapshotPath>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    principal.require(&TRAINERS)?;
    let sight = state.app.catalog.sight(&principal);
    let record = state.app.snapshots.get(&sight, &path.id).await?;
    let tag = format!("\"{}\"", record.manifest.id);
    let same = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let same = same
        .flat_map(|value| value.split(','))
        .any(|given| given.trim() == "*" || given.trim().trim_start_matches("W/") == tag);
    let mut response = match same {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Json(record.manifest).into_response(),
    };
    let tag = HeaderValue::from_str(&tag).map_err(|error| ApiError::Task(error.to_string()))?;
    response.headers_mut().insert(ETAG, tag);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

/// A snapshot as a dataset
///
/// JSON-LD in the words of Croissant 1.1: its files with their digests, and the fields of its rows.
#[utoipa::path(
    get,
    path = "/v1/snapshots/{id}/croissant",
    operation_id = "snapshot_croissant",
    tag = "snapshots",
    params(SnapshotPath),
    responses((status = OK, description = "The dataset.", content(
        (serde_json::Value = "application/ld+json"),
    ))),
)]
pub(super) async fn croissant(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<SnapshotPath>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    principal.require(&TRAINERS)?;
    let sight = state.app.catalog.sight(&principal);
    let record = state.app.snapshots.get(&sight, &path.id).await?;
    // As the caller reaches this server; behind a proxy it says how.
    let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = said("x-forwarded-host").or_else(|| said("host")).unwrap_or("localhost");
    let scheme = said("x-forwarded-proto").unwrap_or("http");
    let base = format!("{scheme}://{host}/v1/snapshots/{}", record.manifest.id);
    let body = crate::snapshot::croissant(&record.manifest, &base).to_string();
    Ok(([(CONTENT_TYPE, "application/ld+json")], body).into_response())
}

/// Remove a snapshot
///
/// Files that nothing else refers to may be removed then.
#[utoipa::path(
    delete,
    path = "/v1/snapshots/{id}",
    operation_id = "snapshot_remove",
    tag = "snapshots",
    params(SnapshotPath),
    responses((status = OK, description = "What was removed.", body = SnapshotInfo)),
)]
pub(super) async fn remove(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<SnapshotPath>,
    origin: Origin,
) -> Result<Json<SnapshotInfo>, ApiError> {
    principal.require(&[])?;
    let draft = origin.draft(Action::Snapshot, "DELETE /v1/snapshots/{id}", &principal);
    state.app.audit.record(draft, End::ok()).await?;
    let sight = state.app.catalog.sight(&principal);
    Ok(Json(state.app.snapshots.delete(&sight, &path.id).await?))
}

/// The tables of a snapshot, as the audit has them.
pub(super) fn versions(manifest: &Manifest) -> Versions {
    manifest.tables.iter().map(|table| (table.table.clone(), Some(table.version))).collect()
}
