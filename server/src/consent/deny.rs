//! Step one: no read returns the rows any more.

use std::time::{Duration, Instant};

use stedi_openapi::{CertificateKind, RevocationCause};
use tokio_util::sync::CancellationToken;

use super::error::ConsentError;
use super::saga::{Order, Saga};
use super::secrets::Secret;
use crate::lake::Author;
use crate::landing::Revocation;
use crate::ledger::{Asked, Denied, Reason, Suppressed};

/// How long whoever took an order may be between looking for holds and denying the rows, and how often it
/// is looked.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);

impl Saga {
    /// The same as [`Saga::deny`], for who finds an order that somebody else may be acknowledging at this
    /// moment. They may not have met a legal hold that is there now; then it came too late. `None` where
    /// the attempt is to stop.
    pub(super) async fn deny_or_meet(
        &self,
        id: &str,
        asked: &Asked<Order>,
        secret: &Secret,
        stop: &CancellationToken,
    ) -> Result<Option<i64>, ConsentError> {
        let since = Instant::now();
        loop {
            match self.deny(id, asked, secret).await {
                Err(ConsentError::Held { .. }) if stop.is_cancelled() => return Ok(None),
                Err(ConsentError::Held { .. }) if since.elapsed() < PATIENCE => {
                    tokio::time::sleep(LOOK).await;
                }
                outcome => return outcome.map(Some),
            }
        }
    }

    /// Records that consents are withdrawn, or that somebody is to be kept out, and denies the rows.
    /// When it returns, no server gives any of them; the moment, in epoch milliseconds.
    ///
    /// # Errors
    /// [`ConsentError::Held`] if a legal hold was placed on somebody who is to be erased.
    pub(super) async fn deny(
        &self,
        id: &str,
        asked: &Asked<Order>,
        secret: &Secret,
    ) -> Result<i64, ConsentError> {
        let Order { kind, cause, .. } = &asked.order;
        let reason = match kind {
            CertificateKind::Revocation => Reason::Revocation,
            CertificateKind::Erasure => Reason::Erasure,
        };
        // Once the rows are denied it is decided.
        let denied = self.deny.current().await.is_ok_and(|list| list.has(id));
        if *kind == CertificateKind::Erasure && !denied {
            self.not_held(asked.order.subjects.iter().enumerate()).await?;
            self.suppression.add(&[suppressed(id, asked, secret)]).await?;
        }
        // A load that ends a consent says so in its records; a request has no record but this. Of
        // somebody who is erased no record may be made.
        if *kind == CertificateKind::Revocation && *cause == RevocationCause::Request {
            let revocations =
                secret.subjects.iter().enumerate().map(|(number, subject)| Revocation {
                    request: format!("{id}-{number}"),
                    subject: subject.clone(),
                    at: asked.created,
                });
            let revocations: Vec<Revocation> = revocations.collect();
            let author = Author {
                request_id: asked.request_id.clone(),
                run: Some(id.to_owned()),
                ..Author::new(&asked.principal)
            };
            self.landing.revoke(&revocations, &author).await?;
        }
        let mut devices = self.promotion.devices_of(&secret.subjects).await?;
        devices.extend(secret.devices());
        let denied = Denied {
            request: id.to_owned(),
            reason,
            since: asked.created,
            subjects: secret.subjects.clone(),
            devices,
        };
        Ok(self.deny.add(&[denied]).await?.at)
    }
}

/// Whose records are to be kept out from the moment on at which an erasure was asked for.
pub(super) fn suppressed(id: &str, asked: &Asked<Order>, secret: &Secret) -> Suppressed {
    Suppressed {
        request: id.to_owned(),
        emails: secret.emails(),
        devices: secret.devices(),
        until: asked.created,
    }
}
