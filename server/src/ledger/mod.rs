//! What everything above must agree on, kept in the lake's `system` zone.

pub mod audit;
mod deny;
mod error;
mod leases;
mod numbered;
mod pins;
mod sealer;
mod subject_key;
mod suppression;
mod work;

pub use deny::{
    Acknowledged, Denied, Deny, DenyError, DenyList, Hidden, LONGEST, Reading, Reason, Seen,
};
pub use error::LedgerError;
pub use leases::{LEASES, Lease, Leases};
pub use pins::{Pin, Pinned};
pub use sealer::{Sealed, Sealer};
pub use subject_key::SubjectKey;
pub use suppression::{Suppressed, Suppression, SuppressionList};
pub use work::{Asked, Asker, Attempt, Ended, Kind, LongWork, Recorded, WorkRules};
