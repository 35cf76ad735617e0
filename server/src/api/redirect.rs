//! An answer that sends the caller to the store for the bytes.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use chrono::Utc;

use super::error::ApiError;
use crate::auth::Principal;
use crate::lake::Lake;
use crate::ledger::Deny;

/// May be answered with a URL of the store.
#[derive(Debug)]
pub(super) struct Redirect {
    deny: Deny,
    time: Duration,
}

impl Redirect {
    /// To URLs that hold for a configured time, but no longer than the caller's token; none where that
    /// is no time at all, or the store has no such URLs.
    pub fn of(lake: &Lake, deny: &Deny, caller: &Principal, holds: Duration) -> Option<Self> {
        let left = caller.until? - Utc::now().timestamp_millis();
        let left = Duration::from_millis(u64::try_from(left).ok()?);
        // Stores count whole seconds.
        let time = Duration::from_secs(holds.min(left).as_secs());
        let can = lake.location().local().is_none() && !time.is_zero();
        can.then(|| Self { deny: deny.clone(), time })
    }

    /// To be called before it is looked whether the object may be given.
    pub async fn begin(&self) -> Result<(), ApiError> {
        Ok(self.deny.lend(self.time).await?)
    }

    /// The answer; to be called right after that.
    pub async fn answer(&self, lake: &Lake, path: &str) -> Result<Response, ApiError> {
        let url = lake.presigned(path, self.time).await?.ok_or(ApiError::NotFound)?;
        let location = HeaderValue::from_str(url.as_str());
        let location = location.map_err(|error| ApiError::Task(error.to_string()))?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
        response.headers_mut().insert(LOCATION, location);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}
