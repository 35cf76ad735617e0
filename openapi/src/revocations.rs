//! `/v1/revocations`: customers withdraw their consent to research; and `/v1/erasures`: they are
//! forgotten, which is the same work and more.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::certificates::{CertificateKind, CertifiedScan, CertifiedSnapshot, CertifiedTable};
use crate::work::Work;

/// Who withdraws consent, or is to be forgotten: one customer, or several in `requests`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevocationRequest {
    /// The customer's e-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "ada@example.com")]
    pub email: Option<String>,
    /// A device of the customer's; there must not be another one who claims it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serialnumber: Option<String>,
    /// Why, for the record; without a word that names the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "by letter of 2026-11-02")]
    pub reason: Option<String>,
    /// Several customers in the place of one: what is done for them is done once, and together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<RevocationOf>,
}

/// One of several customers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevocationOf {
    /// The customer's e-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "ada@example.com")]
    pub email: Option<String>,
    /// A device of the customer's; there must not be another one who claims it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serialnumber: Option<String>,
}

/// A revocation.
pub type RevocationInfo = Work<RevocationRun>;

/// What a revocation or an erasure says besides. `succeeded` means that the rows are deleted, that nothing of them
/// is left behind, and that this was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevocationRun {
    /// Which of the two it is.
    pub kind: CertificateKind,
    /// What asked for it.
    pub cause: RevocationCause,
    /// Why.
    pub reason: Option<String>,
    /// Customers whose consent is withdrawn, or who are forgotten.
    pub customers: u64,
    /// Since when no read returns their rows, in epoch milliseconds.
    pub acknowledged: Option<i64>,
    /// By when it has to be done, in epoch milliseconds.
    pub deadline: i64,
    /// What is being done.
    pub step: RevocationStep,
    /// What it waits for.
    pub waits: Option<String>,
    /// When the rows were gone from every table, in epoch milliseconds.
    pub deleted: Option<i64>,
    /// When nothing was left in snapshots, and of an erasure in our own records, in epoch milliseconds.
    pub redacted: Option<i64>,
    /// When nothing was left of what the tables were before, in epoch milliseconds.
    pub purged: Option<i64>,
    /// When the scan ended, in epoch milliseconds.
    pub verified: Option<i64>,
    /// What became of each table that the rows may have been in.
    pub tables: Vec<CertifiedTable>,
    /// Snapshots that were redacted for it, or for others that it was carried out with.
    #[serde(default)]
    pub snapshots: Vec<CertifiedSnapshot>,
    /// Who had got something of these: they must be told.
    #[serde(default)]
    pub recipients: BTreeSet<String>,
    /// What the scan looked at.
    pub scan: Option<CertifiedScan>,
    /// Identifiers that were not looked for, as another customer has the same, or one that holds it.
    pub shared: u64,
    /// What it found: the revocation has failed then.
    pub found: Vec<FoundObject>,
    /// The number of its certificate.
    pub certificate: Option<u64>,
}

/// What asked for a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RevocationCause {
    /// A request.
    Request,
    /// A load whose records ended consents.
    Load,
}

/// The steps of a revocation or an erasure, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RevocationStep {
    /// The rows are denied: no read returns them any more.
    Deny,
    /// They are deleted from the landing zone; of an erasure only.
    Erase,
    /// They are deleted from the derived tables.
    Delete,
    /// They are taken out of snapshots, and of an erasure out of our own records.
    Redact,
    /// What tables leave behind is removed for good.
    Purge,
    /// It is looked whether anything is left.
    Verify,
    /// It is proved.
    Certify,
    /// Everything is done.
    Done,
}

impl RevocationStep {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Erase => "erase",
            Self::Delete => "delete",
            Self::Redact => "redact",
            Self::Purge => "purge",
            Self::Verify => "verify",
            Self::Certify => "certify",
            Self::Done => "done",
        }
    }
}

/// An object in which something was found that must not be there, or that cannot be looked into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FoundObject {
    /// Its path below the lake's root.
    pub object: String,
    /// What it holds: a kind of identifier, and where.
    #[schema(example = "email in its row")]
    pub what: String,
}

/// A page of revocations, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RevocationList {
    /// The revocations.
    pub revocations: Vec<Work<RevocationRun>>,
    /// The `before` of the next page, if there is one.
    pub next: Option<String>,
}

/// A page of erasures, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErasureList {
    /// The erasures.
    pub erasures: Vec<Work<RevocationRun>>,
    /// The `before` of the next page, if there is one.
    pub next: Option<String>,
}

/// The path of a revocation or an erasure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct RevocationPath {
    /// Its id.
    #[param(example = "019a2b5b7ca17062b72e8422f58a8160")]
    pub id: String,
}

/// Which revocations or erasures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RevocationState {
    /// Those that wait.
    Queued,
    /// Those that run.
    Running,
    /// Those that are done.
    Succeeded,
    /// Those that failed.
    Failed,
    /// Those that were cancelled.
    Cancelled,
    /// Those that are not done, though their deadline is over.
    Overdue,
}

/// Which revocations or erasures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RevocationQuery {
    /// Only those in this state; `overdue` are those that are not done, though their deadline is
    /// over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub state: Option<RevocationState>,
    /// How many of a page, 1 to 200; 20 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(example = 20)]
    pub limit: Option<u64>,
    /// Only those with a smaller id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(example = "019a2b5b7ca17062b72e8422f58a8160")]
    pub before: Option<String>,
}
