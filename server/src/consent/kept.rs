//! What the store keeps beside the objects of the lake, of which a certificate says that it is gone.

use stedi_openapi::{CertificateKind, CertifiedExclusion};

use super::saga::{Part, Saga};
use crate::lake::{LakeError, Watch};
use crate::ledger::{Attempt, LEASES};
use crate::pipeline::Zone;

/// Where the lake keeps everything that is no table of the pipeline.
const SYSTEM: &str = "system";

impl Saga {
    /// Removes old versions of objects, and uploads that were begun when the rows were still there and
    /// never completed; of a revocation not those of the landing zone, which keeps what was received.
    /// Gives what is left; `None` where the attempt is to stop.
    pub(super) async fn remove_kept(
        &self,
        attempt: &Attempt<'_, Self>,
        parts: &[Part],
    ) -> Option<Option<CertifiedExclusion>> {
        let erases = parts.iter().any(|part| part.run.what.kind == CertificateKind::Erasure);
        let zones = [Zone::Landing, Zone::Trusted, Zone::Curated].into_iter();
        let zones = zones.filter(|zone| erases || *zone != Zone::Landing).map(Zone::name);
        let deleted =
            parts.iter().filter_map(|part| part.run.what.deleted).max().unwrap_or_default();
        let watch = attempt.watch();
        let mut left = None;
        for folder in zones.chain([SYSTEM]) {
            // They name nobody, and are written anew every few seconds.
            let except = (folder == SYSTEM).then_some(LEASES);
            match self.lake.remove_kept(folder, except, deleted, &watch).await {
                Ok(kept) => {
                    tracing::info!(
                        revocation = attempt.id,
                        folder,
                        uploads = kept.uploads,
                        versions = kept.versions,
                        "what the bucket kept is removed"
                    );
                    left = kept.left.first().cloned().or(left);
                }
                Err(LakeError::Cancelled) => return None,
                Err(error) => {
                    tracing::warn!(revocation = attempt.id, folder, %error, "what the bucket keeps");
                    left = Some("the store could not be asked whether it keeps some".to_owned());
                }
            }
        }
        Some(left.map(|why| CertifiedExclusion {
            what: "old versions of objects, and unfinished uploads".to_owned(),
            why,
            until: None,
        }))
    }

    /// Removes old versions of what named those whom work was about.
    pub(super) async fn forget_kept(&self, id: &str) {
        let folder = super::secrets::FOLDER;
        if let Err(error) = self.lake.remove_kept(folder, None, 0, &Watch::default()).await {
            tracing::warn!(revocation = id, folder, %error, "what the bucket keeps");
        }
    }
}
