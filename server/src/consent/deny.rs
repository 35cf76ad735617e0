//! Step one: no read returns the rows any more.

use std::collections::BTreeSet;

use stedi_openapi::RevocationCause;

use super::error::ConsentError;
use super::saga::{Order, Saga};
use crate::lake::Author;
use crate::landing::Revocation;
use crate::ledger::{Asked, Denied, Reason};

impl Saga {
    /// Records that consents are withdrawn, and denies the rows. When it returns, no server gives any
    /// of them; the moment, in epoch milliseconds.
    pub(super) async fn deny(&self, id: &str, asked: &Asked<Order>) -> Result<i64, ConsentError> {
        let Order { subjects, cause, .. } = &asked.order;
        // A load that ends a consent says so in its records; a request has no record but this.
        if *cause == RevocationCause::Request {
            let revocations = subjects.iter().enumerate().map(|(number, subject)| Revocation {
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
        let subjects: BTreeSet<String> = subjects.iter().cloned().collect();
        let devices = self.promotion.devices_of(&subjects).await?;
        let denied = Denied {
            request: id.to_owned(),
            reason: Reason::Revocation,
            since: asked.created,
            subjects,
            devices,
        };
        Ok(self.deny.add(&[denied]).await?.at)
    }
}
