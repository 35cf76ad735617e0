//! `/v1/legal-holds`: customers who may not be erased for now.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Whose data is to be held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LegalHoldRequest {
    /// The customer's e-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "ada@example.com")]
    pub email: Option<String>,
    /// A device of the customer's; there must not be another one who claims it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serialnumber: Option<String>,
    /// Why, without a word that names the customer: whoever asks for an erasure is told.
    #[schema(example = "claim 2026-117 is before the court")]
    pub reason: String,
}

/// A legal hold: until it ends, the customer is not erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LegalHold {
    /// Its id.
    pub id: String,
    /// A keyed reference to whose it is, not the pseudonym; the same for the same customer.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub principal: String,
    /// When, in epoch milliseconds.
    pub created: i64,
    /// An erasure of the customer that was acknowledged before: the hold does not stop it.
    pub erasure: Option<String>,
}

/// All legal holds, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LegalHoldList {
    /// The holds.
    pub holds: Vec<LegalHold>,
}

/// The path of a legal hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct LegalHoldPath {
    /// Its id.
    #[param(example = "019a2b5b7ca17062b72e8422f58a8160")]
    pub id: String,
}
