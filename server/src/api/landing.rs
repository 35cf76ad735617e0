//! `/v1/landing/{table}`: records come in, as they are sent.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use futures::StreamExt;
use stedi_openapi::{LandingPath, LoadQuery, LoadResult};

use super::authenticated::Authenticated;
use super::error::ApiError;
use super::extract::{PathOf, QueryOf};
use super::idempotency;
use super::origin::Origin;
use super::state::ApiState;
use crate::auth::Role;
use crate::landing::{Content, Feed, LandingError, LoadKey, feed};
use crate::ledger::Asker;
use crate::ledger::audit::{Action, Draft, End, Outcome};

/// Who loads.
pub(super) const LOADERS: [Role; 1] = [Role::Ingest];
/// Types of a body of JSON records.
const TYPES: [&str; 3] = ["application/json", "application/x-ndjson", "application/jsonl"];
/// Encodings of a body (RFC 9110, section 8.4.1, and RFC 8878).
const ENCODINGS: [&str; 4] = ["identity", "gzip", "x-gzip", "zstd"];
/// Characters of a content's name.
const NAME: usize = 200;

/// Load records
///
/// The body holds JSON records: JSON Lines, an array, or one after another; gzip and zstd are
/// recognised with and without `Content-Encoding`. It is loaded as it comes and committed once: a
/// body that breaks off or is too large leaves nothing behind. What cannot be used is kept aside in
/// `<table>_rejected` with its reason, and the same content again is counted as `duplicate`.
#[utoipa::path(
    post,
    path = "/v1/landing/{table}",
    operation_id = "load",
    tag = "landing",
    params(
        LandingPath,
        LoadQuery,
        (
            "Content-Encoding" = Option<String>,
            Header,
            description = "`gzip`, `zstd` or `identity`.",
            example = "gzip",
        ),
        (
            "Idempotency-Key" = Option<String>,
            Header,
            description = "The same key with the same body gives the first answer again.",
        ),
    ),
    request_body(
        description = "Records.",
        content(
            (
                Object = "application/json",
                example = json!({
                    "sensorReadingTime": 1655564444103_i64,
                    "serialNumber": "d1",
                    "distanceFromObject": 216.0,
                }),
            ),
            (String = "application/x-ndjson"),
            (String = "application/jsonl"),
        ),
    ),
    responses((status = OK, description = "What became of the records.", body = LoadResult)),
)]
pub(super) async fn load(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(LandingPath { table }): PathOf<LandingPath>,
    QueryOf(query): QueryOf<LoadQuery>,
    origin: Origin,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<LoadResult>, ApiError> {
    principal.require(&LOADERS)?;
    state.app.landing.source(&table)?;
    let name = match query.name {
        Some(name) if name.chars().count() > NAME => {
            return Err(ApiError::Malformed(format!("name has more than {NAME} characters")));
        }
        Some(name) => name,
        None => "upload".to_owned(),
    };
    acceptable(&headers)?;
    let most = state.app.landing.limits().upload_bytes;
    if length(&headers).is_some_and(|length| length > most) {
        return Err(LandingError::TooLarge { bytes: most }.into());
    }
    let key = idempotency::key(&headers)?
        .map(|key| LoadKey { principal: principal.subject.clone(), key: key.to_owned() });
    let slot = state.app.landing.slot()?;
    let author = origin.author(&principal);
    let asker = Asker::new(&principal, origin.request_id.clone());
    let draft = Draft {
        tables: [(table.clone(), None)].into(),
        ..origin.draft(Action::Load, "POST /v1/landing/{table}", &principal)
    };
    let open = state.app.audit.begin(draft).await?;
    let (feed, reader) = feed();
    let content = Content { name, reader, most: Some(most) };
    let app = Arc::clone(&state.app);
    // A task of its own: if the caller goes away the load still ends properly, one way or the other.
    let load = tokio::spawn(async move {
        let _slot = slot;
        let loaded = app.landing.load(&table, content, &author, key.as_ref()).await;
        let end = match &loaded {
            Ok(result) => End {
                rows_in: Some(result.accepted),
                tables: Some([(table, Some(result.version))].into()),
                ..End::ok()
            },
            Err(_) => End::other(Outcome::Failed, "load_failed"),
        };
        open.end(end).await?;
        let mut loaded = loaded?;
        loaded.revocations = app.revocations.loaded(asker, &loaded).await;
        if loaded.accepted > 0 {
            app.promotions.loaded();
        }
        Ok::<_, ApiError>(loaded)
    });
    let sent = forward(body, feed, most).await;
    let loaded = load.await.map_err(|error| ApiError::Task(error.to_string()))?;
    sent?;
    Ok(Json(loaded?))
}

/// Hands the body on, chunk by chunk, as fast as it is read.
async fn forward(body: Body, feed: Feed, most: u64) -> Result<(), LandingError> {
    let mut chunks = body.into_data_stream();
    let mut left = most;
    while let Some(chunk) = chunks.next().await {
        // The load learns of it by the feed that is dropped.
        let Ok(chunk) = chunk else { return Ok(()) };
        // Compressed data may be endless and decompress to nothing.
        let rest = left.checked_sub(chunk.len() as u64);
        left = rest.ok_or(LandingError::TooLarge { bytes: most })?;
        if !feed.push(chunk).await {
            return Ok(());
        }
    }
    feed.end().await;
    Ok(())
}

/// Whether body and encoding are of a kind that is taken here; a body without a type is.
fn acceptable(headers: &HeaderMap) -> Result<(), ApiError> {
    let word = |text: &str| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    for given in headers.get_all(CONTENT_TYPE) {
        let known = given.to_str().is_ok_and(|text| TYPES.contains(&word(text).as_str()));
        if !known {
            return Err(ApiError::MediaType(TYPES.join(", ")));
        }
    }
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    match (encodings.next(), encodings.next()) {
        (None, _) => Ok(()),
        (Some(one), None)
            if one.to_str().is_ok_and(|text| ENCODINGS.contains(&word(text).as_str())) =>
        {
            Ok(())
        }
        _ => Err(ApiError::Encoding),
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
