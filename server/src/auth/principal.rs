//! Somebody who is let in.

use super::error::AuthError;

/// What somebody does with the lake. What a role may see is the pipeline's to declare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Loads into landing.
    Ingest,
    /// Asks questions.
    Analyst,
    /// Trains models on snapshots.
    Trainer,
    /// Everything.
    Admin,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 4] = [Role::Ingest, Role::Analyst, Role::Trainer, Role::Admin];

    /// The word for it in the claim `roles`.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Ingest => "ingest",
            Role::Analyst => "analyst",
            Role::Trainer => "trainer",
            Role::Admin => "admin",
        }
    }

    /// The role of a word.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// Somebody whose token was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The claim `sub`.
    pub subject: String,
    /// The roles of the claim `roles` that this server knows.
    pub roles: Vec<Role>,
    /// Until when the token holds, in epoch milliseconds, where there is one.
    pub until: Option<i64>,
}

impl Principal {
    /// Lets only those through who have one of these roles; an admin has all.
    ///
    /// # Errors
    /// [`AuthError::Forbidden`].
    pub fn require(&self, roles: &[Role]) -> Result<(), AuthError> {
        let allowed = |role: &Role| *role == Role::Admin || roles.contains(role);
        match self.roles.iter().any(allowed) {
            true => Ok(()),
            false => Err(AuthError::Forbidden),
        }
    }
}
