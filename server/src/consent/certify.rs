//! The last step: it is proved.

use stedi_openapi::{
    CertificateKind, CertifiedExclusion, CertifiedRequest, CertifiedTimes, RevocationStep,
};

use super::certificates::CertificateDraft;
use super::error::ConsentError;
use super::saga::{Part, Saga};
use crate::ledger::Attempt;

impl Saga {
    /// Issues a certificate for each revocation. False where the attempt is to stop.
    pub(super) async fn certify(
        &self,
        attempt: &Attempt<'_, Self>,
        parts: &mut [Part],
    ) -> Result<bool, ConsentError> {
        let kept = self.remove_kept(attempt, parts);
        let Some(kept) = self.meanwhile(attempt, kept).await? else { return Ok(false) };
        for part in parts {
            if attempt.stop.is_cancelled() {
                return Ok(false);
            }
            let (id, run) = (&part.run.id, &part.run.what);
            let acknowledged = run.acknowledged.unwrap_or_default();
            let requests = part.secret.subjects.iter().map(|subject| CertifiedRequest {
                id: id.clone(),
                subject: self.certificates.key().reference(subject),
                requested: part.asked.created,
                acknowledged,
            });
            let mut excluded = vec![match part.run.what.kind {
                CertificateKind::Revocation => {
                    not("the landing zone", "a revocation leaves what was received")
                }
                CertificateKind::Erasure => not(
                    "keyed hashes in the suppression list",
                    "they keep records out that arrive again",
                ),
            }];
            excluded.extend(kept.clone());
            if run.shared > 0 {
                excluded.push(CertifiedExclusion {
                    what: format!("{} identifiers", run.shared),
                    why: "another customer has the same, or one that holds it".to_owned(),
                    until: None,
                });
            }
            let draft = CertificateDraft {
                work: id.clone(),
                kind: run.kind,
                requests: requests.collect(),
                times: CertifiedTimes {
                    deleted: run.deleted.unwrap_or_default(),
                    purged: run.purged.unwrap_or_default(),
                    verified: run.verified.unwrap_or_default(),
                    issued: chrono::Utc::now().timestamp_millis(),
                },
                tables: run.tables.clone(),
                scan: run.scan.clone().unwrap_or_default(),
                snapshots: run.snapshots.clone(),
                recipients: run.recipients.iter().cloned().collect(),
                excluded,
            };
            let certificate = self.certificates.issue(&draft).await?;
            part.run.what.certificate = Some(certificate.sequence);
            part.run.what.step = RevocationStep::Done;
        }
        Ok(true)
    }
}

fn not(what: &str, why: &str) -> CertifiedExclusion {
    CertifiedExclusion { what: what.to_owned(), why: why.to_owned(), until: None }
}
