//! Whose consent is withdrawn, or who is to be forgotten.

use std::collections::BTreeSet;

use super::error::ConsentError;
use crate::ledger::SubjectKey;
use crate::promotion::Promotion;

/// A customer, as somebody names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// By e-mail.
    Email(String),
    /// As the one who claims a device.
    Device(String),
}

/// A customer who was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// The request that names them; the first is 0.
    pub number: usize,
    /// The pseudonym.
    pub subject: String,
    /// The e-mail, where the request has it.
    pub email: Option<String>,
}

impl Who {
    /// The customer of a request: exactly one of the two must be there.
    pub fn of(email: Option<String>, device: Option<String>) -> Result<Self, ConsentError> {
        let who = match (email, device) {
            (Some(email), None) => Self::Email(email.trim().to_lowercase()),
            (None, Some(device)) => Self::Device(device.trim().to_owned()),
            _ => return Err(ConsentError::Malformed),
        };
        match who.text().is_empty() {
            true => Err(ConsentError::Malformed),
            false => Ok(who),
        }
    }

    /// The same for the same customer as somebody names them.
    pub(super) fn mark(&self) -> String {
        match self {
            Self::Email(email) => format!("email {email}"),
            Self::Device(device) => format!("device {device}"),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Email(text) | Self::Device(text) => text,
        }
    }
}

/// The pseudonyms of customers.
pub(super) fn subjects_of(named: &[Named]) -> BTreeSet<String> {
    named.iter().map(|one| one.subject.clone()).collect()
}

/// Refuses a reason that names one of those whom it is about.
///
/// # Errors
/// [`ConsentError::ReasonNames`]
pub(super) fn names_nobody(customers: &[Who], reason: Option<&str>) -> Result<(), ConsentError> {
    let reason = reason.unwrap_or_default().to_lowercase();
    if reason.is_empty() {
        return Ok(());
    }
    match customers.iter().any(|who| reason.contains(&who.text().to_lowercase())) {
        true => Err(ConsentError::ReasonNames),
        false => Ok(()),
    }
}

/// Finds customers. One who is named by e-mail and has no record is found only if `strangers` are too.
///
/// # Errors
/// [`ConsentError::UnknownCustomer`], [`ConsentError::Shared`].
pub(super) async fn named(
    promotion: &Promotion,
    key: &SubjectKey,
    customers: &[Who],
    strangers: bool,
) -> Result<Vec<Named>, ConsentError> {
    let devices = customers.iter().filter_map(|who| match who {
        Who::Email(_) => None,
        Who::Device(device) => Some(device.clone()),
    });
    let claimants = promotion.claimants_of(&devices.collect()).await?;
    let mut all = Vec::with_capacity(customers.len());
    for (number, who) in customers.iter().enumerate() {
        let (subject, email) = match who {
            Who::Email(email) => (key.subject_id(email), Some(email.clone())),
            Who::Device(device) => match claimants.get(device) {
                None => return Err(ConsentError::UnknownCustomer(number)),
                Some(several) if several.len() > 1 => return Err(ConsentError::Shared(number)),
                Some(one) => match one.iter().next() {
                    None => return Err(ConsentError::UnknownCustomer(number)),
                    Some(subject) => (subject.clone(), None),
                },
            },
        };
        all.push(Named { number, subject, email });
    }
    if !strangers {
        let by_email = all.iter().filter(|one| one.email.is_some());
        let subjects: BTreeSet<String> = by_email.map(|one| one.subject.clone()).collect();
        let known = promotion.known(&subjects).await?;
        let unknown = |one: &&Named| one.email.is_some() && !known.contains(&one.subject);
        if let Some(one) = all.iter().find(unknown) {
            return Err(ConsentError::UnknownCustomer(one.number));
        }
    }
    Ok(all)
}
