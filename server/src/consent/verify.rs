//! Step four: it is looked whether anything is left, by a scan that trusts no metadata.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::Utc;
use stedi_openapi::{CertifiedIdentifier, CertifiedScan, FoundObject, RevocationStep};

use super::error::ConsentError;
use super::needles::identifiers;
use super::saga::{Part, Saga};
use crate::lake::{Needles, Place, ScanMatch, ScanProgress, ScanScope, Watch};
use crate::ledger::Attempt;
use crate::pipeline::Zone;

/// Objects that are named.
const NAMED: usize = 100;
/// Where statements and their results are kept.
const STATEMENTS: &str = "system/statements/";

impl Saga {
    /// Looks through everything but the landing zone, which keeps what was received. Statements that
    /// name somebody, or whose results do, are removed; what else holds something fails those
    /// revocations that it is of. False where the attempt is to stop.
    pub(super) async fn verify(
        &self,
        attempt: &Attempt<'_, Self>,
        parts: &mut [Part],
    ) -> Result<bool, ConsentError> {
        let all: BTreeSet<String> =
            parts.iter().flat_map(|part| part.asked.order.subjects.iter().cloned()).collect();
        // Who consents again is there again.
        let subjects = match &self.pipeline.consent {
            Some(consent) => self.promotion.not_in(&consent.consenting, all).await?,
            None => all,
        };
        let identifiers = identifiers(&self.lake, &self.pipeline, &subjects).await?;
        let kinds = identifiers.kinds();
        let (of, shared) = (identifiers.of, identifiers.shared);
        let needles = Arc::new(Needles::new(identifiers.needles)?);
        let scope = ScanScope::except(&[Zone::Landing.name()]);
        let progress = Arc::new(ScanProgress::default());
        let watch = Arc::new(Watch::new(attempt.stop.child_token()));
        attempt.run().what.waits = Some("the scan of the lake".to_owned());
        let report = match self.lake.scan(&needles, &scope, &progress, &watch).await {
            Ok(report) => report,
            Err(_) if attempt.stop.is_cancelled() => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let (kept, matches): (Vec<&ScanMatch>, Vec<&ScanMatch>) =
            report.matches.iter().partition(|found| found.object.starts_with(STATEMENTS));
        let kept: BTreeSet<&str> = kept.iter().filter_map(|found| statement(found)).collect();
        for id in &kept {
            self.statements.forget(id).await?;
        }
        let now = Utc::now().timestamp_millis();
        let scan = CertifiedScan {
            except: scope.except,
            objects: report.objects,
            bytes: report.bytes,
            parquet_files: report.parquet_files,
            pages: report.pages,
            rows: report.rows,
            identifiers: kinds
                .into_iter()
                .map(|(kind, count)| CertifiedIdentifier { kind, count })
                .collect(),
        };
        let more = report.found > report.matches.len() as u64;
        for part in parts {
            let theirs = |found: &&&ScanMatch| {
                let of = of.get(found.needle);
                of.is_some_and(|of| part.asked.order.subjects.iter().any(|it| of.contains(it)))
            };
            let mut found: Vec<FoundObject> =
                matches.iter().filter(theirs).map(|found| named(found)).collect();
            found.dedup();
            found.extend(report.unverified.iter().map(|object| FoundObject {
                object: object.object.clone(),
                what: format!("it cannot be looked into: {}", object.reason),
            }));
            if more {
                let what = format!("{} more", report.found);
                found.push(FoundObject { object: "…".to_owned(), what });
            }
            found.truncate(NAMED);
            let run = &mut part.run.what;
            run.step = match found.is_empty() {
                true => RevocationStep::Certify,
                false => RevocationStep::Done,
            };
            run.found = found;
            run.scan = Some(scan.clone());
            run.verified = Some(now);
            run.shared = shared;
        }
        Ok(true)
    }
}

/// The statement that an object is of.
fn statement(found: &ScanMatch) -> Option<&str> {
    found.object.strip_prefix(STATEMENTS)?.split('/').next()
}

/// An object that holds something. Its name is not told where that is what holds it.
fn named(found: &ScanMatch) -> FoundObject {
    let object = match found.place {
        Place::Name => found.object.split('/').next().unwrap_or_default().to_owned(),
        _ => found.object.clone(),
    };
    FoundObject { object, what: format!("{} in its {}", found.name, found.place.name()) }
}
