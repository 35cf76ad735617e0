//! Routes with their documentation: who may call each, and every problem that it can answer with.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::json;
use stedi_openapi::{Code, Problem, SharingError};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{Components, Object, Type};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, SecurityRequirement};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::document;
use super::state::ApiState;
use crate::auth::Role;
use crate::edge::SHARING;

/// What any route can answer.
const ANY: [Code; 4] = [Code::HeadersTooLarge, Code::Internal, Code::Timeout, Code::StorageFull];
/// What a route that takes a body can answer besides.
const WITH_BODY: [Code; 2] = [Code::BodyTimeout, Code::BodyTooLarge];
/// What a route that needs a token can answer besides.
const SIGNED_IN: [Code; 5] =
    [Code::TokenMissing, Code::TokenExpired, Code::TokenInvalid, Code::Forbidden, Code::NoKeys];

/// Handlers of one path, as [`utoipa_axum::routes`] gives them.
type Handlers = UtoipaMethodRouter<ApiState>;

/// The routes so far.
pub(super) struct Routes(OpenApiRouter<ApiState>);

impl Routes {
    /// None yet.
    pub fn new() -> Self {
        Self(OpenApiRouter::with_openapi(document::head()))
    }

    /// Handlers that anybody may call; `codes` are the problems of their own.
    pub fn open(self, handlers: Handlers, codes: &[Code]) -> Self {
        self.add(handlers, codes, |_| {})
    }

    /// Handlers that need a token with one of these roles, or of an admin; `codes` are the problems
    /// of their own. The handlers check it; a test compares them with what is said here.
    pub fn signed_in(self, roles: &[Role], handlers: Handlers, codes: &[Code]) -> Self {
        let codes: Vec<Code> = SIGNED_IN.iter().chain(codes).copied().collect();
        let mut names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
        if !roles.contains(&Role::Admin) {
            names.push(Role::Admin.name());
        }
        self.add(handlers, &codes, |operation| {
            // For a scheme that is not OAuth the list holds roles (OpenAPI 3.1, "Security
            // Requirement Object"); of several requirements one has to be met.
            let requirement = |name: &&str| SecurityRequirement::new(document::BEARER, [*name]);
            operation.security = Some(names.iter().map(requirement).collect());
            let text = operation.description.take().unwrap_or_default();
            let roles = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
            let text = format!("{text}\n\nFor {}.", roles.join(", "));
            operation.description = Some(text.trim().to_owned());
        })
    }

    fn add(
        mut self,
        (schemas, mut paths, handlers): Handlers,
        codes: &[Code],
        more: impl Fn(&mut Operation),
    ) -> Self {
        let components = self.0.get_openapi_mut().components.get_or_insert_default();
        let sharing = paths.paths.keys().any(|path| path.starts_with(SHARING));
        for operation in paths.paths.values_mut().flat_map(operations) {
            let mut all = BTreeMap::<u16, Vec<Code>>::new();
            let asks = operation.parameters.is_some() || operation.request_body.is_some();
            let unreadable = asks.then_some(&Code::Malformed);
            let body = operation.request_body.is_some();
            let body = WITH_BODY.iter().filter(|_| body);
            for code in ANY.iter().chain(unreadable).chain(body).chain(codes) {
                let codes = all.entry(code.status()).or_default();
                if !codes.contains(code) {
                    codes.push(*code);
                }
            }
            for (status, codes) in all {
                match operation.responses.responses.entry(status.to_string()) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(problem(components, status, &codes, sharing));
                    }
                    // The handler has an answer of its own with this status.
                    Entry::Occupied(mut own) => {
                        if let RefOr::T(own) = own.get_mut() {
                            own.content.extend(described(status, &codes, sharing).content);
                        }
                    }
                }
            }
            more(operation);
        }
        Self(self.0.routes((schemas, paths, handlers)))
    }

    /// The router and its document.
    pub fn into_parts(self) -> (axum::Router<ApiState>, OpenApi) {
        let (router, mut document) = self.0.split_for_parts();
        let mut schemas = vec![(Problem::name().into_owned(), Problem::schema())];
        Problem::schemas(&mut schemas);
        schemas.push((SharingError::name().into_owned(), SharingError::schema()));
        document.components.get_or_insert_default().schemas.extend(schemas);
        (router, document)
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let methods = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.options,
        &mut item.head,
        &mut item.patch,
        &mut item.trace,
    ];
    methods.into_iter().flatten()
}

/// A reference to the answer with one of these codes, which is written once.
fn problem(
    components: &mut Components,
    status: u16,
    codes: &[Code],
    sharing: bool,
) -> RefOr<Response> {
    let name = codes.iter().map(|code| code.name()).collect::<Vec<_>>().join(".");
    let name = if sharing { format!("sharing.{name}") } else { name };
    let described = || RefOr::T(described(status, codes, sharing));
    components.responses.entry(name.clone()).or_insert_with(described);
    RefOr::Ref(Ref::from_response_name(name))
}

fn described(status: u16, codes: &[Code], sharing: bool) -> Response {
    let meanings = codes.iter().map(|code| format!("`{code}`: {}", code.meaning()));
    let examples = codes.iter().map(|code| {
        let body = match sharing {
            true => json!({ "errorCode": code.name(), "message": code.meaning() }),
            false => json!({
                "type": "about:blank",
                "title": code.title(),
                "status": status,
                "detail": code.meaning(),
                "code": code.name(),
            }),
        };
        let example = utoipa::openapi::example::ExampleBuilder::new().value(Some(body)).build();
        (code.name(), RefOr::T(example))
    });
    let (schema, kind) = match sharing {
        true => (SharingError::name(), "application/json"),
        false => (Problem::name(), "application/problem+json"),
    };
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(schema)))
        .examples_from_iter(examples)
        .build();
    let response = ResponseBuilder::new()
        .description(meanings.collect::<Vec<_>>().join("\n\n"))
        .content(kind, content);
    let header = |text: &str, kind: Type| {
        HeaderBuilder::new().schema(Some(Object::with_type(kind))).description(Some(text)).build()
    };
    match status {
        401 => {
            response.header("WWW-Authenticate", header("How to sign in (RFC 6750).", Type::String))
        }
        429 | 503 => response.header("Retry-After", header("Seconds to wait.", Type::Integer)),
        _ => response,
    }
    .build()
}
