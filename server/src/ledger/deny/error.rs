//! Why no rows are given.

/// Rows that are not given because of a withdrawn consent, or because none may be known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DenyError {
    /// The list cannot be read, or not fast enough.
    #[error("whether consents were withdrawn cannot be found out at the moment: {0}")]
    Unknown(String),
    /// The list has a new entry that concerns what is being read.
    #[error("a consent was withdrawn while this was read; ask again")]
    Changed,
}
