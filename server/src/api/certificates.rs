//! `/v1/revocations/{id}/certificate`, `/v1/erasures/{id}/certificate`, and the key that certificates are signed with.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use stedi_openapi::{Certificate, RevocationPath};

use super::authenticated::Authenticated;
use super::consent::{ERASURES, REVOCATIONS};
use super::error::ApiError;
use super::extract::PathOf;
use super::state::ApiState;

/// The certificate of a revocation
///
/// Byte for byte as it was signed. `stedi certificate verify` checks it and asks no server.
#[utoipa::path(
    get,
    path = "/v1/revocations/{id}/certificate",
    operation_id = "revocation_certificate",
    tag = "consent",
    params(RevocationPath),
    responses((status = OK, description = "The certificate.", body = Certificate)),
)]
pub(super) async fn of_revocation(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<RevocationPath>,
) -> Result<Response, ApiError> {
    REVOCATIONS.certificate(&state, &principal, &path.id).await
}

/// The certificate of an erasure
///
/// Byte for byte as it was signed. `stedi certificate verify` checks it and asks no server.
#[utoipa::path(
    get,
    path = "/v1/erasures/{id}/certificate",
    operation_id = "erasure_certificate",
    tag = "consent",
    params(RevocationPath),
    responses((status = OK, description = "The certificate.", body = Certificate)),
)]
pub(super) async fn of_erasure(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<RevocationPath>,
) -> Result<Response, ApiError> {
    ERASURES.certificate(&state, &principal, &path.id).await
}

/// The key of certificates
///
/// The public one, Ed25519, as PEM (RFC 7468).
#[utoipa::path(
    get,
    path = "/v1/certificates/key",
    operation_id = "certificate_key",
    tag = "consent",
    responses((status = OK, description = "The key.", body = String, content_type = "application/x-pem-file")),
)]
pub(super) async fn key(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
) -> Result<Response, ApiError> {
    principal.require(&[])?;
    let pem = state.app.revocations.work().kind().certificates.key().public_pem();
    Ok(([(CONTENT_TYPE, "application/x-pem-file")], pem).into_response())
}
