//! Erasures as they are asked for, and the legal holds that refuse them.

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
        // Placed before it is looked: what is not acknowledged by then meets it.
        let hold = saga.holds.place(hold).await?;
        let mut erasure = None;
        for id in saga.secrets.erasures().await? {
            let open = self.work.open_one(&id).await?;
            let denied = saga.deny.current().await.is_ok_and(|list| list.has(&id));
            let late = open.filter(|(asked, run)| {
                (denied || run.what.acknowledged.is_some())
                    && asked.order.subjects.contains(&hold.subject)
            });
            erasure = erasure.or(late.map(|_| id));
        }
        Ok(LegalHold { erasure, ..hold })
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
