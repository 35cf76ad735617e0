//! What the landing zone keeps on purpose after an erasure: a device that others use, an e-mail that
//! is a part of somebody else's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deltalake::arrow::array::{AsArray, RecordBatch};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{DataType, Int64Type};
use deltalake::datafusion::dataframe::DataFrame;
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::functions_aggregate::expr_fn::max;
use deltalake::datafusion::logical_expr::{Expr, ident, lit};
use futures::StreamExt;

use super::error::ConsentError;
use super::needles::{Identifier, Identifiers, theirs};
use crate::lake::{DataFiles, Lake};
use crate::pipeline::{Pipeline, SUBJECT_ID, Source, Zone};

/// Identifiers of erased customers without those that somebody else's rows of landing tables have: a
/// device that a row of another customer names, or one that was read, by nobody who is named, after
/// the moment of the erasure; and an e-mail within that of a reading. `until` is that moment, in epoch
/// milliseconds, by pseudonym.
pub(super) async fn unused(
    lake: &Lake,
    pipeline: &Pipeline,
    until: &BTreeMap<String, i64>,
    mut found: Identifiers,
) -> Result<Identifiers, ConsentError> {
    let subjects: BTreeSet<String> = until.keys().cloned().collect();
    for source in &pipeline.sources {
        let Some(table) = lake.current(Zone::Landing.name(), &source.name).await? else { continue };
        let look = Look { lake, source, files: table.files()?, subjects: &subjects };
        let devices = devices(&found);
        for device in look.of_others(&devices).await? {
            found.remove(&Identifier::Device(device));
        }
        for (device, newest) in look.read_last(&devices).await? {
            let device = Identifier::Device(device);
            let of = found.get(&device).into_iter().flatten();
            let last = of.filter_map(|subject| until.get(subject)).max();
            if last.is_some_and(|last| newest > *last) {
                found.remove(&device);
            }
        }
        look.emails(&mut found).await?;
    }
    Ok(found)
}

fn devices(found: &Identifiers) -> BTreeSet<String> {
    let device = |identifier: &Identifier| match identifier {
        Identifier::Device(device) => Some(device.clone()),
        _ => None,
    };
    found.keys().filter_map(device).collect()
}

/// A landing table that is looked through.
struct Look<'a> {
    lake: &'a Lake,
    source: &'a Source,
    files: DataFiles,
    subjects: &'a BTreeSet<String>,
}

impl Look<'_> {
    /// Those of some devices that rows of other customers name.
    async fn of_others(
        &self,
        devices: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, ConsentError> {
        let mut used = BTreeSet::new();
        let (Some(device), true) = (&self.source.device, self.source.subject.is_some()) else {
            return Ok(used);
        };
        let others = ident(SUBJECT_ID).is_not_null().and(!theirs(self.subjects));
        let rows = others.and(among(device, devices));
        self.each(
            &self.files.holding(device, devices),
            rows,
            |frame| frame.select(vec![ident(device)])?.distinct(),
            |batch| {
                let texts = cast(batch.column(0), &DataType::Utf8)?;
                used.extend(texts.as_string::<i32>().iter().flatten().map(str::to_owned));
                Ok(())
            },
        )
        .await?;
        Ok(used)
    }

    /// When some devices were read last, by rows that name no customer.
    async fn read_last(
        &self,
        devices: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, i64>, ConsentError> {
        let mut last = BTreeMap::new();
        let (Some(device), Some(recorded)) = (&self.source.device, self.source.moments().next())
        else {
            return Ok(last);
        };
        let mut rows = among(device, devices);
        if self.source.subject.is_some() {
            rows = rows.and(ident(SUBJECT_ID).is_null());
        }
        self.each(
            &self.files.holding(device, devices),
            rows,
            |frame| frame.aggregate(vec![ident(device)], vec![max(ident(recorded))]),
            |batch| {
                let texts = cast(batch.column(0), &DataType::Utf8)?;
                let moments = batch.column(1).as_primitive::<Int64Type>();
                for (device, moment) in texts.as_string::<i32>().iter().zip(moments) {
                    let (Some(device), Some(moment)) = (device, moment) else { continue };
                    last.insert(device.to_owned(), moment);
                }
                Ok(())
            },
        )
        .await?;
        Ok(last)
    }

    /// Takes out e-mails that are a part of others.
    async fn emails(&self, found: &mut Identifiers) -> Result<(), ConsentError> {
        let Some(email) = &self.source.subject else { return Ok(()) };
        let rows = ident(SUBJECT_ID).is_not_null().and(!theirs(self.subjects));
        self.each(
            &self.files,
            rows,
            |frame| frame.select(vec![ident(email)])?.distinct(),
            |batch| {
                let texts = cast(batch.column(0), &DataType::Utf8)?;
                for text in texts.as_string::<i32>().iter().flatten() {
                    found.retain(|identifier, _| match identifier {
                        Identifier::Email(email) => !text.contains(email.as_str()),
                        _ => true,
                    });
                }
                Ok(())
            },
        )
        .await
    }

    async fn each(
        &self,
        files: &DataFiles,
        rows: Expr,
        shape: impl FnOnce(DataFrame) -> Result<DataFrame, DataFusionError>,
        mut take: impl FnMut(&RecordBatch) -> Result<(), DataFusionError>,
    ) -> Result<(), ConsentError> {
        if files.is_empty() {
            return Ok(());
        }
        let failed = |source: DataFusionError| ConsentError::Look {
            table: files.table().to_owned(),
            source: Box::new(source),
        };
        let all = self.lake.sessions().session().read_table(Arc::new(files.clone()));
        let some = all.and_then(|all| all.filter(rows)).and_then(shape);
        let mut batches = some.map_err(failed)?.execute_stream().await.map_err(failed)?;
        while let Some(batch) = batches.next().await {
            take(&batch.map_err(failed)?).map_err(failed)?;
        }
        Ok(())
    }
}

fn among(column: &str, values: &BTreeSet<String>) -> Expr {
    ident(column).in_list(values.iter().map(|value| lit(value.as_str())).collect(), false)
}
