//! What revocations and erasures have in common over HTTP.

use axum::Json;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use stedi_openapi::{
    CertificateKind, RevocationInfo, RevocationOf, RevocationQuery, RevocationRequest,
};

use super::error::ApiError;
use super::idempotency;
use super::origin::Origin;
use super::state::ApiState;
use super::work;
use crate::auth::Principal;
use crate::consent::{ConsentError, Who};
use crate::ledger::Asker;
use crate::ledger::audit::{Action, End};

/// Customers of one call.
const MOST: usize = 1000;

/// One of the two, and where it is.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    kind: CertificateKind,
    path: &'static str,
}

/// Revocations.
pub(super) const REVOCATIONS: Asked =
    Asked { kind: CertificateKind::Revocation, path: "/v1/revocations" };
/// Erasures.
pub(super) const ERASURES: Asked = Asked { kind: CertificateKind::Erasure, path: "/v1/erasures" };

impl Asked {
    /// Begins one.
    pub async fn begin(
        self,
        state: &ApiState,
        (origin, principal): (Origin, &Principal),
        headers: &HeaderMap,
        request: RevocationRequest,
    ) -> Result<Response, ApiError> {
        principal.require(&[])?;
        let revocations = &state.app.revocations;
        let (customers, reason) = customers(request)?;
        let asker = Asker::new(principal, origin.request_id.clone());
        let key = idempotency::key(headers)?;
        let draft = origin.draft(Action::Consent, &format!("POST {}", self.path), principal);
        state.app.audit.record(draft, End::ok()).await?;
        let begun = revocations.ask(self.kind, asker, &customers, reason, key).await?;
        work::begun(revocations.work(), headers, self.path, begun).await
    }

    /// A page, newest first, and the `before` of the next.
    pub async fn page(
        self,
        state: &ApiState,
        principal: &Principal,
        query: RevocationQuery,
    ) -> Result<(Vec<RevocationInfo>, Option<String>), ApiError> {
        principal.require(&[])?;
        let limit = work::limit(query.limit)?;
        let before = query.before.as_deref();
        Ok(state.app.revocations.list(self.kind, query.state, limit, before).await?)
    }

    /// The one with an id.
    pub async fn one(
        self,
        state: &ApiState,
        principal: &Principal,
        id: &str,
    ) -> Result<RevocationInfo, ApiError> {
        principal.require(&[])?;
        Ok(state.app.revocations.get(self.kind, id).await?)
    }

    /// Its progress.
    pub async fn events(
        self,
        state: &ApiState,
        principal: &Principal,
        id: &str,
    ) -> Result<Response, ApiError> {
        let run = self.one(state, principal, id).await?;
        Ok(work::follow(state.app.revocations.work(), run))
    }

    /// Cancels it, if it is not acknowledged yet.
    pub async fn cancel(
        self,
        state: &ApiState,
        (origin, principal): (Origin, &Principal),
        id: &str,
    ) -> Result<Json<RevocationInfo>, ApiError> {
        let run = self.one(state, principal, id).await?;
        let route = format!("{}/{{id}}/cancel", self.path);
        let revocations = state.app.revocations.work();
        work::cancel(state, revocations, &run.id, (origin, principal), &route).await
    }

    /// Its certificate, as it was signed.
    pub async fn certificate(
        self,
        state: &ApiState,
        principal: &Principal,
        id: &str,
    ) -> Result<Response, ApiError> {
        principal.require(&[])?;
        let bytes = state.app.revocations.certificate(self.kind, id).await?;
        Ok(([(CONTENT_TYPE, "application/json")], bytes).into_response())
    }
}

/// The customers of a request, and its reason.
fn customers(request: RevocationRequest) -> Result<(Vec<Who>, Option<String>), ApiError> {
    let RevocationRequest { email, serialnumber, reason, mut requests } = request;
    match (requests.is_empty(), email.is_none() && serialnumber.is_none()) {
        (true, _) => requests.push(RevocationOf { email, serialnumber }),
        (false, true) if requests.len() <= MOST => {}
        (false, true) => {
            return Err(ApiError::Malformed(format!("requests has more than {MOST} customers")));
        }
        (false, false) => return Err(ConsentError::Malformed.into()),
    }
    let customers: Result<Vec<Who>, ConsentError> =
        requests.into_iter().map(|one| Who::of(one.email, one.serialnumber)).collect();
    Ok((customers?, reason))
}
