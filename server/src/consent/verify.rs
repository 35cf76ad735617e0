//! The last step but one: it is looked whether anything is left, by a scan that trusts no metadata.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::Utc;
use stedi_openapi::{CertifiedIdentifier, CertifiedScan, FoundObject, RevocationStep};

use super::error::ConsentError;
use super::in_use::unused;
use super::needles::{Identifiers, LookedFor, identifiers, unshared};
use super::saga::{Part, Saga};
use crate::lake::{Needles, Place, ScanMatch, ScanScope};
use crate::ledger::Attempt;
use crate::pipeline::Zone;

/// Objects that are named.
const NAMED: usize = 100;
/// Where statements and their results are kept.
const STATEMENTS: &str = "system/statements/";

/// What is looked for, and where.
struct Look {
    identifiers: Identifiers,
    /// How many are not looked for, as somebody else has the same, or one that holds it.
    shared: u64,
    scope: ScanScope,
}

impl Saga {
    /// Looks through everything: for somebody who was erased wherever it is, for who withdrew their
    /// consent outside of the landing zone, which keeps what was received. Statements that name
    /// somebody, or whose results do, are removed; what else holds something fails those that it is of.
    /// False where the attempt is to stop.
    pub(super) async fn verify(
        &self,
        attempt: &Attempt<'_, Self>,
        parts: &mut [Part],
    ) -> Result<bool, ConsentError> {
        let (mut erased, mut revoked): (Vec<&mut Part>, Vec<&mut Part>) =
            parts.iter_mut().partition(|part| part.erases());
        if !erased.is_empty() {
            let look = self.erased(&erased).await?;
            if !self.verify_some(attempt, &mut erased, look).await? {
                return Ok(false);
            }
        }
        if !revoked.is_empty() {
            let look = self.revoked(&revoked).await?;
            return self.verify_some(attempt, &mut revoked, look).await;
        }
        Ok(true)
    }

    /// What names those who were erased, as it was known before.
    async fn erased(&self, parts: &[&mut Part]) -> Result<Look, ConsentError> {
        let mut until = BTreeMap::new();
        let mut known = Identifiers::new();
        for part in parts {
            for subject in &part.secret.subjects {
                until.insert(subject.clone(), part.asked.created);
            }
            for (identifier, of) in part.secret.identifiers() {
                known.entry(identifier).or_default().extend(of);
            }
        }
        let all = known.len();
        let known = unshared(&self.lake, &self.pipeline, &subjects(parts), known).await?;
        let identifiers = unused(&self.lake, &self.pipeline, &until, known).await?;
        let shared = (all - identifiers.len()) as u64;
        Ok(Look { identifiers, shared, scope: ScanScope::all() })
    }

    /// What names those who withdrew their consent, and did not consent again.
    async fn revoked(&self, parts: &[&mut Part]) -> Result<Look, ConsentError> {
        let all = subjects(parts);
        // Who consents again is there again.
        let subjects = match &self.pipeline.consent {
            Some(consent) => self.promotion.not_in(&consent.consenting, all).await?,
            None => all,
        };
        let known = identifiers(&self.lake, &self.pipeline, &subjects).await?;
        let all = known.len();
        let identifiers = unshared(&self.lake, &self.pipeline, &subjects, known).await?;
        let shared = (all - identifiers.len()) as u64;
        Ok(Look { identifiers, shared, scope: ScanScope::except(&[Zone::Landing.name()]) })
    }

    async fn verify_some(
        &self,
        attempt: &Attempt<'_, Self>,
        parts: &mut [&mut Part],
        look: Look,
    ) -> Result<bool, ConsentError> {
        let Look { identifiers, shared, scope } = look;
        let looked_for = LookedFor::of(identifiers);
        let kinds = looked_for.kinds();
        let LookedFor { needles, of } = looked_for;
        let needles = Arc::new(Needles::new(needles)?);
        let scan = self.scan(attempt, &needles, &scope);
        let Some(report) = self.meanwhile(attempt, scan).await? else { return Ok(false) };
        let (kept, matches): (Vec<&ScanMatch>, Vec<&ScanMatch>) =
            report.matches.iter().partition(|found| statement(found).is_some());
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
                of.is_some_and(|of| !of.is_disjoint(&part.secret.subjects))
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

fn subjects(parts: &[&mut Part]) -> BTreeSet<String> {
    parts.iter().flat_map(|part| part.secret.subjects.iter().cloned()).collect()
}

/// The statement that an object is of.
pub(super) fn statement(found: &ScanMatch) -> Option<&str> {
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
