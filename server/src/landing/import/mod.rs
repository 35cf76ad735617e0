//! Files that lie in a folder or a bucket are loaded, each once. An import is long work: objects of
//! the lake, carried out by the server that has its lease, taken over by another if that one ends.

mod allowed;
mod run;
mod service;

pub use allowed::{Allowed, NotAllowed};
pub use run::{Files, Loaded};
pub use service::{ImportRules, Imports};
