//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): the same key with the same body
//! gives the first answer again.

use axum::http::HeaderMap;

use super::error::ApiError;

/// Characters of a key.
const LONGEST: usize = 256;

/// The key of a request.
///
/// # Errors
/// If it is empty, too long, or not of visible ASCII.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    match key.to_str().map(str::trim) {
        Ok(key) if !key.is_empty() && key.len() <= LONGEST => Ok(Some(key)),
        _ => Err(ApiError::Malformed(format!("Idempotency-Key: 1 to {LONGEST} letters"))),
    }
}
