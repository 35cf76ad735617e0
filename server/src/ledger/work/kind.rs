//! What one kind of long work is.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use stedi_openapi::{Code, Work};
use utoipa::ToSchema;

use super::attempt::Attempt;
use super::orders::Asked;
use crate::ledger::audit::{Action, AuditError, Versions};
use crate::ledger::error::LedgerError;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All of it is done.
    Wholly,
    /// It came to its end, and something of it failed.
    Failed(Code),
    /// It was stopped before its end.
    Stopped,
}

/// What the audit is told of work.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// Its tables, with their versions afterwards.
    pub tables: Versions,
    /// Rows that came in.
    pub rows_in: Option<u64>,
}

/// A kind of long work: what is asked for, what is told of it, and how it is carried out.
pub trait Kind: Debug + Send + Sync + Sized + 'static {
    /// The word for it, also of its leases.
    const NAME: &'static str;
    /// Its folder in the lake.
    const FOLDER: &'static str;
    /// Whether one is carried out at a time in the whole lake, oldest first.
    const ONE_AT_A_TIME: bool;
    /// Under which action it is recorded.
    const ACTION: Action;
    /// That there is no such work.
    const UNKNOWN: Code;
    /// That as many wait as may wait.
    const FULL: Code;

    /// What is asked for.
    type Order: Clone + Debug + Serialize + DeserializeOwned + Send + Sync;
    /// What is told of it.
    type Run: Clone + Debug + PartialEq + Serialize + DeserializeOwned + ToSchema + Send + Sync;
    /// Why it cannot be carried out now: it is tried again.
    type Error: std::error::Error + From<LedgerError> + From<AuditError> + Send;

    /// The word for one of them, where there are several.
    fn word(_run: &Self::Run) -> &'static str {
        Self::NAME
    }

    /// What is told of it before somebody begins.
    fn queued(asked: &Asked<Self::Order>) -> Self::Run;

    /// Somebody goes on with what another server was at.
    fn resumed(_: &mut Self::Run) {}

    /// What did not happen yet will not.
    fn given_up(_: &mut Self::Run) {}

    /// What the audit is told of it as a whole; nothing where each of its parts has a record.
    fn recorded(run: &Self::Run) -> Option<Recorded>;

    /// Carries it out. It ends soon once `attempt.stop` is cancelled, with nothing half done.
    fn carry_out(
        &self,
        attempt: &Attempt<'_, Self>,
    ) -> impl Future<Output = Result<Ended, Self::Error>> + Send;

    /// What follows its end; again and again until it succeeds.
    fn settled(
        &self,
        _run: &Work<Self::Run>,
        _asked: &Asked<Self::Order>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        std::future::ready(Ok(()))
    }
}
