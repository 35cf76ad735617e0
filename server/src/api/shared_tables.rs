//! `/sharing/shares/{share}/schemas/{schema}/tables/{table}`: a shared table, as lines of JSON that
//! name its files (Delta Sharing protocol).

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use axum::response::Response;
use stedi_openapi::{
    SharedChangesQuery, SharedFile, SharedFormat, SharedLine, SharedMetadata, SharedProtocol,
    SharedQuery, SharedTablePath, SharedVersionQuery,
};

use super::authenticated::Authenticated;
use super::error::ApiError;
use super::extract::{JsonOf, PathOf, QueryOf};
use super::origin::Origin;
use super::state::ApiState;
use super::tables::READERS;
use crate::auth::Principal;
use crate::lake::Became;
use crate::ledger::audit::{Action, Draft, End, Outcome};
use crate::query::Moment;
use crate::sharing::{FileOf, Files, SharedTable, SharingError, Span, When};

/// Lines of JSON.
const LINES: &str = "application/x-ndjson; charset=utf-8";
/// The version that an answer is of.
const VERSION: HeaderName = HeaderName::from_static("delta-table-version");
/// What a client and a server understand, by the protocol.
const CAPABILITIES: HeaderName = HeaderName::from_static("delta-sharing-capabilities");
/// What is answered: files are Parquet, not actions of a log.
const PARQUET: &str = "responseformat=parquet";
/// The route of files.
const FILES: &str = "/sharing/files/";

/// Version of a shared table
#[utoipa::path(
    get,
    path = "/sharing/shares/{share}/schemas/{schema}/tables/{table}/version",
    operation_id = "shared_table_version",
    tag = "sharing",
    params(SharedTablePath, SharedVersionQuery),
    responses((status = OK, description = "The version, in the header.", headers(
        ("Delta-Table-Version" = u64, description = "The newest version, or the earliest one at or after the time."),
    ))),
)]
pub(super) async fn version(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<SharedTablePath>,
    QueryOf(query): QueryOf<SharedVersionQuery>,
) -> Result<Response, ApiError> {
    principal.require(&READERS)?;
    let shared = table(&state, &principal, &path, None).await?;
    let version = match &query.starting_timestamp {
        None => shared.table.version(),
        Some(text) => state.app.sharing.since(&shared, "startingTimestamp", text).await?,
    };
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(VERSION, HeaderValue::from(version));
    Ok(response)
}

/// Metadata of a shared table
///
/// Two lines of JSON: `protocol` and `metaData`, with the columns that are given to the caller.
#[utoipa::path(
    get,
    path = "/sharing/shares/{share}/schemas/{schema}/tables/{table}/metadata",
    operation_id = "shared_table_metadata",
    tag = "sharing",
    params(SharedTablePath),
    responses((status = OK, description = "A `SharedLine` per line.", body = SharedLine, content_type = "application/x-ndjson", headers(
        ("Delta-Table-Version" = u64, description = "The newest version."),
    ))),
)]
pub(super) async fn metadata(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<SharedTablePath>,
) -> Result<Response, ApiError> {
    principal.require(&READERS)?;
    let shared = table(&state, &principal, &path, None).await?;
    lines(shared.table.version(), head(&shared)?)
}

/// Files of a shared table
///
/// `protocol`, `metaData`, and a line with `file` for each file of the version that is asked for, with
/// a URL that holds for a while. No file has a column of personal data. While a consent that ended is
/// being followed, versions with its rows are not given: 503, or a version that is without them.
#[utoipa::path(
    post,
    path = "/sharing/shares/{share}/schemas/{schema}/tables/{table}/query",
    operation_id = "shared_table_query",
    tag = "sharing",
    params(SharedTablePath),
    request_body(content = SharedQuery, description = "Which version, and how many rows are enough."),
    responses((status = OK, description = "A `SharedLine` per line.", body = SharedLine, content_type = "application/x-ndjson", headers(
        ("Delta-Table-Version" = u64, description = "The version that is answered."),
    ))),
)]
pub(super) async fn query(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<SharedTablePath>,
    origin: Origin,
    uri: Uri,
    headers: HeaderMap,
    JsonOf(query): JsonOf<SharedQuery>,
) -> Result<Response, ApiError> {
    principal.require(&READERS)?;
    if query.starting_version.is_some() {
        let text = "changes are asked for with GET …/changes".to_owned();
        return Err(SharingError::Malformed(text).into());
    }
    let draft = origin.draft(Action::Share, "POST /sharing/…/query", &principal);
    let when = When { version: query.version, timestamp: query.timestamp };
    let asked = async {
        let shared = table(&state, &principal, &path, when.moment()?).await?;
        let (hints, enough) = (query.json_predicate_hints.as_deref(), query.limit_hint);
        let files = state.app.sharing.files(&shared, &principal, hints, enough).await?;
        Ok::<_, SharingError>((shared.table.version(), shared, files))
    };
    answer(&state, draft, &path, base(&state, &uri, &headers)?, asked.await).await
}

/// Changes of a shared table
///
/// The rows that came and went in some versions, as files: `add` with rows that came, `remove` with rows
/// that went, `cdf` with both, told apart by their column `_change_type`.
#[utoipa::path(
    get,
    path = "/sharing/shares/{share}/schemas/{schema}/tables/{table}/changes",
    operation_id = "shared_table_changes",
    tag = "sharing",
    params(SharedTablePath, SharedChangesQuery),
    responses((status = OK, description = "A `SharedLine` per line.", body = SharedLine, content_type = "application/x-ndjson", headers(
        ("Delta-Table-Version" = u64, description = "The first version that is answered."),
    ))),
)]
pub(super) async fn changes(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<SharedTablePath>,
    QueryOf(query): QueryOf<SharedChangesQuery>,
    origin: Origin,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    principal.require(&READERS)?;
    let draft = origin.draft(Action::Share, "GET /sharing/…/changes", &principal);
    let span = Span {
        from: query.starting_version,
        from_time: query.starting_timestamp,
        to: query.ending_version,
        to_time: query.ending_timestamp,
    };
    let asked = async {
        let shared = table(&state, &principal, &path, None).await?;
        let (first, files) = state.app.sharing.changes(&shared, &principal, &span).await?;
        Ok::<_, SharingError>((first, shared, files))
    };
    answer(&state, draft, &path, base(&state, &uri, &headers)?, asked.await).await
}

/// The answer with files, once it is recorded.
async fn answer(
    state: &ApiState,
    draft: Draft,
    path: &SharedTablePath,
    base: String,
    asked: Result<(u64, SharedTable, Files), SharingError>,
) -> Result<Response, ApiError> {
    let (version, shared, files) = match asked {
        Ok(asked) => asked,
        Err(error) => {
            let end = End::other(Outcome::Failed, error.code().name());
            state.app.audit.record(draft, end).await?;
            return Err(error.into());
        }
    };
    let mut all = head(&shared)?;
    all.extend(files.files.into_iter().map(|file| line(&base, file)));
    let tables = BTreeMap::from([(path.table.to_ascii_lowercase(), Some(version))]);
    state.app.audit.record(Draft { tables, ..draft }, End::ok()).await?;
    files.reading.still().await.map_err(SharingError::from)?;
    lines(version, all)
}

async fn table(
    state: &ApiState,
    principal: &Principal,
    path: &SharedTablePath,
    moment: Option<Moment>,
) -> Result<SharedTable, SharingError> {
    let sharing = &state.app.sharing;
    sharing.shared(&path.share)?;
    let zone = sharing.schema(principal, &path.schema)?;
    sharing.table(principal, zone, &path.table, moment).await
}

/// The first two lines of an answer.
fn head(shared: &SharedTable) -> Result<Vec<SharedLine>, ApiError> {
    let table = &shared.table;
    let changes = ("enableChangeDataFeed".to_owned(), "true".to_owned());
    let metadata = SharedMetadata {
        id: table.id()?,
        name: table.name().to_owned(),
        description: shared.description.clone(),
        format: SharedFormat { provider: "parquet".to_owned() },
        schema_string: table.schema_text(&shared.keep)?,
        partition_columns: Vec::new(),
        configuration: BTreeMap::from([changes]),
        version: table.version(),
        num_files: table.stats()?.files,
    };
    let protocol = SharedLine::Protocol(SharedProtocol { min_reader_version: 1 });
    Ok(vec![protocol, SharedLine::MetaData(metadata)])
}

fn line(base: &str, file: FileOf) -> SharedLine {
    let shared = SharedFile {
        url: format!("{base}{FILES}{}", file.token),
        id: file.id,
        partition_values: BTreeMap::new(),
        size: file.bytes,
        stats: file.rows.map(|rows| format!("{{\"numRecords\":{rows}}}")),
        version: file.version,
        timestamp: file.millis,
        expiration_timestamp: file.until,
    };
    match file.became {
        None => SharedLine::File(shared),
        Some(Became::Added) => SharedLine::Add(shared),
        Some(Became::Removed) => SharedLine::Remove(shared),
        Some(Became::Told) => SharedLine::Cdf(shared),
    }
}

fn lines(version: u64, lines: Vec<SharedLine>) -> Result<Response, ApiError> {
    let mut text = String::new();
    for line in lines {
        let line = serde_json::to_string(&line);
        text.push_str(&line.map_err(|error| ApiError::Task(error.to_string()))?);
        text.push('\n');
    }
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(LINES));
    headers.insert(VERSION, HeaderValue::from(version));
    headers.insert(CAPABILITIES, HeaderValue::from_static(PARQUET));
    Ok(response)
}

/// How the URLs of files begin.
fn base(state: &ApiState, uri: &Uri, headers: &HeaderMap) -> Result<String, ApiError> {
    let rules = state.app.sharing.rules();
    if let Some(url) = &rules.url {
        return Ok(url.trim_end_matches('/').to_owned());
    }
    // HTTP/2 has it in the address.
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| uri.authority().map(|authority| authority.as_str()));
    let host = host.ok_or_else(|| ApiError::Malformed("the header Host is missing".to_owned()))?;
    Ok(format!("{}://{host}", rules.scheme))
}
