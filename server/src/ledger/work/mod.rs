//! Long work: asked for, waited for, cancelled, carried out by one server of the lake, and taken over
//! by another if that one ends. [`Kind`] says what one kind of it is, [`LongWork`] does the rest.

mod attempt;
mod kind;
mod orders;
mod shelf;
mod worker;

pub use attempt::Attempt;
pub use kind::{Ended, Kind, Recorded};
pub use orders::{Asked, Asker, LongWork, WorkRules};
