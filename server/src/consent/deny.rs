//! Step one: no read returns the rows any more.

use stedi_openapi::{CertificateKind, RevocationCause};

use super::error::ConsentError;
use super::saga::{Order, Saga};
use super::secrets::Secret;
use crate::lake::Author;
use crate::landing::Revocation;
use crate::ledger::{Asked, Denied, Reason, Suppressed};

impl Saga {
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
        if *kind == CertificateKind::Erasure {
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
