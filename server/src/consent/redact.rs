//! Step three, of an erasure four: snapshots without the rows. Of an erasure our own records too: what is
//! left of them names nobody.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::Utc;
use stedi_openapi::{CertifiedSnapshot, CertifiedTable, RevocationStep};

use super::error::ConsentError;
use super::needles::{Identifier, Identifiers, LookedFor, unshared};
use super::saga::{Part, Saga};
use super::verify::statement;
use crate::lake::{Needles, ScanProgress, ScanReport, ScanScope};
use crate::ledger::Attempt;
use crate::ledger::audit::AUDIT_TABLE;
use crate::pipeline::Zone;
use crate::snapshot::Redacted;

impl Saga {
    /// Takes the rows out of snapshots; for erasures also removes kept statements, records of imports, and answers to loads that name somebody who is
    /// erased, and redacts the audit, which is purged with the other tables then. False where the
    /// attempt is to stop.
    pub(super) async fn redact(
        &self,
        attempt: &Attempt<'_, Self>,
        parts: &mut [Part],
    ) -> Result<bool, ConsentError> {
        let requests: BTreeSet<String> = parts.iter().map(|part| part.run.id.clone()).collect();
        attempt.run().what.waits = Some("snapshots".to_owned());
        let redacted = self.snapshots.redact(&requests).await?;
        for run in parts.iter_mut().map(|part| &mut part.run.what) {
            run.snapshots = redacted.iter().map(certified).collect();
            run.recipients = redacted.iter().flat_map(|it| it.recipients.clone()).collect();
        }
        let mut erasing: Vec<&mut Part> = parts.iter_mut().filter(|part| part.erases()).collect();
        if !erasing.is_empty() && !self.redact_records(attempt, &mut erasing).await? {
            return Ok(false);
        }
        let now = Utc::now().timestamp_millis();
        for part in parts {
            part.run.what.redacted = Some(now);
            part.run.what.step = RevocationStep::Purge;
        }
        Ok(true)
    }

    /// Our own records.
    async fn redact_records(
        &self,
        attempt: &Attempt<'_, Self>,
        parts: &mut [&mut Part],
    ) -> Result<bool, ConsentError> {
        let mut subjects = BTreeSet::new();
        let mut known = Identifiers::new();
        for part in parts.iter() {
            subjects.extend(part.secret.subjects.iter().cloned());
            for (identifier, of) in part.secret.identifiers() {
                known.entry(identifier).or_default().extend(of);
            }
        }
        let known = unshared(&self.lake, &self.pipeline, &subjects, known).await?;
        let literals: Vec<String> = known.keys().flat_map(literals).collect();
        let needles = Arc::new(Needles::new(LookedFor::of(known).needles)?);
        let zones = [Zone::Landing, Zone::Trusted, Zone::Curated].map(Zone::name);
        let Some(report) = self.scan(attempt, &needles, &ScanScope::except(&zones)).await? else {
            return Ok(false);
        };
        for found in &report.matches {
            match statement(found) {
                Some(id) => self.statements.forget(id).await?,
                None => drop(self.landing.forget(&found.object).await?),
            }
        }
        let redaction = self.audit.erase(&needles, &literals, &attempt.author()).await?;
        let audit = CertifiedTable {
            table: AUDIT_TABLE.to_owned(),
            version_before: redaction.version_before,
            version_after: redaction.version_after,
            rows_before: redaction.records,
            rows_after: redaction.records,
            files_rewritten: redaction.files,
            bytes_rewritten: redaction.bytes,
            ..CertifiedTable::default()
        };
        for part in parts {
            let run = &mut part.run.what;
            run.tables.retain(|table| table.table != AUDIT_TABLE);
            run.tables.push(audit.clone());
        }
        Ok(true)
    }

    /// A scan; nothing where the attempt is to stop.
    pub(super) async fn scan(
        &self,
        attempt: &Attempt<'_, Self>,
        needles: &Arc<Needles>,
        scope: &ScanScope,
    ) -> Result<Option<ScanReport>, ConsentError> {
        let progress = Arc::new(ScanProgress::default());
        let watch = Arc::new(attempt.watch());
        attempt.run().what.waits = Some("the scan of the lake".to_owned());
        match self.lake.scan(needles, scope, &progress, &watch).await {
            Ok(report) => Ok(Some(report)),
            Err(_) if attempt.stop.is_cancelled() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn certified(redacted: &Redacted) -> CertifiedSnapshot {
    let Redacted { id, superseded_by, .. } = redacted;
    CertifiedSnapshot { id: id.clone(), superseded_by: superseded_by.clone() }
}

/// The literals by which a statement may name somebody.
fn literals(identifier: &Identifier) -> Vec<String> {
    match identifier {
        Identifier::Email(text) | Identifier::Device(text) | Identifier::Subject(text) => {
            vec![text.clone()]
        }
        // A name or a birthday alone means nobody.
        Identifier::Together(_) => Vec::new(),
    }
}
