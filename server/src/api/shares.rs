//! `/sharing/shares`: what is shared (Delta Sharing protocol).

use axum::Json;
use axum::extract::State;
use stedi_openapi::{
    OneShare, Share, ShareList, SharePath, SharedSchema, SharedSchemaList, SharedSchemaPath,
    SharedTable, SharedTableList, SharingPage,
};

use super::authenticated::Authenticated;
use super::error::ApiError;
use super::extract::{PathOf, QueryOf};
use super::state::ApiState;
use super::tables::READERS;
use crate::sharing::{self, SharingError};

/// Items of a page whose size is not asked for, and of the largest.
const PAGE: usize = 500;

/// Shares
///
/// There is one: the pipeline. Its schemas are zones, its tables those that the caller's role reads.
#[utoipa::path(
    get,
    path = "/sharing/shares",
    operation_id = "shares",
    tag = "sharing",
    params(SharingPage),
    responses((status = OK, description = "The shares.", body = ShareList)),
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    QueryOf(page): QueryOf<SharingPage>,
) -> Result<Json<ShareList>, ApiError> {
    principal.require(&READERS)?;
    let share = share(state.app.sharing.share());
    let (items, next_page_token) = paged(vec![(share.name.clone(), share)], &page);
    Ok(Json(ShareList { items, next_page_token }))
}

/// One share
#[utoipa::path(
    get,
    path = "/sharing/shares/{share}",
    operation_id = "share",
    tag = "sharing",
    params(SharePath),
    responses((status = OK, description = "The share.", body = OneShare)),
)]
pub(super) async fn one(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<SharePath>,
) -> Result<Json<OneShare>, ApiError> {
    principal.require(&READERS)?;
    Ok(Json(OneShare { share: share(state.app.sharing.shared(&path.share)?) }))
}

/// Schemas of a share
#[utoipa::path(
    get,
    path = "/sharing/shares/{share}/schemas",
    operation_id = "shared_schemas",
    tag = "sharing",
    params(SharePath, SharingPage),
    responses((status = OK, description = "The zones that are there for the caller.", body = SharedSchemaList)),
)]
pub(super) async fn schemas(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<SharePath>,
    QueryOf(page): QueryOf<SharingPage>,
) -> Result<Json<SharedSchemaList>, ApiError> {
    principal.require(&READERS)?;
    let sharing = &state.app.sharing;
    let share = sharing.shared(&path.share)?;
    let schema = |name: &str| SharedSchema { name: name.to_owned(), share: share.to_owned() };
    let schemas = sharing.schemas(&principal).into_iter();
    let mut schemas: Vec<_> =
        schemas.map(|zone| (zone.name().to_owned(), schema(zone.name()))).collect();
    schemas.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (items, next_page_token) = paged(schemas, &page);
    Ok(Json(SharedSchemaList { items, next_page_token }))
}

/// Tables of a schema
#[utoipa::path(
    get,
    path = "/sharing/shares/{share}/schemas/{schema}/tables",
    operation_id = "shared_tables",
    tag = "sharing",
    params(SharedSchemaPath, SharingPage),
    responses((status = OK, description = "Its tables that are there for the caller.", body = SharedTableList)),
)]
pub(super) async fn tables(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<SharedSchemaPath>,
    QueryOf(page): QueryOf<SharingPage>,
) -> Result<Json<SharedTableList>, ApiError> {
    principal.require(&READERS)?;
    let sharing = &state.app.sharing;
    let share = sharing.shared(&path.share)?;
    let zone = sharing.schema(&principal, &path.schema)?;
    let tables = sharing.tables(&principal).await?.into_iter();
    let tables = tables.filter(|table| table.zone == zone);
    let tables = tables.map(|shared| table(share, &shared)).collect::<Result<_, _>>()?;
    let (items, next_page_token) = paged(tables, &page);
    Ok(Json(SharedTableList { items, next_page_token }))
}

/// All tables of a share
#[utoipa::path(
    get,
    path = "/sharing/shares/{share}/all-tables",
    operation_id = "shared_tables_all",
    tag = "sharing",
    params(SharePath, SharingPage),
    responses((status = OK, description = "The tables that are there for the caller.", body = SharedTableList)),
)]
pub(super) async fn all_tables(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<SharePath>,
    QueryOf(page): QueryOf<SharingPage>,
) -> Result<Json<SharedTableList>, ApiError> {
    principal.require(&READERS)?;
    let sharing = &state.app.sharing;
    let share = sharing.shared(&path.share)?;
    let tables = sharing.tables(&principal).await?;
    let mut tables: Vec<_> =
        tables.iter().map(|shared| table(share, shared)).collect::<Result<_, _>>()?;
    tables.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (items, next_page_token) = paged(tables, &page);
    Ok(Json(SharedTableList { items, next_page_token }))
}

fn share(name: &str) -> Share {
    Share { name: name.to_owned(), id: name.to_owned() }
}

fn table(
    share: &str,
    shared: &sharing::SharedTable,
) -> Result<(String, SharedTable), SharingError> {
    let (name, schema) = (shared.table.name().to_owned(), shared.zone.name().to_owned());
    let key = format!("{schema}.{name}");
    let (share, share_id) = (share.to_owned(), share.to_owned());
    Ok((key, SharedTable { name, schema, share, share_id, id: shared.table.id()? }))
}

/// A page of what is in order by its keys, and the token of the next one: the last key of this one.
fn paged<T>(all: Vec<(String, T)>, page: &SharingPage) -> (Vec<T>, Option<String>) {
    let most =
        page.max_results.map_or(PAGE, |most| usize::try_from(most).unwrap_or(PAGE).min(PAGE));
    let after = page.page_token.as_deref().unwrap_or_default();
    let mut rest = all.into_iter().filter(|(key, _)| key.as_str() > after).peekable();
    let mut last = after.to_owned();
    let mut items = Vec::new();
    while let Some((key, item)) = rest.next_if(|_| items.len() < most) {
        last = key;
        items.push(item);
    }
    // An empty token is that of the first page.
    (items, rest.peek().is_some().then_some(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_everything_once() {
        let all = || ["a", "b", "c", "d"].map(|key| (key.to_owned(), key)).to_vec();
        for most in 1..6 {
            let (mut found, mut token, mut pages) = (Vec::new(), None, 0);
            loop {
                let page = SharingPage { max_results: Some(most), page_token: token };
                let (items, next) = paged(all(), &page);
                assert!(!items.is_empty() && items.len() <= most as usize);
                found.extend(items);
                pages += 1;
                token = next;
                if token.is_none() {
                    break;
                }
            }
            assert_eq!((found, pages), (vec!["a", "b", "c", "d"], 4_u32.div_ceil(most)));
        }
        let none = SharingPage { max_results: Some(0), page_token: None };
        assert_eq!(paged(all(), &none), (vec![], Some(String::new())));
        assert_eq!(paged(all(), &SharingPage::default()).0.len(), 4);
    }
}
