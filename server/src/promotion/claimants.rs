//! Who claims what, as the records of customers say.

use std::collections::{BTreeMap, BTreeSet};

use super::claims::Claims;
use super::error::PromotionError;
use super::run::Promotion;
use super::touched::{Hop, among, hop, values};
use crate::lake::DataFiles;
use crate::pipeline::{SUBJECT_ID, Zone};

impl Promotion {
    /// Those of some subjects that have a record.
    pub async fn known(
        &self,
        subjects: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, PromotionError> {
        let mut known = BTreeSet::new();
        if let Some((claims, _)) = self.records().await?
            && !subjects.is_empty()
        {
            let session = self.lake.sessions().session();
            let theirs = (Some(among(SUBJECT_ID, subjects)), usize::MAX);
            values(&session, &claims, SUBJECT_ID, theirs, &mut known).await?;
        }
        Ok(known)
    }

    /// The devices that any of some subjects claims or claimed.
    pub async fn devices_of(
        &self,
        subjects: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, PromotionError> {
        self.ends(Hop::ToDevices, subjects).await
    }

    /// Whoever claims or claimed some devices, by device, in one pass over the records.
    pub async fn claimants_of(
        &self,
        devices: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, BTreeSet<String>>, PromotionError> {
        let Some((records, device)) = self.records().await? else { return Ok(BTreeMap::new()) };
        let session = self.lake.sessions().session();
        let claims = Claims::among(&session, &records, &device, devices).await?;
        Ok(claims.into_claimants())
    }

    async fn ends(
        &self,
        to: Hop,
        from: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, PromotionError> {
        let mut ends = BTreeSet::new();
        if let Some((claims, device)) = self.records().await? {
            let session = self.lake.sessions().session();
            hop(&session, &claims, &device, (to, usize::MAX), from, &mut ends).await?;
        }
        Ok(ends)
    }

    /// The records that say who claims what, and their column of devices.
    async fn records(&self) -> Result<Option<(DataFiles, String)>, PromotionError> {
        let Some((source, device)) = self.pipeline.claims() else { return Ok(None) };
        let table = self.lake.current(Zone::Landing.name(), &source.name).await?;
        let files = table.map(|table| table.files()).transpose()?;
        Ok(files.map(|files| (files, device.to_owned())))
    }
}
