//! Whose consent is withdrawn.

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

    fn text(&self) -> &str {
        match self {
            Self::Email(text) | Self::Device(text) => text,
        }
    }
}

/// The pseudonyms of customers.
///
/// # Errors
/// [`ConsentError::UnknownCustomer`], [`ConsentError::Shared`], [`ConsentError::ReasonNames`].
pub(super) async fn subjects(
    promotion: &Promotion,
    key: &SubjectKey,
    customers: &[Who],
    reason: Option<&str>,
) -> Result<BTreeSet<String>, ConsentError> {
    let reason = reason.unwrap_or_default().to_lowercase();
    if !reason.is_empty() && customers.iter().any(|who| reason.contains(&who.text().to_lowercase()))
    {
        return Err(ConsentError::ReasonNames);
    }
    let mut subjects = BTreeSet::new();
    let mut named = Vec::new();
    let devices = customers.iter().filter_map(|who| match who {
        Who::Email(_) => None,
        Who::Device(device) => Some(device.clone()),
    });
    let claimants = promotion.claimants_of(&devices.collect()).await?;
    for (number, who) in customers.iter().enumerate() {
        match who {
            Who::Email(email) => named.push((number, key.subject_id(email))),
            Who::Device(device) => match claimants.get(device) {
                None => return Err(ConsentError::UnknownCustomer(number)),
                Some(one) if one.len() == 1 => subjects.extend(one.iter().cloned()),
                Some(_) => return Err(ConsentError::Shared(number)),
            },
        }
    }
    let all: BTreeSet<String> = named.iter().map(|(_, subject)| subject.clone()).collect();
    let known = promotion.known(&all).await?;
    if let Some((number, _)) = named.iter().find(|(_, subject)| !known.contains(subject)) {
        return Err(ConsentError::UnknownCustomer(*number));
    }
    subjects.extend(all);
    Ok(subjects)
}
