//! Statements that run by themselves. What was asked, how far it is and the result are objects of
//! the lake, so that any server knows them, and one takes over what another leaves behind.
//!
//! - `system/statements/<id>/statement.json` is what was asked; it never changes.
//! - `…/run-<n>.json` is the n-th attempt, written by the server that created it. Creating it is
//!   the claim: only one server can. The attempt with the highest number counts.
//! - `…/run-<n>-<chunk>.arrow` is a chunk of its result, an Arrow stream.
//! - `…/cancel` is there when somebody cancelled it.

mod denied;
mod error;
mod record;
mod run;
mod service;
mod shelf;

pub use error::StatementError;
pub use record::{Chunk, Outcome, State};
pub use service::{Kept, Statements, StatementsRules};
