//! An erasure takes what names somebody out of the records: values and salts go, digests stay, so that
//! the chain still holds ([`Redactable`](super::redactable::Redactable)).

use std::sync::Arc;

use deltalake::datafusion::execution::SendableRecordBatchStream;
use deltalake::datafusion::prelude::ident;
use serde_json::json;
use uuid::Uuid;

use super::columns::{AUDIT_TABLE, SPECS, stored};
use super::error::AuditError;
use super::read::next;
use super::record::Facts;
use super::service::Audit;
use super::table;
use crate::lake::{
    Author, Change, DataFiles, LakeError, Mode, Needles, Replaced, Table, Writer, Written, commit,
};
use crate::pipeline::Zone;

/// Application id of the `txn` action by which a redaction knows its commit.
const REDACTION: &str = "stedi:redaction";
/// How often it is done anew where others got in the way.
const ATTEMPTS: usize = 20;

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redaction {
    /// The table's version before.
    pub version_before: u64,
    /// Its version since: nothing of what was looked for is in it.
    pub version_after: u64,
    /// Records of the table.
    pub records: u64,
    /// Records of which something was taken.
    pub redacted: u64,
    /// Files that were written in the place of others.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What is looked for in a record.
struct Names<'a> {
    needles: &'a Needles,
    /// What literals became that name somebody.
    hashes: Vec<String>,
}

impl Audit {
    /// Takes out of the records what needles name, and statements with literals that were one of these
    /// texts. What is in the journal of this server is brought into the table before.
    ///
    /// # Errors
    /// If the lake cannot be read or written.
    pub async fn erase(
        &self,
        needles: &Needles,
        literals: &[String],
        author: &Author,
    ) -> Result<Redaction, AuditError> {
        let hashes = literals.iter().map(|text| self.literals().hash(text)).collect();
        let names = Names { needles, hashes };
        let mut table = self.table().await?;
        let mut unseen = table.files()?;
        let mut done = Redaction {
            version_before: table.version(),
            records: unseen.rows(),
            ..Redaction::default()
        };
        for _ in 0..ATTEMPTS {
            let mut replaced = Vec::new();
            // Mostly there is nothing, which one look tells.
            if self.names_somebody(&unseen, &names).await? {
                for file in unseen.each() {
                    if self.names_somebody(&file, &names).await? {
                        replaced.push(file);
                    }
                }
            }
            let seen = table.files()?;
            match self.rewrite(&mut done, replaced, &names, (&table, author)).await {
                Ok(now) => table = now,
                // Somebody maintains the table.
                Err(AuditError::Lake(LakeError::Conflict { .. })) => {
                    table = self.table().await?;
                    unseen = table.files()?;
                    continue;
                }
                Err(error) => return Err(error),
            }
            // What was recorded meanwhile.
            unseen = table.files()?.without(&seen);
            if unseen.is_empty() {
                done.version_after = table.version();
                return Ok(done);
            }
        }
        Err(LakeError::Conflict { table: AUDIT_TABLE.to_owned() }.into())
    }

    /// Writes records of files anew, without what names somebody; the table with them.
    async fn rewrite(
        &self,
        done: &mut Redaction,
        replaced: Vec<DataFiles>,
        names: &Names<'_>,
        (table, author): (&Table, &Author),
    ) -> Result<Table, AuditError> {
        if replaced.is_empty() {
            return Ok(table.clone());
        }
        let mut writer = Writer::new(table, &stored());
        let (mut records, mut redacted) = (0, 0);
        for file in &replaced {
            let mut batches = self.records(file).await?;
            while let Some(mut rows) = next(&mut batches).await? {
                for row in &mut rows {
                    redacted += u64::from(names.take(&mut row.facts));
                }
                records += rows.len() as u64;
                writer.write(&table::batch(&rows)?).await?;
            }
        }
        let written = writer.finish().await?;
        let (files, bytes) = (replaced.len() as u64, written.bytes());
        // Any number that no other redaction has.
        let number = i64::try_from(Uuid::new_v4().as_u64_pair().0 >> 1).unwrap_or_default();
        let before = table;
        let mut table = table.clone();
        for _ in 0..ATTEMPTS {
            let change = Change {
                mode: Mode::Replace(Replaced {
                    files: replaced.clone(),
                    changes: Written::default(),
                    rows_inserted: records,
                    rows_deleted: records,
                }),
                written: written.clone(),
                columns: None,
                txns: vec![(REDACTION.to_owned(), number)],
                author: author.clone(),
                info: json!({ "operation": "redact", "records": redacted }),
            };
            match commit(self.lake(), Zone::System.name(), &table, change).await {
                Ok(table) => {
                    done.redacted += redacted;
                    (done.files, done.bytes) = (done.files + files, done.bytes + bytes);
                    return Ok(table);
                }
                Err(LakeError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            // It is the same as long as its files are there: others record. A purge takes the new ones for
            // those of somebody who gave them up.
            table = table::open(self.lake()).await?;
            let live = table.files()?;
            if before.is_purged_since(&table)?
                || replaced.iter().any(|file| live.clone().without(file).len() == live.len())
            {
                break;
            }
        }
        // It is in no commit: nobody else has its number.
        written.discard(&table).await;
        Err(LakeError::Conflict { table: AUDIT_TABLE.to_owned() }.into())
    }

    async fn names_somebody(
        &self,
        file: &DataFiles,
        names: &Names<'_>,
    ) -> Result<bool, AuditError> {
        let mut batches = self.records(file).await?;
        while let Some(mut rows) = next(&mut batches).await? {
            if rows.iter_mut().any(|row| names.take(&mut row.facts)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn records(&self, file: &DataFiles) -> Result<SendableRecordBatchStream, AuditError> {
        let session = self.lake().sessions().session();
        let columns = SPECS.iter().map(|spec| ident(spec.name)).collect::<Vec<_>>();
        let rows = session.read_table(Arc::new(file.clone()))?.select(columns)?;
        Ok(rows.execute_stream().await?)
    }
}

impl Names<'_> {
    /// Takes what names somebody out of a record; false if there is nothing.
    fn take(&self, facts: &mut Facts) -> bool {
        let fields =
            [&mut facts.principal, &mut facts.peer, &mut facts.subject, &mut facts.statement];
        let all: Vec<&str> = fields.iter().filter_map(|field| field.value.as_deref()).collect();
        // A name in one field and a birthday in another mean somebody together.
        let together = self.needles.are_in(&all.join("\n"));
        let mut taken = false;
        for field in fields {
            let Some(value) = &field.value else { continue };
            if together || self.hashes.iter().any(|hash| value.contains(hash)) {
                (field.value, field.salt) = (None, None);
                taken = true;
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::super::chain::{Head, Walk};
    use super::super::record::{Action, Draft};
    use super::*;
    use crate::lake::Needle;

    #[test]
    fn what_names_somebody_goes_and_the_chain_holds() {
        let needles = Needles::new(vec![Needle::any_case("email", "ada@x.c")]).unwrap();
        let names = Names { needles: &needles, hashes: vec!["00ff".to_owned()] };
        let facts = |principal: &str, subject: &str| {
            Facts::begun(Draft {
                principal: Some(principal.to_owned()),
                subject: Some(subject.to_owned()),
                ..Draft::new(Action::Sql, "POST /v1/sql")
            })
        };
        let mut head = Head::none();
        let mut walk = Walk::new(None);
        for (facts, taken, left) in [
            (facts("Ada@x.c", "s"), true, 0),
            (facts("bob", "s"), false, 2),
            (facts("bob", "'h:00ff'"), true, 1),
        ] {
            let (next, mut row) = head.seal("c", facts);
            head = next;
            assert_eq!(names.take(&mut row.facts), taken);
            assert!(!names.take(&mut row.facts));
            let fields = [&row.facts.principal, &row.facts.subject];
            assert_eq!(fields.iter().filter(|field| field.value.is_some()).count(), left);
            walk.step(&row);
        }
        assert_eq!((walk.broken, walk.redacted), (None, 3));
    }
}
