//! Erasures as they are asked for, and the legal holds that refuse them.

use std::time::{Duration, Instant};

use chrono::Utc;
use stedi_openapi::LegalHold;

use super::error::ConsentError;
use super::needles::{Identifier, identifiers};
use super::saga::Saga;
use super::secrets::Secret;
use super::service::Revocations;
use super::who::{Named, Who, named, names_nobody, subjects_of};
use crate::ledger::Asker;

/// Bytes of the shortest e-mail that can be looked for.
const SHORTEST: usize = 3;
/// How long a legal hold waits for an erasure that is being acknowledged, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);

impl Revocations {
    /// All that names some customers: by their records, by the request, and by what an erasure that
    /// failed knows of them. The reason must not.
    pub(super) async fn erased(
        &self,
        named: &[Named],
        reason: Option<&str>,
    ) -> Result<Secret, ConsentError> {
        let saga = self.work.kind();
        let subjects = subjects_of(named);
        let mut known = identifiers(&saga.lake, &saga.pipeline, &subjects).await?;
        for (identifier, of) in saga.secrets.known(&subjects).await? {
            known.entry(identifier).or_default().extend(of);
        }
        for Named { subject, email, .. } in named {
            let email = email.iter().filter(|email| email.len() >= SHORTEST).cloned();
            let all = email.map(Identifier::Email).chain([Identifier::Subject(subject.clone())]);
            for identifier in all {
                known.entry(identifier).or_default().insert(subject.clone());
            }
        }
        let secret = Secret::new(subjects, known);
        let said = reason.unwrap_or_default().to_lowercase();
        let texts = secret.identifiers();
        if texts.keys().any(|identifier| identifier.texts().all(|text| said.contains(&text))) {
            return Err(ConsentError::ReasonNames);
        }
        Ok(secret)
    }

    /// Refuses customers who are being erased: nothing more can be done for them.
    pub(super) async fn not_erased(
        &self,
        references: &[(usize, String)],
    ) -> Result<(), ConsentError> {
        let saga = self.work.kind();
        for id in saga.secrets.erasures().await? {
            let open = self.work.open_one(&id).await?;
            let Some((asked, _)) = open else { continue };
            let here = references.iter().find(|(_, one)| asked.order.subjects.contains(one));
            if let Some((number, _)) = here {
                return Err(ConsentError::ErasureOpen { number: *number, id });
            }
        }
        Ok(())
    }

    /// Places a legal hold on a customer, of whom nothing needs to be known but the e-mail. It says
    /// which erasure it is too late for.
    ///
    /// # Errors
    /// [`ConsentError::UnknownCustomer`], [`ConsentError::Shared`], [`ConsentError::ReasonNames`].
    pub async fn hold(
        &self,
        asker: Asker,
        customer: Who,
        reason: String,
    ) -> Result<LegalHold, ConsentError> {
        let saga = self.work.kind();
        if reason.trim().is_empty() {
            return Err(ConsentError::NoReason);
        }
        let customers = [customer];
        names_nobody(&customers, Some(&reason))?;
        let named = named(&saga.promotion, &self.key, &customers, true).await?;
        let subject = named.first().map(|one| saga.secrets.reference(&one.subject));
        let subject = subject.ok_or(ConsentError::Malformed)?;
        let hold = LegalHold {
            id: String::new(),
            subject,
            reason,
            principal: asker.principal,
            created: Utc::now().timestamp_millis(),
            erasure: None,
        };
        // Placed before it is looked: what did not look for holds by then meets it.
        let hold = saga.holds.place(hold).await?;
        let mut erasure = None;
        for id in saga.secrets.erasures().await? {
            if erasure.is_none() && self.is_late(&id, &hold.subject).await? {
                erasure = Some(id);
            }
        }
        Ok(LegalHold { erasure, ..hold })
    }

    /// Whether an erasure of a customer goes on although there is a hold. One that is being
    /// acknowledged may have looked for holds before this one was placed: it is waited for.
    async fn is_late(&self, erasure: &str, subject: &String) -> Result<bool, ConsentError> {
        let saga = self.work.kind();
        let since = Instant::now();
        loop {
            let Some((asked, run)) = self.work.open_one(erasure).await? else { return Ok(false) };
            if !asked.order.subjects.contains(subject) {
                return Ok(false);
            }
            let denied = saga.deny.current().await.is_ok_and(|list| list.has(erasure));
            if denied || run.what.acknowledged.is_some() || since.elapsed() > PATIENCE {
                return Ok(true);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// All legal holds, newest first.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn holds(&self) -> Result<Vec<LegalHold>, ConsentError> {
        self.work.kind().holds.all().await
    }

    /// Ends a legal hold.
    ///
    /// # Errors
    /// [`ConsentError::NoHold`]
    pub async fn end_hold(&self, id: &str) -> Result<LegalHold, ConsentError> {
        self.work.kind().holds.end(id).await
    }
}

impl Saga {
    /// Refuses customers, by number and reference, on whom there is a legal hold.
    pub(super) async fn not_held(
        &self,
        references: impl Iterator<Item = (usize, &String)>,
    ) -> Result<(), ConsentError> {
        let holds = self.holds.all().await?;
        for (number, subject) in references {
            if let Some(hold) = holds.iter().find(|hold| hold.subject == *subject) {
                return Err(ConsentError::Held { number, reason: hold.reason.clone() });
            }
        }
        Ok(())
    }
}
