//! Whose rows have to be computed anew: the keys in the changed rows, and who is tied to them by a
//! claim.
//!
//! Whether a reading counts may depend on everybody who claims its device. So a changed subject
//! touches its devices, a touched device touches all its claimants, and what belongs to those is
//! found by all their devices.

use std::collections::BTreeSet;
use std::sync::Arc;

use deltalake::arrow::array::{AsArray, RecordBatch};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::logical_expr::{Expr, ident, lit};
use deltalake::datafusion::prelude::SessionContext;
use futures::StreamExt;

use super::claims::KnownClaims;
use super::error::PromotionError;
use super::sources::{Changed, Sources};
use crate::lake::DataFiles;
use crate::pipeline::{Derived, Pipeline, SUBJECT_ID};

/// Keys beyond which a table is made anew.
const MOST: usize = 20_000;

/// The keys that changes touch.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Values of the column by which the table's rows are replaced.
    pub keys: BTreeSet<String>,
    /// Everybody whose inputs are needed for them.
    subjects: BTreeSet<String>,
    /// All their devices.
    devices: BTreeSet<String>,
    /// The column of devices, where the table reads who claims them.
    device: Option<String>,
}

/// The keys cannot be found, or are too many.
pub(super) type TooMuch = &'static str;

/// A step from one end of a claim to the other.
#[derive(Clone, Copy)]
pub(super) enum Hop {
    ToDevices,
    ToSubjects,
}

impl Touched {
    /// The keys of a table that the changes of its sources touch.
    pub async fn find(
        session: &SessionContext,
        pipeline: &Pipeline,
        derived: &Derived,
        sources: &Sources,
        changed: &[Changed],
        known: &KnownClaims,
    ) -> Result<Result<Self, TooMuch>, PromotionError> {
        let by = derived.replace_by.as_str();
        // A SELECT that does not read the claims does not depend on them.
        let claims = pipeline.claims();
        let claims = claims
            .and_then(|(source, device)| sources.files(&source.name).map(|files| (files, device)));
        let device = claims.map(|(_, device)| device);
        let person = claims.is_some() && (by == SUBJECT_ID || Some(by) == device);
        let (mut subjects, mut devices) = (BTreeSet::new(), BTreeSet::new());
        let mut keys = BTreeSet::new();
        for source in changed {
            let files = &source.changes.touched;
            let has = |name: &str| files.column(name).is_some();
            let known = match person {
                true => has(SUBJECT_ID) || device.is_some_and(has),
                false => has(by),
            };
            if !known {
                return Ok(Err("a changed source does not have the key"));
            }
            match person {
                true => {
                    values(session, files, SUBJECT_ID, (None, MOST), &mut subjects).await?;
                    if let Some(device) = device {
                        values(session, files, device, (None, MOST), &mut devices).await?;
                    }
                }
                false => values(session, files, by, (None, MOST), &mut keys).await?,
            }
            if subjects.len().max(devices.len()).max(keys.len()) > MOST {
                return Ok(Err("too many keys are touched"));
            }
        }
        let Some((claims, column)) = claims.filter(|_| person) else {
            return Ok(Ok(Self { keys, ..Self::default() }));
        };
        let touched = match known.of(session, claims, column).await? {
            Some(claims) => {
                claims.devices_of(&subjects, &mut devices);
                let touched = devices.clone();
                claims.subjects_of(&touched, &mut subjects);
                claims.devices_of(&subjects, &mut devices);
                touched
            }
            None => {
                hop(session, claims, column, (Hop::ToDevices, MOST), &subjects, &mut devices)
                    .await?;
                let touched = devices.clone();
                hop(session, claims, column, (Hop::ToSubjects, MOST), &touched, &mut subjects)
                    .await?;
                hop(session, claims, column, (Hop::ToDevices, MOST), &subjects, &mut devices)
                    .await?;
                touched
            }
        };
        if subjects.len().max(devices.len()) > MOST {
            return Ok(Err("too many keys are touched"));
        }
        let keys = if by == SUBJECT_ID { subjects.clone() } else { touched };
        Ok(Ok(Self { keys, subjects, devices, device: Some(column.to_owned()) }))
    }

    /// The rows of the table that belong to the keys.
    pub fn rows(&self, replace_by: &str) -> Expr {
        among(replace_by, &self.keys)
    }

    /// The rows of a source that those rows may come from; `None` for all.
    pub fn inputs(&self, source: &DataFiles, replace_by: &str) -> Option<Expr> {
        let has = |name: &str| source.column(name).is_some();
        let Some(device) = self.device.as_deref() else {
            return has(replace_by).then(|| among(replace_by, &self.keys));
        };
        match (has(SUBJECT_ID), has(device)) {
            (true, true) => {
                Some(among(SUBJECT_ID, &self.subjects).or(among(device, &self.devices)))
            }
            (true, false) => Some(among(SUBJECT_ID, &self.subjects)),
            (false, true) => Some(among(device, &self.devices)),
            (false, false) => None,
        }
    }
}

pub(super) fn among(column: &str, values: &BTreeSet<String>) -> Expr {
    let values = values.iter().map(|value| lit(value.as_str()));
    ident(column).in_list(values.collect(), false)
}

/// Adds the other ends of the claims that begin at one of `from`.
pub(super) async fn hop(
    session: &SessionContext,
    claims: &DataFiles,
    device: &str,
    (hop, most): (Hop, usize),
    from: &BTreeSet<String>,
    to: &mut BTreeSet<String>,
) -> Result<(), PromotionError> {
    let (near, far) = match hop {
        Hop::ToDevices => (SUBJECT_ID, device),
        Hop::ToSubjects => (device, SUBJECT_ID),
    };
    match from.is_empty() {
        true => Ok(()),
        false => values(session, claims, far, (Some(among(near, from)), most), to).await,
    }
}

/// Adds the values of a column, as text; nothing where there is no such column. Beyond `most` it is not
/// looked any further.
pub(super) async fn values(
    session: &SessionContext,
    files: &DataFiles,
    column: &str,
    (filter, most): (Option<Expr>, usize),
    to: &mut BTreeSet<String>,
) -> Result<(), PromotionError> {
    if files.column(column).is_none() || files.is_empty() {
        return Ok(());
    }
    let failed = PromotionError::reading(files.table());
    let mut rows = session.read_table(Arc::new(files.clone())).map_err(failed)?;
    if let Some(filter) = filter {
        rows = rows.filter(filter).map_err(failed)?;
    }
    let rows = rows.select(vec![ident(column)]).map_err(failed)?;
    let mut stream = rows.execute_stream().await.map_err(failed)?;
    while let Some(batch) = stream.next().await {
        add(&batch.map_err(failed)?, to).map_err(failed)?;
        if to.len() > most {
            return Ok(());
        }
    }
    Ok(())
}

pub(super) fn add(
    batch: &RecordBatch,
    to: &mut BTreeSet<String>,
) -> Result<(), deltalake::datafusion::error::DataFusionError> {
    let column = cast(batch.column(0), &DataType::Utf8)?;
    for value in column.as_string::<i32>().iter().flatten() {
        if !to.contains(value) {
            to.insert(value.to_owned());
        }
    }
    Ok(())
}
