//! What the store keeps beside the objects of the lake, of which a certificate says that it is gone.

use std::collections::BTreeSet;

use stedi_openapi::{CertificateKind, CertifiedExclusion};

use super::error::ConsentError;
use super::saga::{Part, Saga};
use super::secrets::FOLDER;
use crate::lake::{LakeError, Watch};
use crate::ledger::{Attempt, LEASES};
use crate::pipeline::Zone;
use crate::snapshot::OWN;

/// Where the lake keeps everything that is no table of the pipeline and no snapshot's file.
const SYSTEM: &str = "system";

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
        let zones = [Zone::Landing, Zone::Trusted, Zone::Curated].into_iter();
        let zones = zones.filter(|zone| erases || *zone != Zone::Landing).map(Zone::name);
        let purged = parts.iter().filter_map(|part| part.run.what.purged).max().unwrap_or_default();
        let watch = attempt.watch();
        let mut left = BTreeSet::new();
        // By name: where a lake has no prefix, other folders of its bucket are somebody else's.
        for folder in zones.chain([OWN, SYSTEM]) {
            // Leases name nobody, and are written anew every few seconds.
            let except: &[&str] = if folder == SYSTEM { &[LEASES] } else { &[] };
            // On the heap: it is deep, and so is what awaits this.
            let kept = match Box::pin(self.lake.remove_kept(folder, except, purged, &watch)).await {
                Err(LakeError::Cancelled) => return Ok(None),
                kept => kept?,
            };
            tracing::info!(
                revocation = attempt.id,
                folder,
                uploads = kept.uploads,
                versions = kept.versions,
                "what the bucket kept is removed"
            );
            left.extend(kept.left);
        }
        let left = left.into_iter().map(|why| CertifiedExclusion {
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
