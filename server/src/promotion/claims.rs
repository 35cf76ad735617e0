//! Who claims which device, for finding whom a change touches. Every table of a run asks the same of
//! the same version, so the answer is kept while it is small.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use deltalake::arrow::array::AsArray;
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::logical_expr::{Expr, ident};
use deltalake::datafusion::prelude::SessionContext;
use futures::StreamExt;

use super::error::PromotionError;
use super::touched::among;
use crate::lake::DataFiles;
use crate::pipeline::SUBJECT_ID;

/// Rows up to which the claims of a version are kept: some 10 MiB of memory.
const MOST: u64 = 100_000;

/// The claims of one version of a table.
#[derive(Debug, Default)]
pub(super) struct Claims {
    devices: BTreeMap<String, BTreeSet<String>>,
    subjects: BTreeMap<String, BTreeSet<String>>,
}

/// The claims that were asked for last.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownClaims(Arc<Mutex<Option<Known>>>);

#[derive(Clone, Debug)]
struct Known {
    /// The files that they are of.
    files: u64,
    claims: Arc<Claims>,
}

impl KnownClaims {
    /// The claims in the files of a version; `None` if they are too many to be kept.
    pub async fn of(
        &self,
        session: &SessionContext,
        files: &DataFiles,
        device: &str,
    ) -> Result<Option<Arc<Claims>>, PromotionError> {
        if files.rows() > MOST {
            return Ok(None);
        }
        let id = files.identity();
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known.filter(|known| known.files == id) {
            return Ok(Some(known.claims));
        }
        let claims = Arc::new(Claims::read(session, files, device, None).await?);
        let known = Known { files: id, claims: Arc::clone(&claims) };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        Ok(Some(claims))
    }
}

impl Claims {
    /// The claims of some devices.
    pub async fn among(
        session: &SessionContext,
        files: &DataFiles,
        device: &str,
        devices: &BTreeSet<String>,
    ) -> Result<Self, PromotionError> {
        match devices.is_empty() {
            true => Ok(Self::default()),
            false => Self::read(session, files, device, Some(among(device, devices))).await,
        }
    }

    async fn read(
        session: &SessionContext,
        files: &DataFiles,
        device: &str,
        only: Option<Expr>,
    ) -> Result<Self, PromotionError> {
        let failed = PromotionError::reading(files.table());
        let mut claims = Self::default();
        if files.is_empty() || files.column(device).is_none() || files.column(SUBJECT_ID).is_none()
        {
            return Ok(claims);
        }
        let mut rows = session.read_table(Arc::new(files.clone())).map_err(failed)?;
        if let Some(only) = only {
            rows = rows.filter(only).map_err(failed)?;
        }
        let rows = rows.select(vec![ident(SUBJECT_ID), ident(device)]).map_err(failed)?;
        let mut rows = rows.execute_stream().await.map_err(failed)?;
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(failed)?;
            let text = |at: usize| {
                cast(batch.column(at), &DataType::Utf8).map_err(|error| failed(error.into()))
            };
            let (subjects, devices) = (text(0)?, text(1)?);
            let pairs = subjects.as_string::<i32>().iter().zip(devices.as_string::<i32>());
            for (subject, device) in pairs {
                if let (Some(subject), Some(device)) = (subject, device) {
                    add(&mut claims.devices, subject, device);
                    add(&mut claims.subjects, device, subject);
                }
            }
        }
        Ok(claims)
    }

    /// Whoever claims each device.
    pub fn into_claimants(self) -> BTreeMap<String, BTreeSet<String>> {
        self.subjects
    }

    /// Adds the devices that some subjects claim.
    pub fn devices_of(&self, subjects: &BTreeSet<String>, to: &mut BTreeSet<String>) {
        let devices = subjects.iter().filter_map(|subject| self.devices.get(subject));
        to.extend(devices.flatten().cloned());
    }

    /// Adds the subjects that claim some devices.
    pub fn subjects_of(&self, devices: &BTreeSet<String>, to: &mut BTreeSet<String>) {
        let subjects = devices.iter().filter_map(|device| self.subjects.get(device));
        to.extend(subjects.flatten().cloned());
    }
}

fn add(pairs: &mut BTreeMap<String, BTreeSet<String>>, from: &str, to: &str) {
    match pairs.get_mut(from) {
        Some(known) => {
            if !known.contains(to) {
                known.insert(to.to_owned());
            }
        }
        None => {
            pairs.insert(from.to_owned(), BTreeSet::from([to.to_owned()]));
        }
    }
}
