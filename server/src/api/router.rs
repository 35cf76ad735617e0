//! Every path and its handler.
//!
//! To add one: describe the handler with `#[utoipa::path]` (as `tables.rs` does; the wire types
//! derive `ToSchema`), add a line to [`routes`] that says who may call it and with which problems of
//! its own it answers, and write the document anew:
//! `stedi-server openapi > openapi/openapi.json`.

use std::sync::Arc;

use axum::middleware::{from_fn_with_state, map_request};
use axum::{Extension, Router};
use stedi_openapi::Code;
use utoipa::openapi::OpenApi;
use utoipa_axum::routes;

use super::document::Document;
use super::error::ApiError;
use super::landing::LOADERS;
use super::linger::linger;
use super::routes::Routes;
use super::snapshots::TRAINERS;
use super::state::ApiState;
use super::tables::READERS;
use super::{
    audit, certificates, denied, docs, document, erasures, health, history, holds, imports,
    landing, limits, maintenance, metrics, promotions, query_code, revocations, shared_files,
    shared_tables, shares, snapshot_data, snapshot_files, snapshots, sql, statements, tables,
};
use crate::edge::OwnLimits;

/// Routes that bound themselves; all others have the limits of the section `[http]`.
pub const OWN_LIMITS: &[OwnLimits] = &[
    OwnLimits { route: "/v1/landing/{table}", body: true, time: true },
    OwnLimits { route: "/v1/sql", body: true, time: true },
    OwnLimits { route: "/v1/statements", body: true, time: true },
    OwnLimits { route: "/v1/maintenance", body: false, time: true },
    OwnLimits { route: "/v1/revocations", body: false, time: true },
    OwnLimits { route: "/v1/revocations/{id}/events", body: false, time: true },
    OwnLimits { route: "/v1/erasures", body: false, time: true },
    OwnLimits { route: "/v1/erasures/{id}/events", body: false, time: true },
    OwnLimits { route: "/v1/promotions", body: false, time: true },
    OwnLimits { route: "/v1/promotions/{id}/events", body: false, time: true },
    OwnLimits { route: "/v1/snapshots", body: false, time: true },
    OwnLimits { route: "/v1/snapshots/{id}/data", body: false, time: true },
    OwnLimits { route: "/v1/snapshots/{id}/files/{sha256}", body: false, time: true },
    OwnLimits { route: "/v1/landing/{table}/imports", body: false, time: true },
    OwnLimits { route: "/v1/landing/{table}/imports/{id}/events", body: false, time: true },
];

/// What a load can answer besides.
const LOAD: [Code; 8] = [
    Code::BodyBroken,
    Code::TableNotFound,
    Code::Conflict,
    Code::BodyTooLarge,
    Code::UnsupportedMediaType,
    Code::EncodingUnsupported,
    Code::KeyReused,
    Code::Busy,
];

/// What an order of a promotion can answer besides.
const PROMOTE: [Code; 4] =
    [Code::TableNotFound, Code::UnsupportedMediaType, Code::KeyReused, Code::PromotionsWait];

/// What an order of an import can answer besides.
const IMPORT: [Code; 5] = [
    Code::TableNotFound,
    Code::SourceNotAllowed,
    Code::UnsupportedMediaType,
    Code::KeyReused,
    Code::Busy,
];
const CANCEL_IMPORT: [Code; 2] = [Code::ImportNotFound, Code::AuditUnavailable];
const CANCEL_STATEMENT: [Code; 2] = [Code::StatementNotFound, Code::AuditUnavailable];
/// What a revocation can answer besides.
const REVOKE: [Code; 7] = [
    Code::NotFound,
    Code::CustomerNotFound,
    Code::DeviceShared,
    Code::ErasureOpen,
    Code::UnsupportedMediaType,
    Code::KeyReused,
    Code::Busy,
];
const CANCEL_REVOCATION: [Code; 3] =
    [Code::RevocationNotFound, Code::NotCancelled, Code::AuditUnavailable];
/// What an erasure can answer besides.
const ERASE: [Code; 8] = [
    Code::NotFound,
    Code::CustomerNotFound,
    Code::DeviceShared,
    Code::LegalHold,
    Code::ErasureOpen,
    Code::UnsupportedMediaType,
    Code::KeyReused,
    Code::Busy,
];
const CANCEL_ERASURE: [Code; 3] =
    [Code::ErasureNotFound, Code::NotCancelled, Code::AuditUnavailable];
const ERASURE_CERTIFICATE: [Code; 2] = [Code::ErasureNotFound, Code::CertificateNotFound];
/// What a legal hold can answer besides.
const HOLD: [Code; 4] = [
    Code::CustomerNotFound,
    Code::DeviceShared,
    Code::UnsupportedMediaType,
    Code::AuditUnavailable,
];
const END_HOLD: [Code; 2] = [Code::LegalHoldNotFound, Code::AuditUnavailable];
const CERTIFICATE: [Code; 2] = [Code::RevocationNotFound, Code::CertificateNotFound];
const CANCEL_PROMOTION: [Code; 2] = [Code::PromotionNotFound, Code::AuditUnavailable];

/// What an order of a maintenance can answer besides.
const MAINTAIN: [Code; 4] =
    [Code::TableNotFound, Code::UnsupportedMediaType, Code::KeyReused, Code::Busy];
const CANCEL_MAINTENANCE: [Code; 2] = [Code::MaintenanceNotFound, Code::AuditUnavailable];

/// What a question for a shared table can answer besides.
const SHARED: [Code; 2] = [Code::NotFound, Code::TableNotFound];
const SHARED_FILES: [Code; 9] = [
    Code::NotFound,
    Code::TableNotFound,
    Code::Purged,
    Code::FileGone,
    Code::UnsupportedMediaType,
    Code::NoSuchVersion,
    Code::ConsentChanged,
    Code::ConsentUnknown,
    Code::AuditUnavailable,
];
const SHARED_FILE: [Code; 10] = [
    Code::UrlInvalid,
    Code::NotFound,
    Code::TableNotFound,
    Code::Purged,
    Code::FileGone,
    Code::RangeNotSatisfiable,
    Code::NoSuchVersion,
    Code::ConsentChanged,
    Code::ConsentUnknown,
    Code::AuditUnavailable,
];
/// What an order of a snapshot can answer besides.
const SNAPSHOT: [Code; 7] = [
    Code::TableNotFound,
    Code::NameTaken,
    Code::Conflict,
    Code::UnsupportedMediaType,
    Code::KeyReused,
    Code::Redacting,
    Code::AuditUnavailable,
];
const OF_SNAPSHOT: [Code; 2] = [Code::SnapshotNotFound, Code::Redacted];
const SNAPSHOT_FILE: [Code; 6] = [
    Code::SnapshotNotFound,
    Code::Redacted,
    Code::RangeNotSatisfiable,
    Code::Redacting,
    Code::ConsentUnknown,
    Code::AuditUnavailable,
];
const REMOVE_SNAPSHOT: [Code; 3] = [Code::SnapshotNotFound, Code::Redacted, Code::AuditUnavailable];

fn routes() -> Routes {
    Routes::new()
        .open(routes!(health::alive), &[])
        .open(routes!(health::ready), &[])
        .open(routes!(document::openapi), &[])
        .signed_in(&[], routes!(metrics::read), &[])
        .signed_in(&READERS, routes!(tables::list), &[])
        .signed_in(&READERS, routes!(tables::one), &[Code::TableNotFound])
        .signed_in(&READERS, routes!(sql::sql), &query_code::answered())
        .signed_in(&READERS, routes!(limits::limits), &[])
        .signed_in(&READERS, routes!(statements::ask), &query_code::asked())
        .signed_in(&READERS, routes!(statements::one), &[Code::StatementNotFound])
        .signed_in(&READERS, routes!(statements::result), &query_code::RESULT)
        .signed_in(&READERS, routes!(statements::cancel), &CANCEL_STATEMENT)
        .signed_in(&READERS, routes!(history::read), &[Code::TableNotFound])
        .signed_in(&READERS, routes!(shares::list), &[])
        .signed_in(&READERS, routes!(shares::one), &[Code::NotFound])
        .signed_in(&READERS, routes!(shares::schemas), &[Code::NotFound])
        .signed_in(&READERS, routes!(shares::tables), &[Code::NotFound])
        .signed_in(&READERS, routes!(shares::all_tables), &[Code::NotFound])
        .signed_in(&READERS, routes!(shared_tables::version), &SHARED)
        .signed_in(&READERS, routes!(shared_tables::metadata), &SHARED)
        .signed_in(&READERS, routes!(shared_tables::query), &SHARED_FILES)
        .signed_in(&READERS, routes!(shared_tables::changes), &SHARED_FILES)
        .open(routes!(shared_files::file), &SHARED_FILE)
        .signed_in(&[], routes!(audit::list), &[Code::AuditUnavailable])
        .signed_in(&[], routes!(audit::verify), &[Code::AuditUnavailable])
        .signed_in(&LOADERS, routes!(landing::load), &LOAD)
        .signed_in(&LOADERS, routes!(imports::ask), &IMPORT)
        .signed_in(&LOADERS, routes!(imports::one), &[Code::ImportNotFound])
        .signed_in(&LOADERS, routes!(imports::progress), &[Code::ImportNotFound])
        .signed_in(&LOADERS, routes!(imports::cancel), &CANCEL_IMPORT)
        .signed_in(&[], routes!(maintenance::ask), &MAINTAIN)
        .signed_in(&[], routes!(maintenance::one), &[Code::MaintenanceNotFound])
        .signed_in(&[], routes!(maintenance::cancel), &CANCEL_MAINTENANCE)
        .signed_in(&[], routes!(revocations::ask, revocations::list), &REVOKE)
        .signed_in(&[], routes!(revocations::one), &[Code::RevocationNotFound])
        .signed_in(&[], routes!(revocations::events), &[Code::RevocationNotFound])
        .signed_in(&[], routes!(revocations::cancel), &CANCEL_REVOCATION)
        .signed_in(&[], routes!(certificates::of_revocation), &CERTIFICATE)
        .signed_in(&[], routes!(erasures::ask, erasures::list), &ERASE)
        .signed_in(&[], routes!(erasures::one), &[Code::ErasureNotFound])
        .signed_in(&[], routes!(erasures::events), &[Code::ErasureNotFound])
        .signed_in(&[], routes!(erasures::cancel), &CANCEL_ERASURE)
        .signed_in(&[], routes!(certificates::of_erasure), &ERASURE_CERTIFICATE)
        .signed_in(&[], routes!(holds::place, holds::list), &HOLD)
        .signed_in(&[], routes!(holds::end), &END_HOLD)
        .signed_in(&[], routes!(certificates::key), &[])
        .signed_in(&TRAINERS, routes!(snapshots::create, snapshots::list), &SNAPSHOT)
        .signed_in(&TRAINERS, routes!(snapshots::one), &OF_SNAPSHOT)
        .signed_in(&TRAINERS, routes!(snapshots::croissant), &OF_SNAPSHOT)
        .signed_in(&[], routes!(snapshots::remove), &REMOVE_SNAPSHOT)
        .signed_in(&TRAINERS, routes!(snapshot_files::file), &SNAPSHOT_FILE)
        .signed_in(&TRAINERS, routes!(snapshot_data::data), &query_code::of_snapshot())
        .signed_in(&[], routes!(promotions::ask, promotions::list), &PROMOTE)
        .signed_in(&[], routes!(promotions::one), &[Code::PromotionNotFound])
        .signed_in(&[], routes!(promotions::events), &[Code::PromotionNotFound])
        .signed_in(&[], routes!(promotions::cancel), &CANCEL_PROMOTION)
}

/// The whole service.
pub fn router(state: ApiState) -> Router {
    let (router, document) = routes().into_parts();
    router
        .merge(docs::pages())
        .layer(Extension(Document(Arc::new(document))))
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(map_request(linger))
        .layer(from_fn_with_state(state.clone(), denied::record))
        .with_state(state)
}

/// The service's description.
pub fn openapi() -> OpenApi {
    routes().into_parts().1
}
