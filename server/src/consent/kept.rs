//! What the store keeps beside the objects of the lake, of which a certificate says that it is gone.

use stedi_openapi::{CertificateKind, CertifiedExclusion};

use super::error::ConsentError;
use super::saga::{Part, Saga};
use super::secrets::FOLDER;
use crate::lake::{LakeError, Watch};
use crate::ledger::{Attempt, LEASES};
use crate::pipeline::Zone;

impl Saga {
    /// Removes old versions of objects, and uploads that were begun when somebody could still read the
    /// rows and never completed; of a revocation not those of the landing zone, which keeps what was
    /// received. Gives what is left; `None` where the attempt is to stop.
    ///
    /// # Errors
    /// If the store cannot be asked, or does not let go for the moment.
    pub(super) async fn remove_kept(
        &self,
        attempt: &Attempt<'_, Self>,
        parts: &[Part],
    ) -> Result<Option<Vec<CertifiedExclusion>>, ConsentError> {
        let erases = parts.iter().any(|part| part.run.what.kind == CertificateKind::Erasure);
        // Leases name nobody, and are written anew every few seconds.
        let mut except = vec![LEASES];
        except.extend((!erases).then_some(Zone::Landing.name()));
        let purged = parts.iter().filter_map(|part| part.run.what.purged).max().unwrap_or_default();
        let watch = attempt.watch();
        // On the heap: it is deep, and so is what awaits this.
        let kept = match Box::pin(self.lake.remove_kept("", &except, purged, &watch)).await {
            Err(LakeError::Cancelled) => return Ok(None),
            kept => kept?,
        };
        tracing::info!(
            revocation = attempt.id,
            uploads = kept.uploads,
            versions = kept.versions,
            "what the bucket kept is removed"
        );
        let left = kept.left.into_iter().map(|why| CertifiedExclusion {
            what: "old versions of objects, and unfinished uploads".to_owned(),
            why,
            until: None,
        });
        Ok(Some(left.collect()))
    }

    /// Removes old versions of what named those whom work was about.
    pub(super) async fn forget_kept(&self, id: &str) {
        let watch = Watch::default();
        if let Err(error) = Box::pin(self.lake.remove_kept(FOLDER, &[], 0, &watch)).await {
            tracing::warn!(revocation = id, folder = FOLDER, %error, "what the bucket keeps");
        }
    }
}
