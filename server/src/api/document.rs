//! `/openapi.json`: the service describes itself (OpenAPI 3.1), from the code that answers.

use std::sync::Arc;

use axum::{Extension, Json};
use utoipa::openapi::info::{Info, License};
use utoipa::openapi::schema::Components;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, Paths, Server, Tag};

/// The name of the security scheme.
pub(super) const BEARER: &str = "token";

/// What a group of routes is about.
const TAGS: [(&str, &str); 8] = [
    ("audit", "What was done, by whom, and whether that record is whole."),
    ("sql", "Statements over the tables that a role sees, and what they may take."),
    ("landing", "Records come in."),
    ("promotions", "Derived tables are brought up to date."),
    ("maintenance", "Tables are kept quick and small, without a change of their rows."),
    ("tables", "What there is: tables with their columns, versions and lineage."),
    ("sharing", "Tables for programs that speak the Delta Sharing protocol."),
    ("service", "Whether the service lives and is ready, and its description."),
];

const DESCRIPTION: &str = "\
A server that owns Delta Lake tables in three zones, promotes data from zone to zone, keeps the \
consent of every customer true, and answers SQL.

What a token's roles do not give does not exist for it: a table that it may not see is a 404 like \
one that was never there.

Every error is a `Problem` (RFC 9457) with a stable `code`. Besides those that a route lists, every \
path that is not here answers 404 `not_found`, and every other method of one that is 405 \
`method_not_allowed`.";

/// What the service says about itself.
#[derive(Clone)]
pub(super) struct Document(pub Arc<OpenApi>);

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi",
    tag = "service",
    responses((status = OK, description = "An OpenAPI 3.1 document.", body = Object)),
)]
pub(super) async fn openapi(Extension(document): Extension<Document>) -> Json<Arc<OpenApi>> {
    Json(document.0)
}

/// The document without any route.
pub(super) fn head() -> OpenApi {
    let mut license = License::new(env!("CARGO_PKG_LICENSE"));
    license.identifier = Some(env!("CARGO_PKG_LICENSE").to_owned());
    let mut info = Info::new("STEDI lakehouse", env!("CARGO_PKG_VERSION"));
    info.description = Some(DESCRIPTION.to_owned());
    info.license = Some(license);
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("A JWT whose claim `roles` says what its owner may do."))
        .build();
    let mut components = Components::new();
    components.add_security_scheme(BEARER, SecurityScheme::Http(token));
    let mut document = OpenApi::new(info, Paths::new());
    document.components = Some(components);
    document.servers = Some(vec![Server::new("/")]);
    document.tags = Some(TAGS.map(|(name, text)| tag(name, text)).to_vec());
    document
}

fn tag(name: &str, text: &str) -> Tag {
    let mut tag = Tag::new(name);
    tag.description = Some(text.to_owned());
    tag
}
